"""Multipart uploads of the clients that know only sockets: what is before and behind the parts."""

from __future__ import annotations

import http.client
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

from objectfs.bench.clients.base import PART, Target
from objectfs.bench.scenarios import Item


class Parts:
    """One upload: ``targets`` are where each part is put, with its place and size."""

    def __init__(self, target: Target, bucket: str, item: Item) -> None:
        url = urlsplit(target.endpoint)
        host = url.netloc
        self._connection = (
            http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=target.ca_file))
            if target.tls
            else http.client.HTTPConnection(host)
        )
        self._path = f"/{bucket}/{item.key}"
        begun = self._ask("POST", f"{self._path}?uploads")
        found = re.search(r"<UploadId>([^<]+)</UploadId>", begun)
        if not found:
            raise ConnectionError(f"no upload id in {begun:.100}")
        self._upload = f"uploadId={found[1]}"
        self.targets = [
            (f"{self._path}?partNumber={1 + start // PART}&{self._upload}", start, min(PART, item.size - start))
            for start in range(0, item.size, PART)
        ]

    def finish(self) -> None:
        """Complete it with the ETags that the server tells."""
        listed = self._ask("GET", f"{self._path}?{self._upload}")
        tags = re.findall(r"<PartNumber>(\d+)</PartNumber>.*?<ETag>([^<]+)</ETag>", listed, re.S)
        parts = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in tags)
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        self._ask("POST", f"{self._path}?{self._upload}", body)
        self._connection.close()

    def _ask(self, method: str, path: str, body: Any = None) -> str:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300 or "<Error>" in text:
            raise ConnectionError(f"{method} {path}: HTTP {answer.status} {text:.200}")
        return text
