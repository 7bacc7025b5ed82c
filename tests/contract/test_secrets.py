"""No secret gets out: all verbs, with failures, with every logger at its most talkative, on both backends."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from objectfs.backends import redact

from .conftest import BACKENDS

SECRET = "secret/access+key/that/nobody/may/see/40ch"
TOKEN = "session+token/of/the/test/which==is//quite+long/and/has/chars=to/escape"
CUSTOMER_KEY = bytes(range(200, 232))
PROXY_PASSWORD = "proxy-pass-word-9"

RUN = '''
import asyncio, contextlib, io, json, logging, os, pickle, sys, time, traceback, warnings
from pathlib import Path

folder, backend, secret, token, password, rollout = Path(sys.argv[1]), *sys.argv[2:]
customer_key = bytes(range(200, 232))
found = {}

def keep(where, text):
    found.setdefault(where, []).append(str(text))

class Keep(logging.Handler):
    def emit(self, record):
        keep(f"log {record.name}", logging.Formatter("%(message)s").format(record))

logging.getLogger().addHandler(Keep())
for name in ("", "objectfs", "objectfs.crt", "botocore", "boto3", "urllib3", "s3transfer", "asyncio"):
    logging.getLogger(name).setLevel(1)

from objectfs.sim import Fault, S3Server
import objectfs
from objectfs.errors import ObjectFSError

def attempt(function):
    try:
        result = function()
    except Exception as error:
        keep("repr of an error", repr(error))
        keep("traceback", traceback.format_exc())
        keep("fields of an error", getattr(error, "fields", dict)())
        with contextlib.suppress(Exception):
            keep("pickle of an error", pickle.dumps(error, 0))
        failed.append(type(error).__name__)
    else:
        keep("repr of a result", repr(result))
        with contextlib.suppress(Exception):
            keep("pickle of a result", pickle.dumps(result, 0))
        return result

def dashboards(client):
    """What goes to others by itself: Prometheus's text, OpenTelemetry's metrics and spans."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from objectfs import otel, prometheus
    reader, spans, tracers = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    with otel.instrument(client, meter_provider=MeterProvider([reader]), tracer_provider=tracers):
        attempt(lambda: client.get("bucket", "key"))
        attempt(lambda: client.get("bucket", "nothing"))
        keep("metrics", reader.get_metrics_data().to_json())
    keep("spans", [span.to_json() for span in spans.get_finished_spans()])
    keep("Prometheus", prometheus.exposition(client))

def resumed(client, server, how):
    """Transfers that fail and leave a journal and a part of the file."""
    place = folder / "resumed"
    place.mkdir(exist_ok=True)
    (place / "file").write_bytes(bytes(range(256)) * (12 << 12))
    attempt(lambda: client.put("bucket", "resumed", bytes(16 << 20), **how))
    for operation in ("UploadPart", "GetObject"):
        server.faults.add(Fault(operation, status=503, code="SlowDown", after=1, times="all"))
    attempt(lambda: client.put_file("bucket", "sent", place / "file", resume=True, **how))
    attempt(lambda: client.get_file("bucket", "resumed", place / "got", resume=True, **how))
    server.faults.clear()
    for path in place.glob(".objectfs-*.resume"):
        keep("journal", path.read_text())

def written(client, how):
    with client.open("bucket", "opened", "wb", **how) as file:
        file.write(bytes(6 << 20))

def verbs(client, how):
    """Every verb that there is; presigned URLs are left out, for they are to be seen by who asks for them."""
    (folder / "file").write_bytes(bytes(6 << 20))
    uses = {
        "put": lambda: client.put("bucket", "key", b"content", **how),
        "put_file": lambda: client.put_file("bucket", "large", folder / "file", **how),
        "put_many": lambda: client.put_many("bucket", {"one": b"1", "two": b"2"}, **how),
        "get": lambda: client.get("bucket", "key", **how),
        "get_into": lambda: client.get_into("bucket", "large", bytearray(6 << 20), **how),
        "get_file": lambda: client.get_file("bucket", "large", folder / "got", **how),
        "get_many": lambda: client.get_many("bucket", ["one", "two"], **how),
        "iter_many": lambda: list(client.iter_many("bucket", ["one", "nothing"], **how)),
        "get_ranges": lambda: client.get_ranges("bucket", "large", [(0, 5), (99, 200)], **how),
        "head": lambda: client.head("bucket", "key", **how),
        "exists": lambda: client.exists("bucket", "nothing"),
        "open": lambda: written(client, how),
        "copy": lambda: client.copy("bucket", "key", "bucket", "copied"),
        "list": lambda: list(client.list("bucket")),
        "list_buckets": lambda: list(client.list_buckets()),
        "list_versions": lambda: list(client.list_versions("bucket")),
        "call": lambda: client.call("GetObject", Bucket="bucket", Key="one"),
        "delete": lambda: client.delete("bucket", "one"),
        "delete_many": lambda: client.delete_many("bucket", ["two", "large"]),
        "health": lambda: client.health(),
        "stats": lambda: client.stats(),
    }
    missing = {name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))} - {*uses}
    assert missing == {"close", "presign", "presign_post", "trace"}, missing
    for use in uses.values():
        attempt(use)

