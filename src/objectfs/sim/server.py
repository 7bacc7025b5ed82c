"""``S3Server``: an S3 endpoint on a local socket, served by a background thread."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from objectfs.sim.auth.verifier import TemporaryKey, Verifier
from objectfs.sim.errors import S3Error
from objectfs.sim.network.faults import Faults
from objectfs.sim.network.pacing import Network
from objectfs.sim.network.profile import Profile, get_profile
from objectfs.sim.operations.objects import MD5_LIMIT
from objectfs.sim.record import LOG_BYTES, Request
from objectfs.sim.route import check_bucket_name
from objectfs.sim.service import Service
from objectfs.sim.sockets.limits import Limits
from objectfs.sim.sockets.loop import Loop
from objectfs.sim.store.memory import Store

ACCESS_KEY = "test"
SECRET_KEY = "testtest"

T = TypeVar("T")


class S3Server:
    """An S3 server for tests and benchmarks.

    ``store`` is None or "memory", or a directory that keeps the objects. ``discard`` keeps only size and
    checksums of what is put (so does a bucket named "sink"); such objects read as ``synthetic_bytes``.
    ``domains`` are names for virtual-host style besides ``localhost``. ETags of single puts are the MD5 up to
    ``md5_limit`` bytes, and arbitrary above, as with SSE-KMS: raise it where a test compares ETags with MD5s.
    ``profile`` shapes the network: a name such as "s3", or a Profile; ProfileError (a ValueError) if there is no such.
    ``check_region`` refuses signatures for regions other than ``region``; ``anonymous`` lets unsigned requests in.
    ``limits`` says how long connections may be idle or slow. A ``host`` that other machines can reach is refused with
    ValueError unless signatures are verified, with a secret key other than the default.
    """

    def __init__(
        self,
        store: str | Path | Store | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        access_key: str = ACCESS_KEY,
        secret_key: str = SECRET_KEY,
        buckets: Iterable[str] = ("bucket",),
        verify_signatures: bool = True,
        region: str = "us-east-1",
        *,
        anonymous: bool = False,
        discard: bool = False,
        domains: Iterable[str] = (),
        check_region: bool = True,
        md5_limit: int = MD5_LIMIT,
        limits: Limits | None = None,
        log_bytes: int = LOG_BYTES,
        profile: str | Profile | None = None,
    ) -> None:
        if not is_loopback(host) and (anonymous or not verify_signatures or secret_key == SECRET_KEY):
            raise ValueError(
                f"host {host!r} is reachable from other machines: that needs verify_signatures, no anonymous "
                "requests, and an access_key and secret_key of your own"
            )
        self.host = host
        self.port = port
        self.limits = limits
        self.tls = tls
        self.region = region
        self.access_key = access_key
        self.secret_key = secret_key
        self.faults = Faults()
        self.store = _make_store(store, discard)
        for name in buckets:
            check_bucket_name(name)
            self.store.create_bucket(name)
        verifier = Verifier(access_key, secret_key, region, verify_signatures, anonymous, check_region)
        self._service = Service(
            self.store,
            verifier,
            self.faults,
            domains=tuple(domains),
            md5_limit=md5_limit,
            secure=tls,
            log_bytes=log_bytes,
        )
        self._profile = get_profile(profile)
        self._service.network = _network(self._profile)
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._loop: Loop | None = None
        self._thread: threading.Thread | None = None

    @property
    def requests(self) -> list[Request]:
        """The requests so far, oldest first. When they fill ``log_bytes`` of memory, the older half goes."""
        return self._service.requests

    @property
    def profile(self) -> Profile:
        """The shape of the network. May be set, also while the server runs: to a name or a Profile. Connections that
        are open take it on in the middle of what they do."""
        return self._profile

    @profile.setter
    def profile(self, profile: str | Profile) -> None:
        self._profile = get_profile(profile)
        network = _network(self._profile)
        loop = self._loop
        if loop is None:
            self._service.network = network
        else:
            self.run(lambda: loop.set_network(network))

    def run(self, function: Callable[[], T]) -> T:
        """Call a function in the server's thread, which alone may touch the store while the server runs, and wait
        for what it returns or raises."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or thread is threading.current_thread():
            return function()
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        loop.call(call)
        while True:
            try:
                return future.result(timeout=1.0)
            except TimeoutError:
                if future.done() or not thread.is_alive():
                    raise

    def create_bucket(self, name: str) -> None:
        """Create a bucket, if there is none of that name. Raises ValueError for a name that S3 does not allow."""
        try:
            check_bucket_name(name)
        except S3Error as error:
            raise ValueError(f"bucket {name!r}: {error.message}") from None
        self.run(lambda: self.store.create_bucket(name))

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it; KeyError when there is none."""
        self.run(lambda: self.store.delete_bucket(name))

    def clear_requests(self) -> None:
        self._service.requests.clear()

    def add_access_key(
        self, access_key: str, secret_key: str, expires: float, session_token: str | None = None
    ) -> None:
        """Accept a further key pair until that time (``time.time()``), then answer ExpiredToken. With a
        ``session_token``, requests must bring it; without one, they may bring any."""
        self._service.verifier.temporary[access_key] = TemporaryKey(secret_key, expires, session_token)

    @property
    def endpoint_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def ca_file(self) -> str | None:
        """The certificate of the server's own authority, for clients to trust; there while a ``tls`` server runs."""
        return str(Path(self._directory.name) / "cert.pem") if self._directory else None

    def start(self) -> None:
        """Listen and serve. The endpoint is reachable when this returns."""
        if self._loop is not None:
            raise RuntimeError("the server is running")
        context = self._tls_context() if self.tls else None
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family, backlog=1024)
        self.port = listener.getsockname()[1]
        self._loop = Loop(self._service, listener, context, self.limits)
        self._thread = threading.Thread(target=self._loop.run, name="objectfs-sim", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and end the thread. The store stays; ``start`` serves it again."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        loop.stop()
        thread.join()
        self._loop = self._thread = None
        self.store.close()
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _tls_context(self) -> ssl.SSLContext:
        from objectfs.sim.sockets.tls import make_certificate

        self._directory = tempfile.TemporaryDirectory(prefix="objectfs-sim-")
        try:
            certificate, key = make_certificate(Path(self._directory.name), self.host, self._service.domains)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
        except BaseException:
            self._directory.cleanup()
            self._directory = None
            raise
        context.set_alpn_protocols(["http/1.1"])
        return context

    def __enter__(self) -> S3Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host: an address of the loopback interface, or ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _network(profile: Profile) -> Network | None:
    return None if profile.unlimited else Network(profile)


def _make_store(store: str | Path | Store | None, discard: bool) -> Store:
    if isinstance(store, Store):
        return store
    if store is None or store == "memory":
        return Store(discard=discard)
    from objectfs.sim.store.directory import DirectoryStore

    return DirectoryStore(Path(store), discard=discard)
