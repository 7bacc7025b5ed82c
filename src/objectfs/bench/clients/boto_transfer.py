"""boto3's transfer manager, in threads: what its documentation shows for files and large objects."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from boto3.s3.transfer import TransferConfig

from objectfs.bench.clients.base import Bytes, Missing, Note, Target
from objectfs.bench.clients.boto import Boto, version
from objectfs.bench.scenarios import Item

__all__ = ["BotoTransfer", "make", "version"]


class BotoTransfer(Boto):
    def __init__(self, target: Target, config: TransferConfig | None) -> None:
        super().__init__(target)
        self._config = config

    def get(self, bucket: str, item: Item) -> Bytes:
        file = io.BytesIO()
        self._client.download_fileobj(bucket, item.key, file, Config=self._config)
        return file.getbuffer()

    def get_file(self, bucket: str, item: Item, path: str) -> None:
        self._client.download_file(bucket, item.key, path, Config=self._config)

    def put(self, bucket: str, item: Item, data: bytes) -> None:
        self._client.upload_fileobj(io.BytesIO(data), bucket, item.key, Config=self._config)

    def put_file(self, bucket: str, item: Item, path: str) -> None:
        self._client.upload_file(path, bucket, item.key, Config=self._config)

    def get_ranges(self, bucket: str, items: Sequence[Item], note: Note) -> Sequence[Bytes]:
        raise Missing("the transfer manager reads no ranges; see boto3-single")

    def first_byte(self, bucket: str, item: Item) -> tuple[bytes, Callable[[], object]]:
        raise Missing("the transfer manager has no stream; see boto3-single")

    def list(self, bucket: str, prefix: str) -> int:
        raise Missing("the transfer manager lists nothing; see boto3-single")


def make(target: Target) -> BotoTransfer:
    # Said, because boto3 would hand the transfer to awscrt where that is installed and likes the machine.
    return BotoTransfer(target, TransferConfig(preferred_transfer_client="classic"))
