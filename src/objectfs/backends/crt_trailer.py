"""Checksums behind the content of a part, where the server is known to take them there.

In a header a checksum has to be known before the first byte goes: the memory is read for it, and again by the kernel,
when no cache holds it any more. In a trailer (``aws-chunked``,
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html) it is computed as bytes are sent, which
saves a fifth of the processor time of an upload (docs/design/0023-trailers.md).

Some servers refuse that coding, and one that does not know it may store it as content and call that a success. So
only a server that calls itself AmazonS3 is asked, with one part of the first upload; and it is believed when its answer
has the checksum of that part, as it is computed here.
"""

from __future__ import annotations

from typing import Any

from objectfs.backends.base import Steps
from objectfs.backends.crt_answers import refused
from objectfs.backends.crt_base import INLINE
from objectfs.backends.crt_steps import one
from objectfs.backends.crt_upload import Upload
from objectfs.backends.digests import Digest

__all__ = ["Probe"]

SERVER = "AmazonS3"
"""What S3 answers as ``Server``. Some others do, too, so that it is only a reason to ask."""

NOT_IMPLEMENTED = 501


class Probe:
    """The last part of an upload, which is sent with a trailer to see what becomes of it."""

    def __init__(self, upload: Upload, number: int, view: memoryview) -> None:
        self._upload, self._number, self._view = upload, number, view
        self._op = upload.start_parts([upload.part_request(number, view, trailer=True)])

    @staticmethod
    def is_due(upload: Upload) -> bool:
        """Whether it is not known yet of this server, and may be so."""
        return upload.target.trailers is None and upload.server == SERVER and upload.has_crc

    def answer(self) -> Steps[Any]:
        """The answer to the part; to another with its checksum in a header, unless this one was confirmed."""
        try:
            return (yield from self._answer())
        finally:
            del self._view  # an exception's traceback would keep it

    def _answer(self) -> Steps[Any]:
        upload = self._upload
        response = yield from one(self._op)
        digest = Digest(upload.algorithm or "")
        if len(self._view) <= INLINE:
            digest.update(self._view)
        else:
            yield from upload.backend.aside(lambda: digest.update(self._view))
        if not refused(response) and upload.checksum_of(response) == digest.value():
            upload.target.trailers = True
            return response
        if not response.error_code or 400 <= response.status < 500 or response.status == NOT_IMPLEMENTED:
            upload.target.trailers = False  # else it may have been the network
        return (yield from one(upload.start_parts([upload.part_request(self._number, self._view)])))
