"""The S3 service without sockets: a request head in, a response out, and the body in between."""

from __future__ import annotations

import itertools
import logging
import re
import time
from dataclasses import dataclass, field

from objectfs.sim.auth.sigv4 import STREAMING, Auth
from objectfs.sim.auth.verifier import Verifier
from objectfs.sim.body import Receiver, make_receiver
from objectfs.sim.checksums import HEADERS, UNASKED_LIMIT, Digest, is_fast, new_digest
from objectfs.sim.errors import ProtocolError, S3Error
from objectfs.sim.http import Head, Response, http_date, render_head
from objectfs.sim.integrity import verify_body
from objectfs.sim.network.faults import Fault, Faults, Injection
from objectfs.sim.network.pacing import Network
from objectfs.sim.network.spoil import refusal, replace_object, spoil_headers
from objectfs.sim.operations import objects
from objectfs.sim.operations.context import Context, etag_of, new_etag, text_element
from objectfs.sim.operations.table import HANDLERS, OBJECT_BODIES
from objectfs.sim.record import LOG_BYTES, Log, Request
from objectfs.sim.route import Target, check_key, operation_name, parse_target
from objectfs.sim.store.blobs import DiscardSink, DocumentSink, Sink
from objectfs.sim.store.memory import Bucket, Store
from objectfs.sim.store.records import Watch

logger = logging.getLogger("objectfs.sim")

# The longest is CompleteMultipartUpload with 10,000 parts and five checksums each.
MAX_DOCUMENT = 8 * 1024 * 1024
UNVERIFIED_HEADER = "x-objectfs-sim-unverified"

_ALGORITHMS = frozenset(HEADERS.values())
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(slots=True)
class Exchange:
    """One request and its answer."""

    head: Head
    record: Request
    target: Target | None
    receiver: Receiver
    number: int
    faults: Faults
    fault: Fault | None = None
    error: S3Error | None = None
    auth: Auth | None = None
    digests: dict[str, Digest] = field(default_factory=dict)
    announced: int | None = None
    watch: Watch | None = None
    finished: bool = False
    close: bool = False
    # How long the network keeps the answer back.
    latency: float = 0.0
    # The fault is the network's doing, not a planned one.
    lost: bool = False

    def note(self, effect: str, offset: int | None) -> None:
        """Record that the fault took effect."""
        self.faults.record(Injection(self.record, None if self.lost else self.fault, effect, offset))


