"""boto3's transfers, carried out by awscrt."""

from __future__ import annotations

import awscrt
import boto3
from boto3.s3.transfer import TransferConfig

from objectfs.bench.clients.base import Missing, Target
from objectfs.bench.clients.boto_transfer import BotoTransfer


def version() -> str:
    return f"{boto3.__version__}, awscrt {awscrt.__version__}"


def make(target: Target) -> BotoTransfer:
    if target.ca_file and target.tls:
        # boto3 hands over whether to verify, and with what for its own connections only.
        raise Missing("it takes no certificates of one's own for awscrt")
    return BotoTransfer(target, TransferConfig(preferred_transfer_client="crt"))
