"""Types of the engine; what things do stands in their docstrings (``native/``)."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, SupportsIndex, final, overload

from objectfs.backends.crt_watch import Watchers
from objectfs.types import ObjectInfo

CRT_VERSIONS: dict[str, str]
CRT_ARCHIVE: str
CRT_LINK: str
BUILD_TYPE: str
FRAGMENT_SIZE: int

def error_name(code: int) -> str: ...
def debug_outstanding_bytes(timeout: float = 5.0) -> int | None: ...
def debug_streamed_bytes() -> int | None: ...
def copy_into(target: Any, offset: int, source: Any) -> None: ...
def parse_list(
    data: Any,
) -> tuple[list[tuple[str, int, str | None, str | None, str | None]], list[str], str | None]: ...

@final
class Buffer:
    def __init__(self, size: int = 0) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __len__(self) -> int: ...
    def __bytes__(self) -> bytes: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> memoryview: ...
    def __iter__(self) -> Iterator[int]: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]
    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def info(self) -> ObjectInfo | None: ...
    def _describe(self, make: Any, bucket: str, key: str, response: Response, total: int) -> None: ...
    def _shrink(self, size: int) -> None: ...

@final
class Response:
    status: int
    error_code: int
    body: Buffer | None
    received: int
    truncated: bool
    source_changed: bool
    failed_operation: str | None
    validated: str | None
    def take_body(self) -> Buffer: ...
    @property
    def error(self) -> str | None: ...
    @property
    def error_message(self) -> str | None: ...
    @property
    def headers(self) -> dict[str, str]: ...
    def header(self, name: bytes) -> bytes | None: ...

@final
class Endpoint:
    url: str
    def __init__(self, url: str) -> None: ...

@final
class Headers:
    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None: ...

@final
class Request:
    def __init__(
        self,
        operation: bytes,
        method: bytes,
        path: bytes,
        endpoint: Endpoint,
        headers: Headers,
        more: Headers | None = None,
        *,
        body: Any = None,
        recv: Any = None,
        recv_path: bytes | None = None,
        recv_position: int = 0,
        send_path: bytes | None = None,
        send_stat: tuple[int, int] | None = None,
        checksum: str | None = None,
        validate: str | None = None,
        part_size: int = 0,
        max_connections: int = 0,
    ) -> None: ...

@final
class Engine:
    watchers: Watchers | None
    def __init__(
        self,
        *,
        region: str,
        tls: bool,
        verify: bool = True,
        ca: bytes | None = None,
        threads: int = 1,
        part_size: int,
        max_connections: int,
        memory_limit: int,
        throughput_gbps: float,
        connect_timeout_ms: int,
        read_timeout_s: int,
        max_retries: int,
        file_threads: int = 0,
        env_proxy: bool = True,
    ) -> None: ...
    def set_credentials(
        self, access_key_id: str | None, secret_access_key: str | None, session_token: str | None = None
    ) -> None: ...
    def start(self, requests: list[Request], *, window: int = 1, stop_on_error: bool = False) -> Op: ...
    def close(self, timeout: float = 10.0) -> bool: ...
    @property
    def inflight(self) -> int: ...
    @property
    def submitted(self) -> int: ...

@final
class Notifier:
    def __init__(self, engine: Engine, fd: int) -> None: ...
    def close(self) -> None: ...
    def drain(self) -> list[Op]: ...

@final
class Op:
    def wait(self, timeout: float | None = None) -> bool: ...
    def done(self) -> bool: ...
    def advance(self) -> bool: ...
    def cancel(self) -> None: ...
    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]: ...
    def watch(self, notifier: Notifier) -> bool: ...
    def result(self) -> list[Response]: ...
    @property
    def transferred(self) -> int: ...
