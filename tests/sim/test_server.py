"""Starting, stopping, TLS, stores that last, synthetic objects, the command line."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import objectfs.sim.sockets.tls
from objectfs.sim import S3Server, synthetic_bytes
from objectfs.sim.store.directory import safe_name

from .conftest import Wire, connect
from .test_buckets import POLICY, fails

MIB = 1024 * 1024


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and path.parent.name == "data"]


def test_stop_frees_the_port_and_the_thread() -> None:
    before = threading.active_count()
    server = S3Server()
    server.start()
    idle = socket.create_connection((server.host, server.port))
    with pytest.raises(RuntimeError):
        server.start()
    server.stop()
    server.stop()
    assert idle.recv(1) == b""
    idle.close()
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))
    server.start()
    again = Wire(server)
    assert again.send(b"GET / HTTP/1.0\r\n\r\n").read_all().startswith(b"HTTP/1.1 403")
    again.close()
    server.stop()


@pytest.mark.parametrize("maker", ["cryptography", "openssl"])
def test_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, maker: str) -> None:
    def missing(*_: Any) -> None:
        raise ImportError

    if maker == "openssl":
        monkeypatch.setattr(objectfs.sim.sockets.tls, "_with_cryptography", missing)
    else:
        pytest.importorskip("cryptography")
        monkeypatch.setattr(objectfs.sim.sockets.tls, "_with_openssl", missing)
    body = os.urandom(20 * MIB)
    for store in (None, tmp_path):
        with S3Server(store, tls=True) as server:
            assert server.endpoint_url.startswith("https://127.0.0.1:")
            s3 = connect(server)
            s3.put_object(Bucket="bucket", Key="k", Body=body)
            assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body
            certificate = server.ca_file
            assert certificate is not None
            s3.close()
            # Plain HTTP on the TLS port ends the connection and nothing else.
            plain = Wire(server)
            plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with plain.sock, contextlib.suppress(ConnectionResetError):
                plain.read_all()
            s3 = connect(server)
            assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 1
            s3.close()
        assert not Path(certificate).exists()


def test_a_client_that_resets_before_its_handshake() -> None:
    """Python before 3.13 forgets the socket that it had begun to make: it is closed all the same."""
    with S3Server(tls=True) as server:
        assert server._loop is not None
        held, go = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            go.wait(60)

        server._loop.call(hold)
        assert held.wait(60)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with socket.create_connection(("127.0.0.1", server.port)) as second:
            go.set()
            second.settimeout(60)
            second.sendall(b"no TLS\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                while second.recv(1024):  # the first has been accepted by now
                    pass
    gc.collect()  # the warning of a socket that was forgotten is an error of this test


def test_no_way_to_make_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise ImportError

    monkeypatch.setattr(objectfs.sim.sockets.tls, "_with_cryptography", missing)
    monkeypatch.setattr(objectfs.sim.sockets.tls.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="cryptography"):
        S3Server(tls=True).start()


def test_directory_survives_a_restart(tmp_path: Path) -> None:
    data = os.urandom(11 * MIB)
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        s3.put_object(Bucket="bucket", Key="../../etc/passwd", Body=b"x", Metadata={"a": "b"}, Tagging="t=1")
        s3.upload_file(_file(tmp_path.parent / "source", data), "bucket", "日本" * 100)
        s3.put_bucket_policy(Bucket="bucket", Policy=POLICY)
        s3.create_bucket(Bucket="another")
        unfinished = s3.create_multipart_upload(Bucket="bucket", Key="u")["UploadId"]
        s3.upload_part(Bucket="bucket", Key="u", UploadId=unfinished, PartNumber=1, Body=b"left over")
        s3.close()
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        got = s3.get_object(Bucket="bucket", Key="../../etc/passwd")
        assert (got["Body"].read(), got["Metadata"], got["TagCount"]) == (b"x", {"a": "b"}, 1)
        assert s3.get_object(Bucket="bucket", Key="日本" * 100)["Body"].read() == data
        assert s3.head_object(Bucket="bucket", Key="日本" * 100, PartNumber=2)["PartsCount"] == 2
        assert s3.get_bucket_policy(Bucket="bucket")["Policy"] == POLICY
        assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["another", "bucket"]
        assert len(files(tmp_path)) == 3
        for item in s3.list_objects_v2(Bucket="bucket")["Contents"]:
            s3.delete_object(Bucket="bucket", Key=item["Key"])
        assert files(tmp_path) == []
        s3.close()


def _file(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_replacing_and_failing_leave_no_files(tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        for body in (b"one", b"two"):
            s3.put_object(Bucket="bucket", Key="k", Body=body)
        assert fails(s3.put_object, Bucket="bucket", Key="k", Body=b"3", IfNoneMatch="*")[0] == 412
        assert fails(s3.put_object, Bucket="bucket", Key="k", Body=b"3", ChecksumCRC32="AAAAAA==")[0] == 400
        upload = s3.create_multipart_upload(Bucket="bucket", Key="u")["UploadId"]
        s3.upload_part(Bucket="bucket", Key="u", UploadId=upload, PartNumber=1, Body=b"1")
        s3.upload_part(Bucket="bucket", Key="u", UploadId=upload, PartNumber=1, Body=b"2")
        assert len(files(tmp_path)) == 2
        s3.abort_multipart_upload(Bucket="bucket", Key="u", UploadId=upload)
        assert [path.read_bytes() for path in files(tmp_path)] == [b"two"]
        s3.close()


def test_replaced_object_is_still_read_to_its_end(tmp_path: Path) -> None:
    old = os.urandom(32 * MIB)
    with S3Server(tmp_path) as server:
        s3 = connect(server)
        s3.put_object(Bucket="bucket", Key="k", Body=old)
        reading = s3.get_object(Bucket="bucket", Key="k")["Body"]
        s3.put_object(Bucket="bucket", Key="k", Body=b"new")
        assert reading.read() == old
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"new"
        s3.close()


def test_safe_names_are_distinct_and_harmless() -> None:
    keys = [
        "a",
        "A",
        "a/b",
        "a%2Fb",
        ".",
        "..",
        "../x",
        "x~y",
        "\\",
        "x" * 1024,
        "x" * 1023 + "y",
        "ü" * 512,
        "\x01",
        "*",
    ]
    names = [safe_name(key) for key in keys]
    assert len(set(names)) == len(keys)
    for name in names:
        assert "/" not in name
        assert "." not in name
        assert len(name) < 200


def test_synthetic_objects_and_discarded_bodies() -> None:
    size = 10 * 1024**4
    with S3Server(discard=True) as server:
        server.store.add_synthetic("bucket", "big", size)
        s3 = connect(server)
        for start in (0, 5 * MIB - 7, size - 100):
            stop = min(start + 9 * MIB, size)
            got = s3.get_object(Bucket="bucket", Key="big", Range=f"bytes={start}-{stop - 1}")
            body = got["Body"].read()
            assert body == synthetic_bytes(start, stop)
            assert body[:5] == bytes((start + i) % 251 for i in range(5))
        put = s3.put_object(Bucket="bucket", Key="put", Body=os.urandom(MIB))
        head = s3.head_object(Bucket="bucket", Key="put", ChecksumMode="ENABLED")
        assert (head["ContentLength"], head["ChecksumCRC32"]) == (MIB, put["ChecksumCRC32"])
        assert s3.get_object(Bucket="bucket", Key="put")["Body"]._raw_stream.read() == synthetic_bytes(0, MIB)
        s3.close()


def test_the_package_imports_nothing_else_of_objectfs() -> None:
    code = (
        "import sys, objectfs.sim, objectfs.sim.cli, objectfs.sim.store.directory\n"
        "print([m for m in sys.modules if m.startswith('objectfs.') and not m.startswith('objectfs.sim')])\n"
        "print([m for m in ('boto3', 'awscrt', 'numpy', 'cryptography') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n[]\n"


@pytest.mark.parametrize("maker", ["cryptography", "openssl"])
def test_the_certificate_covers_buckets_below_a_domain(monkeypatch: pytest.MonkeyPatch, maker: str) -> None:
    """OpenSSL refuses ``*.localhost``; below a domain with a dot its verification passes."""

    def missing(*_: Any) -> None:
        raise ImportError

    if maker == "openssl":
        monkeypatch.setattr(objectfs.sim.sockets.tls, "_with_cryptography", missing)
    else:
        pytest.importorskip("cryptography")
    with S3Server(tls=True, domains=["s3.localhost"]) as server:
        context = ssl.create_default_context(cafile=server.ca_file)
        for name in ("bucket.s3.localhost", "s3.localhost", "localhost", "127.0.0.1"):
            with (
                socket.create_connection((server.host, server.port)) as plain,
                context.wrap_socket(plain, server_hostname=name) as secure,
            ):
                secure.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                assert secure.recv(12) == b"HTTP/1.1 403"
        buckets = [record.bucket for record in server.requests]
    assert buckets == ["bucket", "", "", ""]