class Service:
    """Binds the store, the verifier and the faults to the handlers. One thread calls it."""

    def __init__(
        self,
        store: Store,
        verifier: Verifier,
        faults: Faults,
        *,
        domains: tuple[str, ...] = (),
        md5_limit: int = objects.MD5_LIMIT,
        secure: bool = False,
        log_bytes: int = LOG_BYTES,
    ) -> None:
        self.store = store
        self.verifier = verifier
        self.faults = faults
        self.network: Network | None = None
        self.requests = Log(log_bytes)
        # Longest first: bucket.s3.localhost is a bucket of s3.localhost, not of localhost.
        names = {domain.lower().strip(".") for domain in ("localhost", *domains)}
        self.domains = tuple(sorted(names, key=lambda name: (-len(name), name)))
        self.md5_limit = md5_limit
        self.scheme = "https" if secure else "http"
        self._numbers = itertools.count(1)
        self._null = store.scratch

    def begin(self, head: Head, connection: int) -> Exchange:
        """Identify, authenticate and prepare to receive the body. S3 errors are kept for ``finish``;
        ProtocolError is raised when the body's length cannot be told."""
        length = head.content_length()
        coding = head.headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise ProtocolError("unknown transfer coding", status=501, code="NotImplemented")
        record = Request(head.method, head.headers, connection, head.headers.get("range"))
        target: Target | None = None
        auth: Auth | None = None
        error: S3Error | None = None
        sink: Sink = DiscardSink(self._null)
        digests: dict[str, Digest] = {}
        announced: int | None = None
        fault: Fault | None = None
        watch: Watch | None = None
        try:
            target = parse_target(head, self.domains)
            record.bucket, record.key, record.query = target.bucket, target.key, target.query
            operation = record.operation = operation_name(head, target)
            if self.network is not None:
                self._admit(record, target)
            bucket = self.store.buckets.get(target.bucket)
            self.verifier.other_region = bucket.region if bucket is not None else ""
            fault = self.faults.match(record)
            if fault is None:
                auth = self.verifier.authenticate(head, target.path, target.raw_query, target.query)
            else:
                auth = self._authenticate_and_fail(fault, head, target, record)
            if bucket is not None and bucket.region:
                _check_region(bucket, operation, auth, target.host)
            if target.key:
                check_key(target.key)
                self.store.bucket(target.bucket)
            announced = self._announced(head, length, operation, auth)
            digests = self._digests(head, operation, announced, auth)
            if operation in OBJECT_BODIES:
                watch = self._prepare(head, target, operation, announced, digests)
                sink = self.store.new_sink(target.bucket, announced)
            elif head.method in ("PUT", "POST"):
                if announced is not None and announced > MAX_DOCUMENT:
                    raise S3Error("MaxMessageLengthExceeded")
                sink = DocumentSink()
        except S3Error as caught:
            error = caught
        record.error = error.code if error else None
        self.requests.add(record, head.size)
        # After an error nothing is decoded: the body is only counted away.
        streaming = error is None and auth is not None and auth.payload in STREAMING
        receiver = make_receiver(
            sink,
            list(digests.values()),
            length=None if coding is not None else length or 0,
            # An empty body has no chunks to parse; what it lacks shows when sizes are compared.
            auth=auth if streaming and (length or coding is not None) else None,
            declared_trailers=head.headers.get("x-amz-trailer", ""),
        )
        # aws-chunked says beforehand how much it decodes to, but its chunks may tell otherwise.
        receiver.destination.limit = announced if streaming else None
        exchange = Exchange(
            head,
            record,
            target,
            receiver,
            next(self._numbers),
            self.faults,
            fault,
            error,
            auth,
            digests,
            announced,
            watch,
        )
        if fault is not None and error is not None and error.code == "RequestTimeout":
            exchange.close = True
        return exchange

    def _admit(self, record: Request, target: Target) -> None:
        """Raise SlowDown for one request too many of its prefix."""
        assert self.network is not None
        prefix = target.key or target.query.get("prefix", "")
        if not self.network.admit(record.method, target.bucket, prefix, record.started):
            raise S3Error("SlowDown")

    def _authenticate_and_fail(self, fault: Fault, head: Head, target: Target, record: Request) -> Auth:
        """Authenticate by the fault's clock; then do what the fault does before the operation, or raise its error."""

        def note(effect: str) -> None:
            self.faults.record(Injection(record, fault, effect))

        self.verifier.skew = fault.clock_skew or 0.0
        try:
            auth = self.verifier.authenticate(head, target.path, target.raw_query, target.query)
        finally:
            self.verifier.skew = 0.0
        error = refusal(fault, head, target.bucket)
        if error is not None:
            if fault.redirect is not None:
                self.verifier.redirected.add(fault.redirect)
            note("redirect" if fault.redirect is not None else "status")
            raise error
        if fault.replace is not None and replace_object(self.store, target.bucket, target.key, fault.replace):
            note("replace")
        return auth

    def _prepare(
        self, head: Head, target: Target, operation: str, announced: int | None, digests: dict[str, Digest]
    ) -> Watch | None:
        """Before an object's body comes: the checksum that S3 computes if the client gives none, and a watch on the
        key of a conditional write."""
        bucket = self.store.bucket(target.bucket)
        algorithm = self._own_checksum(bucket, target, operation, digests)
        if algorithm is not None and (is_fast(algorithm) or (announced or 0) <= UNASKED_LIMIT):
            digests[f"default {algorithm}"] = new_digest(algorithm)
        if "if-none-match" not in head.headers:
            return None
        watch = Watch(target.key)
        bucket.watches.add(watch)
        return watch

    def _own_checksum(self, bucket: Bucket, target: Target, operation: str, digests: dict[str, Digest]) -> str | None:
        """The algorithm that S3 computes besides what the client gives: CRC64NVME, or that of the upload."""
        if operation == "PutObject":
            return None if digests.keys() & _ALGORITHMS else "CRC64NVME"
        upload = bucket.uploads.get(target.query.get("uploadId", ""))
        if upload is None or upload.checksum_type == "COMPOSITE":
            return None
        algorithm = upload.algorithm or "CRC64NVME"
        return None if algorithm in digests else algorithm

    def _announced(self, head: Head, length: int | None, operation: str, auth: Auth) -> int | None:
        """The size that the body will have, if the client says. Bodies need a length or a chunked coding."""
        chunked = "transfer-encoding" in head.headers
        if length is None and not chunked:
            if operation in OBJECT_BODIES:
                raise S3Error("MissingContentLength")
            return 0
        decoded = head.headers.get("x-amz-decoded-content-length")
        if chunked and auth.payload not in STREAMING:
            raise S3Error("NotImplemented", extra={"Header": "Transfer-Encoding"})
        if auth.payload in STREAMING:
            if decoded is None or not decoded.isascii() or not decoded.isdigit() or len(decoded) > 18:
                raise S3Error("MissingContentLength", "You must provide the x-amz-decoded-content-length header.")
            size: int | None = int(decoded)
        else:
            size = length
        if size is not None and size > objects.MAX_PUT:
            raise S3Error("EntityTooLarge", extra={"ProposedSize": str(size), "MaxSizeAllowed": str(objects.MAX_PUT)})
        return size

    def _digests(self, head: Head, operation: str, announced: int | None, auth: Auth) -> dict[str, Digest]:
        """The digests to compute while the body arrives, by algorithm."""
        headers = head.headers
        names: set[str] = set()
        if operation not in ("CompleteMultipartUpload", "CreateMultipartUpload"):
            given = [HEADERS[name] for name in headers if name in HEADERS]
            trailers = [part.strip().lower() for part in headers.get("x-amz-trailer", "").split(",") if part.strip()]
            given += [HEADERS[name] for name in trailers if name in HEADERS]
            if len(given) > 1:
                raise S3Error(
                    "InvalidRequest",
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
                )
            declared = headers.get("x-amz-sdk-checksum-algorithm", "").upper()
            if declared and operation in OBJECT_BODIES and declared not in given:
                raise S3Error(
                    "InvalidRequest",
                    "x-amz-sdk-checksum-algorithm specified, but no corresponding "
                    "x-amz-checksum-* or x-amz-trailer headers were found.",
                )
            names.update(given)
        if "content-md5" in headers:
            names.add("MD5")
        if operation in OBJECT_BODIES and announced is not None and announced <= self.md5_limit:
            names.add("MD5")
        digests = {name: new_digest(name) for name in names}
        if _SHA256.fullmatch(auth.payload):
            digests["payload"] = new_digest("SHA256")
        return digests

    def fail(self, exchange: Exchange, error: S3Error) -> None:
        """The body could not be decoded: answer with the error, then close."""
        exchange.receiver.destination.sink.abort()
        # Without its traceback, whose frames hold the connection's buffers.
        exchange.error = error.with_traceback(None)
        exchange.record.error = error.code
        exchange.close = True

    def abandon(self, exchange: Exchange) -> None:
        """The connection is gone before the body was complete."""
        if not exchange.finished:
            exchange.finished = True
            exchange.receiver.destination.sink.abort()

    def finish(self, exchange: Exchange) -> Response:
        """The body is complete: do the operation. Never raises."""
        exchange.finished = True
        exchange.record.body_size = exchange.receiver.destination.size
        try:
            if exchange.error is not None:
                raise exchange.error
            response = self._operate(exchange)
        except S3Error as error:
            response = self._error(exchange, error)
        except Exception:
            logger.exception("unexpected error in %s", exchange.record.operation)
            response = self._error(exchange, S3Error("InternalError"))
        if exchange.close:
            response.close = True
        record = exchange.record
        record.status = response.status
        record.answered = time.monotonic()
        if self.network is not None:
            self._shape(exchange, response)
        return response

    def _shape(self, exchange: Exchange, response: Response) -> None:
        """What the network does to an answer."""
        assert self.network is not None
        exchange.latency = self.network.latency()
        loss = self.network.loss()
        if exchange.fault is None and loss is not None:
            effect, share, seconds = loss
            bodiless = exchange.head.method == "HEAD" or response.status in (204, 304)
            at = 0 if bodiless else int(share * response.content_length())
            exchange.fault = Fault(reset=True, at=at) if effect == "reset" else Fault(delay=seconds, at=at)
            exchange.lost = True

    def _operate(self, exchange: Exchange) -> Response:
        target, record = exchange.target, exchange.record
        assert target is not None
        context = Context(
            exchange.head,
            record.operation,
            target.bucket,
            target.key,
            target.query,
            self.store,
            self.verifier.region,
            base_url=f"{self.scheme}://{target.host}",
            watch=exchange.watch,
            verifier=self.verifier,
        )
        sink = exchange.receiver.destination.sink
        try:
            verify_body(exchange, context)
            if record.operation in OBJECT_BODIES:
                context.blob = sink.finish()
                md5 = exchange.digests.get("MD5")
                if md5 is not None:
                    digest = md5.digest()
                    context.etag = digest.hex() if digest is not None else new_etag()
                else:
                    context.etag = etag_of(context.blob, self.md5_limit)
            elif isinstance(sink, DocumentSink):
                context.document = sink.getvalue()
            context.check_owner()
            response = HANDLERS[record.operation](context)
        except S3Error:
            if context.blob is not None:
                self.store.drop(context.blob)
            else:
                sink.abort()
            raise
        if context.unverified:
            record.unverified = context.unverified
            response.headers.append((UNVERIFIED_HEADER, context.unverified))
        return response

    def _error(self, exchange: Exchange, error: S3Error) -> Response:
        exchange.record.error = error.code
        headers = list(error.headers.items())
        if error.status in (204, 304):
            return Response(error.status, headers)
        headers.append(("Content-Type", "application/xml"))
        if exchange.head.method == "HEAD":
            return Response(error.status, headers)
        extra = dict(error.extra)
        if exchange.record.key:
            extra.setdefault("Key", exchange.record.key)
        if exchange.record.bucket:
            extra.setdefault("BucketName", exchange.record.bucket)
        extra["Resource"] = exchange.target.path if exchange.target else exchange.head.target
        return Response(error.status, headers, error_document(error.code, error.message, extra, exchange.number))

    def render(self, exchange: Exchange, response: Response, keep_alive: bool) -> bytes:
        """The response head, with the headers that every response has."""
        number = exchange.number
        headers = [
            ("x-amz-id-2", f"c2ltdWxhdG9y{number:012x}"),
            ("x-amz-request-id", f"{number:016X}"),
            ("Date", http_date()),
            *response.headers,
        ]
        known = exchange.record.bucket and (not exchange.record.key or response.status >= 400)
        if known and not any(name == "x-amz-bucket-region" for name, _ in response.headers):
            bucket = self.store.buckets.get(exchange.record.bucket)
            headers.append(("x-amz-bucket-region", (bucket and bucket.region) or self.verifier.region))
        if response.status != 204 and response.status != 304:
            headers.append(("Content-Length", str(response.content_length())))
        headers.append(("Server", "AmazonS3"))
        if not keep_alive:
            headers.append(("Connection", "close"))
        elif not exchange.head.version:
            headers.append(("Connection", "keep-alive"))
        if exchange.fault is not None:
            headers = spoil_headers(exchange, headers)
        return render_head(response.status, headers)


def _check_region(bucket: Bucket, operation: str, auth: Auth, host: str) -> None:
    """A bucket of another region is reached by requests that are signed for that region; others are sent there.
    Only its location is told to everybody. (S3 names the other region's host; here this one serves them all.)"""
    region = auth.scope.split("/")[1] if auth.scope else bucket.region
    if region != bucket.region and operation not in ("GetBucketLocation", "CreateBucket"):
        raise S3Error(
            "PermanentRedirect",
            headers={"x-amz-bucket-region": bucket.region},
            extra={"Endpoint": host, "Bucket": bucket.name},
        )


def error_document(code: str, message: str, extra: dict[str, str], number: int) -> bytes:
    content = "".join(text_element(name, value) for name, value in extra.items())
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code>{text_element('Message', message)}"
        f"{content}<RequestId>{number:016X}</RequestId><HostId>c2ltdWxhdG9y{number:012x}</HostId></Error>"
    )
    return text.encode("utf-8", "replace")
