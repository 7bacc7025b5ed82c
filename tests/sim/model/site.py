"""The server under test and one client of it, kept through restarts: making a client takes longer than an example."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from objectfs.sim import S3Server


class Site(logging.Handler):
    """A server on a store, a boto3 client, and what the server logs that it should not."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(logging.WARNING)
        self._folder = folder
        self._records: list[str] = []
        self.server = S3Server(folder, buckets=())
        self.server.start()
        logging.getLogger("objectfs.sim").addHandler(self)
        self.s3: Any = boto3.client(
            "s3",
            endpoint_url=self.server.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="testtest",
            region_name="us-east-1",
            # A connection that a restart has closed may be tried once more.
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2, "mode": "standard"}),
        )

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record.getMessage())

    def trouble(self) -> list[str]:
        return self._records

    def restart(self) -> None:
        port = self.server.port
        self.server.stop()
        self.server = S3Server(self._folder, buckets=(), port=port)
        self.server.start()

    def close(self) -> None:
        logging.getLogger("objectfs.sim").removeHandler(self)
        self.s3.close()
        self.server.stop()
        super().close()
