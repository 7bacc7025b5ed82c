"""boto3's transfers carried out by awscrt: the transfer manager that boto3 takes with preferred_transfer_client='crt'.

boto3 itself hands it neither the endpoint nor certificates, so it works with AWS only; here it is made as the AWS CLI
makes it.
"""

from __future__ import annotations

import io
from typing import Any

import awscrt
import boto3
import botocore.session
from botocore.credentials import Credentials
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

from objectfs.bench.clients.base import Bytes, Target
from objectfs.bench.clients.boto_transfer import BotoTransfer
from objectfs.bench.scenarios import Item


class BotoCrt(BotoTransfer):
    def __init__(self, target: Target) -> None:
        super().__init__(target, None)
        session = botocore.session.Session()
        session.set_credentials(target.access_key, target.secret_key, target.session_token)
        settings = {"region_name": target.region, "endpoint_url": target.endpoint}
        keys = Credentials(target.access_key, target.secret_key, target.session_token)
        client = create_s3_crt_client(
            target.region,
            BotocoreCRTCredentialsWrapper(keys).to_crt_credentials_provider(),
            use_ssl=target.tls,
            verify=target.ca_file if target.tls else None,
        )
        self._manager = CRTTransferManager(client, BotocoreCRTRequestSerializer(session, settings))

    def get(self, bucket: str, item: Item) -> Bytes:
        file = io.BytesIO()
        _finish(self._manager.download(bucket, item.key, file))
        return file.getbuffer()

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        _finish(self._manager.download(bucket, item.key, path))

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        _finish(self._manager.upload(io.BytesIO(data), bucket, item.key))

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        _finish(self._manager.upload(path, bucket, item.key))

    def close(self) -> None:
        self._manager.shutdown()
        super().close()


def _finish(transfer: Any) -> None:
    transfer.result()
    # A file has its name only then; the manager waits for that when it is shut down.
    transfer._coordinator.wait_until_on_done_callbacks_complete()


def version() -> str:
    return f"{boto3.__version__}, awscrt {awscrt.__version__}"


def make(target: Target) -> BotoCrt:
    return BotoCrt(target)