async def use_async(where):
    async with objectfs.AsyncClient(**where) as client:
        keep("repr of an async client", repr(client))
        await client.put("bucket", "key", b"x", sse_customer_key=customer_key)
        try:
            await client.get("bucket", "key")
        except ObjectFSError as error:
            keep("traceback", "".join(traceback.format_exception(error)))

failed = []
with S3Server(buckets=("bucket",)) as server, S3Server(buckets=("bucket",), tls=True) as secure:
    for each in (server, secure):
        each.add_access_key("who", secret, time.time() + 3600, token)
    server_in_the_clear = server
    where = {
        "endpoint_url": server.endpoint_url, "region": "us-east-1", "backend": backend, "access_key_id": "who",
        "secret_access_key": secret, "session_token": token, "max_attempts": 2, "part_size": "5 MiB",
    }
    proxy = server.endpoint_url.replace("//", f"//someone:{password}@")
    encrypted = {**where, "endpoint_url": secure.endpoint_url, "verify": str(secure.ca_file)}
    for through, where in ((None, where), (None, encrypted), (proxy, where)):
        server = secure if where is encrypted else server_in_the_clear
        for name in ("http_proxy", "HTTP_PROXY"):
            os.environ.pop(name, None)
            if through:
                os.environ[name] = through
        with objectfs.Client(**where) as client, client.trace() as trace:
            keep("repr of a client", repr(client))
            attempt(lambda: pickle.dumps(client, 0))
            for how in ({}, {"sse_customer_key": customer_key}) if server is secure else ({},):
                verbs(client, how)
            for fault in (
                Fault(status=503, code="SlowDown", times=None), Fault(status=403, code="AccessDenied", times=None),
                Fault(reset=True, times=None),
            ):
                server.faults.add(fault)
                attempt(lambda: client.get("bucket", "key"))
                attempt(lambda: client.put("bucket", "key", bytes(6 << 20), sse_customer_key=customer_key))
                server.faults.clear()
            for result in (client.presign("get", "bucket", "key"), client.presign("put", "bucket", "key")):
                found.setdefault("signatures", []).append(result.partition("X-Amz-Signature=")[2].partition("&")[0])
            found["signatures"].append(client.presign_post("bucket", "key").fields["x-amz-signature"])
            dashboards(client)
            resumed(client, server, how)
            keep("stats", client.stats())
            keep("trace", trace.drain())
    if rollout:
        both = {name: value for name, value in encrypted.items() if name != "backend"}
        with objectfs.Client(**both, rollout={"canary": 50, "shadow": True, "breaker": 1}) as client:
            verbs(client, {"sse_customer_key": customer_key})
            secure.faults.add(Fault("GetObject", reset=True, times=4))
            for number in range(4):
                attempt(lambda: client.get("bucket", f"some/{number}", sse_customer_key=customer_key))
            secure.faults.clear()
            dashboards(client)
            keep("stats", client.stats())
            keep("repr of a client", [repr(client), repr(client.backend)])
    for wrong in ({"secret_access_key": secret[::-1]}, {"session_token": token[::-1]}):
        with objectfs.Client(**{**where, **wrong}) as client:
            attempt(lambda: client.get("bucket", "key"))
            attempt(lambda: list(client.list("bucket")))
    asyncio.run(use_async(encrypted))
    for bad in ({"session_token": 5}, {"part_size": "1 MiB"}, {"endpoint_url": f"http://u:{password}@127.0.0.1"}):
        attempt(lambda: objectfs.Client(**{**where, **bad}))

    from click.testing import CliRunner
    from objectfs.cli.main import cli
    environment = {
        "OBJECTFS_ENDPOINT_URL": server.endpoint_url, "OBJECTFS_ACCESS_KEY_ID": "who", "OBJECTFS_BACKEND": backend,
        "OBJECTFS_SECRET_ACCESS_KEY": secret, "OBJECTFS_SESSION_TOKEN": token, "OBJECTFS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    os.environ.update(environment)
    with objectfs.Client() as client:
        travels = pickle.dumps(client, 0)  # what it finds by itself the other process has to find too
        keep("pickle of a client", travels)
        with pickle.loads(travels) as other:
            keep("repr of a client", repr(other))
            keep("repr of a result", other.get("bucket", "key"))
    for words in (["doctor"], ["doctor", "--check", "bucket"], ["doctor", "--report", str(folder / "report.txt")],
                  ["ls", "s3://bucket"], ["cat", "s3://bucket/nothing"]):
        answer = CliRunner().invoke(cli, words)
        keep("output of " + " ".join(words[:2]), answer.output)
    keep("report", (folder / "report.txt").read_text())

if backend == "crt":
    from objectfs.backends import crt_log
    crt_log.flush()
found["failed"] = failed
(folder / "found.json").write_text(json.dumps(found))
'''


def variants(secret: bytes) -> set[str]:
    """What it may look like in a text."""
    plain = {
        base64.b64encode(secret).decode(),
        secret.hex(),
        secret.hex().upper(),
        " ".join(f"{b:02x}" for b in secret),
    }
    try:
        plain |= {secret.decode(), quote(secret.decode(), safe=""), quote(secret.decode())}
        plain |= {base64.b64encode(b"someone:" + secret).decode()}
    except UnicodeDecodeError:
        plain |= {repr(secret)[2:-1]}
    return plain


def test_no_secret_gets_out(backend: str, tmp_path: Path, own_environment: None) -> None:
    rollout = "both" if len(BACKENDS) > 1 else ""
    command = [sys.executable, "-c", RUN, str(tmp_path), backend, SECRET, TOKEN, PROXY_PASSWORD, rollout]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    signatures = found.pop("signatures")
    failed = found.pop("failed")
    # what was looked through is what was to be looked through
    assert {"stats", "report", "traceback", "trace", "log botocore.auth", "output of doctor"} <= found.keys()
    assert {"metrics", "spans", "Prometheus", "journal", "pickle of a client"} <= found.keys()
    assert bool(rollout) is ("log objectfs.rollout" in found)
    assert (backend == "crt" or bool(rollout)) is any(where.startswith("log objectfs.crt.") for where in found)
    assert {"AccessDeniedError", "NotFoundError"} <= set(failed), failed
    assert len(signatures) == 9
    assert all(re.fullmatch("[0-9a-f]{64}", signature) for signature in signatures)
    secrets = {
        "secret access key": variants(SECRET.encode()) | variants(SECRET[::-1].encode()),
        "session token": variants(TOKEN.encode()) | variants(TOKEN[::-1].encode()),
        "customer's key": variants(CUSTOMER_KEY),
        "proxy's password": variants(PROXY_PASSWORD.encode()),
        "signature": set(signatures),
    }
    out = [("stdout", done.stdout), ("stderr", done.stderr)]
    out += [(where, text) for where, texts in found.items() for text in texts]
    leaks = {
        f"{what} in {where}: …{text[max(0, text.index(look) - 60) : text.index(look)]}…"
        for where, text in out
        for what, looks in secrets.items()
        for look in looks
        if look in text
    }
    assert not leaks, "\n".join(sorted(leaks))


@pytest.mark.parametrize(
    "line",
    [
        "x-amz-security-token: SECRET",
        "{'X-Amz-Security-Token': 'SECRET', 'a': 1}",
        "('X-Amz-Security-Token', b'SECRET')",
        "GET /k?X-Amz-Security-Token=SECRET&b=1",
        "GET /k?X-Amz-Signature=SECRET&b=1",
        "Authorization: AWS4-HMAC-SHA256 Credential=who/2026, SignedHeaders=host, Signature=SECRET",
        "x-amz-server-side-encryption-customer-key:SECRET",
        "x-amz-copy-source-server-side-encryption-customer-key: SECRET",
        "<SecretAccessKey>SECRET</SecretAccessKey>",
        "<Token-0>SECRET</Token-0>",
        "proxy http://someone:SECRET@10.0.0.1:8080",
        "Proxy-Authorization: Basic SECRET",
        "Signature:\nSECRET",
    ],
)
def test_redaction(line: str) -> None:
    shown = redact.text(line)
    assert "SECRET" not in shown
    assert "(hidden)" in shown


@pytest.mark.parametrize("line", ["GET /bucket/key 200", "no signature: AccessDenied", "http://127.0.0.1:80/a@b"])
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact.text(line) == line
