"""Sessions of command-line tools: the AWS CLI, s5cmd, rclone. Each copies, syncs and lists as its user would."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from .conftest import ACCESS_KEY, SECRET_KEY, Site, need_tool

MIB = 1024 * 1024
BUCKET = "session-bucket"
NAMES = ["plain.txt", "with space.txt", "a+b=c&d.txt", "100%.txt", "ünï/日本語 🎉.txt", "deep/er/file", "quo'te"]

Run = Callable[..., str]


def data(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


def runner(site: Site, *command: str, **variables: str) -> Run:
    """Runs the tool and returns what it prints. ``fails`` names what its error output must have when it must fail."""

    def run(*arguments: str, fails: str = "", **more: str) -> str:
        result = subprocess.run(
            [*command, *arguments],
            env={**site.environment(), **variables, **more},
            cwd=site.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        output = f"{arguments}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
        if fails:
            assert result.returncode != 0, output
            assert fails in result.stdout + result.stderr, output
        else:
            assert result.returncode == 0, output
        return result.stdout

    return run


def make_tree(folder: Path, many: int = 1050) -> dict[str, bytes]:
    """A folder like a user's: odd names, an empty file, one that is uploaded in parts; and in a subfolder small ones,
    by default more than a page of them."""
    files = {name: name.encode() for name in NAMES}
    files |= {"empty": b"", "big.bin": data(17 * MIB + 3)}
    files |= {f"many/{number % 3}/{number:05}": str(number).encode() for number in range(many)}
    write_tree(folder, files)
    return files


def write_tree(folder: Path, files: dict[str, bytes]) -> None:
    for name, body in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def read_tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def other_client(site: Site) -> Iterator[Callable[[str], dict[str, bytes]]]:
    """What is in the bucket under a prefix, as another client sees it."""
    s3 = boto3.client(
        "s3",
        endpoint_url=site.server.endpoint_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
        verify=site.server.ca_file,
        config=boto3.session.Config(s3={"addressing_style": "path"}),
    )

    def stored(prefix: str) -> dict[str, bytes]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        few = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys if "/many/" not in key}
        return {key.removeprefix(prefix): few.get(key, b"") for key in keys}

    yield stored
    s3.close()


def without_many(files: dict[str, bytes]) -> dict[str, bytes]:
    """As ``stored`` returns it: the many small ones only by name."""
    return {name: b"" if name.startswith("many/") else body for name, body in files.items()}


@pytest.mark.parametrize("site", ["http-path-memory", "https-virtual-directory"], indirect=True)
def test_aws_cli(site: Site) -> None:
    tool = need_tool("aws")
    config = site.folder / "aws-config"
    config.write_text(
        "[default]\ns3 =\n"
        f"    addressing_style = {'virtual' if site.virtual else 'path'}\n"
        "    signature_version = s3v4\n    max_concurrent_requests = 4\n"
        "    multipart_threshold = 6MB\n    multipart_chunksize = 6MB\n"
    )
    variables = {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": site.endpoint, "AWS_MAX_ATTEMPTS": "1"}
    if site.server.ca_file:
        variables["AWS_CA_BUNDLE"] = site.server.ca_file
    if site.virtual:
        # Subdomains of localhost resolve for this process, as they do where the system's resolver knows RFC 6761.
        variables["PYTHONPATH"] = str(Path(__file__).parent / "sessions" / "resolver")
    aws = runner(site, tool, **variables)
    up, down = site.folder / "up", site.folder / "down"
    # Its start and its requests are slow: one page more is listed once.
    many = 60 if site.server.tls else 1050
    files = make_tree(up, many)
    url = f"s3://{BUCKET}"

    assert "make_bucket" in aws("s3", "mb", url)
    assert BUCKET in aws("s3", "ls")
    aws("s3", "sync", str(up), f"{url}/tree/", "--only-show-errors")
    with other_client(site) as stored:
        assert stored("tree/") == without_many(files)
        assert aws("s3", "sync", str(up), f"{url}/tree/") == ""
        (up / "many/0/00000").unlink()
        (up / "new").write_bytes(b"new")
        aws("s3", "sync", str(up), f"{url}/tree/", "--delete")
        assert stored("tree/").keys() == (files.keys() | {"new"}) - {"many/0/00000"}
    aws("s3", "sync", f"{url}/tree/", str(down), "--only-show-errors")
    assert read_tree(down) == read_tree(up)

    # Listings: one level, everything, and by page.
    top = aws("s3", "ls", f"{url}/tree/")
    assert ["PRE", "many/"] in [line.split() for line in top.splitlines()]
    assert top.splitlines()[-1].endswith("with space.txt")
    assert aws("s3", "ls", f"{url}/tree/many/", "--recursive", "--summarize").count("tree/many/") == many - 1
    page = json.loads(aws("s3api", "list-objects-v2", "--bucket", BUCKET, "--max-items", "2", "--prefix", "tree/many/"))
    assert [entry["Key"] for entry in page["Contents"]] == ["tree/many/0/00003", "tree/many/0/00006"]

    # One object at a time: streams, ranges, metadata, copies, presigned.
    aws("s3", "cp", f"{url}/tree/a+b=c&d.txt", f"{url}/copied/100% & +", "--metadata-directive", "COPY")
    assert aws("s3", "cp", f"{url}/copied/100% & +", "-") == "a+b=c&d.txt"
    aws("s3", "cp", str(up / "plain.txt"), f"{url}/meta", "--metadata", "owner=me", "--content-type", "text/css")
    head = json.loads(aws("s3api", "head-object", "--bucket", BUCKET, "--key", "meta"))
    assert (head["Metadata"], head["ContentType"]) == ({"owner": "me"}, "text/css")
    part = site.folder / "part"
    aws("s3api", "get-object", "--bucket", BUCKET, "--key", "tree/big.bin", "--range", "bytes=100-299", str(part))
    assert part.read_bytes() == files["big.bin"][100:300]
    aws("s3", "mv", f"{url}/meta", f"{url}/moved")
    signed = aws("s3", "presign", f"{url}/moved", "--expires-in", "60").strip()
    assert "X-Amz-Signature=" in signed
    assert signed.startswith(site.endpoint.replace("://", f"://{BUCKET}.") if site.virtual else site.endpoint)

    aws("s3", "cp", f"{url}/missing", "-", fails="404")
    aws("s3api", "get-object", "--bucket", BUCKET, "--key", "missing", str(part), fails="NoSuchKey")
    aws("s3", "ls", "s3://no-such-bucket/", fails="NoSuchBucket")
    aws("s3", "ls", f"{url}/", fails="SignatureDoesNotMatch", AWS_SECRET_ACCESS_KEY="wrong")
    aws("s3", "rb", url, fails="BucketNotEmpty")
    aws("s3", "rm", f"{url}/moved")
    aws("s3", "rb", url, "--force")
    assert aws("s3", "ls") == ""
    operations = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "ListObjectsV2"}
    assert site.operations() >= operations | {"CreateBucket", "DeleteBucket", "HeadObject", "ListBuckets"}
    assert site.errors() == {"BucketNotEmpty", "NoSuchBucket", "NoSuchKey", "SignatureDoesNotMatch"}


@pytest.mark.parametrize("site", ["http-virtual-memory", "https-path-directory"], indirect=True)
def test_s5cmd(site: Site) -> None:
    tool = need_tool("s5cmd")
    variables = {"S3_ENDPOINT_URL": site.endpoint}
    if site.server.ca_file:
        variables["SSL_CERT_FILE"] = site.server.ca_file
    if site.virtual:
        # Go's resolver knows nothing of *.localhost, but asks a proxy, which the server is as well.
        variables["HTTP_PROXY"] = site.server.endpoint_url
    options = ["--retry-count", "0", "--endpoint-url", site.endpoint]
    s5cmd = runner(site, tool, *options, **variables)
    up, down = site.folder / "up", site.folder / "down"
    files = make_tree(up)
    url = f"s3://{BUCKET}"

    s5cmd("mb", url)
    assert BUCKET in s5cmd("ls")
    s5cmd("cp", "--part-size", "6", f"{up}/", f"{url}/tree/")
    with other_client(site) as stored:
        assert stored("tree/") == without_many(files)
        assert s5cmd("sync", "--size-only", f"{up}/", f"{url}/tree/") == ""
        (up / "many/0/00000").unlink()
        (up / "new").write_bytes(b"new")
        s5cmd("sync", "--delete", "--size-only", f"{up}/", f"{url}/tree/")
        assert stored("tree/").keys() == (files.keys() | {"new"}) - {"many/0/00000"}
    s5cmd("cp", "--part-size", "6", f"{url}/tree/*", f"{down}/")
    assert read_tree(down) == read_tree(up)

    top = s5cmd("ls", f"{url}/tree/")
    assert ["DIR", "many/"] in [line.split() for line in top.splitlines()]
    assert len(s5cmd("ls", f"{url}/tree/many/*").splitlines()) == 1049
    assert s5cmd("du", f"{url}/tree/many/*").split()[0] == str(sum(len(str(n)) for n in range(1, 1050)))
    assert s5cmd("cat", f"{url}/tree/a+b=c&d.txt") == "a+b=c&d.txt"
    s5cmd("cp", f"{url}/tree/a+b=c&d.txt", f"{url}/copied/100% & +")
    assert s5cmd("cat", f"{url}/copied/100% & +") == "a+b=c&d.txt"
    s5cmd("cp", "--content-type", "text/css", "--metadata", "owner=me", str(up / "plain.txt"), f"{url}/meta")
    head = json.loads(s5cmd("--json", "head", f"{url}/meta"))
    assert (head["content_type"], head["metadata"]) == ("text/css", {"owner": "me"})
    s5cmd("mv", f"{url}/meta", f"{url}/moved")
    assert "X-Amz-Signature=" in s5cmd("presign", "--expire", "60s", f"{url}/moved")

    s5cmd("cat", f"{url}/missing", fails="not found")
    s5cmd("ls", "s3://no-such-bucket/", fails="NoSuchBucket")
    s5cmd("ls", f"{url}/", fails="SignatureDoesNotMatch", AWS_SECRET_ACCESS_KEY="wrong")
    s5cmd("rb", url, fails="BucketNotEmpty")
    s5cmd("rm", f"{url}/moved")
    s5cmd("rm", f"{url}/*")
    s5cmd("rb", url)
    operations = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObjects"}
    assert site.operations() >= operations | {"CreateBucket", "DeleteBucket", "HeadObject", "ListBuckets"}
    # It asks for the first bytes of what is empty.
    assert site.errors() == {"BucketNotEmpty", "InvalidRange", "NoSuchBucket", "NoSuchKey", "SignatureDoesNotMatch"}


@pytest.mark.parametrize("site", ["http-virtual-memory", "https-path-directory"], indirect=True)
def test_rclone(site: Site) -> None:
    tool = need_tool("rclone")
    settings = {
        "TYPE": "s3",
        "PROVIDER": "AWS",
        "ENDPOINT": site.endpoint,
        "REGION": "us-east-1",
        "ACCESS_KEY_ID": ACCESS_KEY,
        "SECRET_ACCESS_KEY": SECRET_KEY,
        "FORCE_PATH_STYLE": str(not site.virtual).lower(),
        "CHUNK_SIZE": "5M",
        "UPLOAD_CUTOFF": "6M",
    }
    variables = {f"RCLONE_CONFIG_SIM_{name}": value for name, value in settings.items()}
    if site.server.ca_file:
        variables["RCLONE_CA_CERT"] = site.server.ca_file
    if site.virtual:
        variables["HTTP_PROXY"] = site.server.endpoint_url
    if not site.server.tls:
        # Over HTTPS it sends trailing checksums; without, it cannot, and would have to read each body twice.
        variables["RCLONE_CONFIG_SIM_USE_UNSIGNED_PAYLOAD"] = "true"
    variables["RCLONE_CONFIG"] = str(site.folder / "rclone.conf")
    rclone = runner(site, tool, "--retries", "1", "--low-level-retries", "1", "--transfers", "8", **variables)
    up, down = site.folder / "up", site.folder / "down"
    files = make_tree(up)
    place = f"sim:{BUCKET}"

    rclone("mkdir", place)
    assert rclone("lsd", "sim:").split()[-1] == BUCKET
    rclone("sync", str(up), f"{place}/tree")
    with other_client(site) as stored:
        assert stored("tree/") == without_many(files)
        uploads = sum(1 for request in site.server.requests if request.operation == "PutObject")
        rclone("sync", str(up), f"{place}/tree")
        assert sum(1 for request in site.server.requests if request.operation == "PutObject") == uploads
        (up / "many/0/00000").unlink()
        (up / "new").write_bytes(b"new")
        rclone("sync", str(up), f"{place}/tree")
        assert stored("tree/").keys() == (files.keys() | {"new"}) - {"many/0/00000"}
    rclone("check", str(up), f"{place}/tree", "--download")
    rclone("sync", f"{place}/tree", str(down))
    assert read_tree(down) == read_tree(up)
    # The times of files are kept in metadata.
    assert (down / "plain.txt").stat().st_mtime == pytest.approx((up / "plain.txt").stat().st_mtime, abs=1e-3)

    top = json.loads(rclone("lsjson", f"{place}/tree"))
    assert {entry["Name"] for entry in top if entry["IsDir"]} == {"many", "deep", "ünï"}
    assert len(rclone("lsf", "-R", "--files-only", f"{place}/tree/many").splitlines()) == 1049
    assert rclone("cat", f"{place}/tree/a+b=c&d.txt") == "a+b=c&d.txt"
    assert rclone("cat", "--offset", "4", "--count", "3", f"{place}/tree/plain.txt") == "n.t"
    rclone("copyto", f"{place}/tree/a+b=c&d.txt", f"{place}/copied/100% & +")
    assert rclone("cat", f"{place}/copied/100% & +") == "a+b=c&d.txt"
    rclone("moveto", f"{place}/tree/big.bin", f"{place}/moved/big.bin")
    assert json.loads(rclone("size", "--json", f"{place}/moved")) == {"count": 1, "bytes": 17 * MIB + 3, "sizeless": 0}
    assert "X-Amz-Signature=" in rclone("link", "--expire", "60s", f"{place}/tree/plain.txt")

    # A key that is not there is an empty folder to rclone: there is nothing to do, and nothing wrong.
    rclone("copyto", f"{place}/missing", str(down / "x"))
    assert not (down / "x").exists()
    rclone("lsf", "sim:no-such-bucket", fails="directory not found")
    wrong = {"RCLONE_CONFIG_SIM_SECRET_ACCESS_KEY": "wrong"}
    rclone("lsf", place, fails="SignatureDoesNotMatch", **wrong)
    rclone("rmdir", place, fails="BucketNotEmpty")
    rclone("deletefile", f"{place}/moved/big.bin")
    rclone("purge", place)
    assert rclone("lsd", "sim:") == ""
    operations = {"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject"}
    assert site.operations() >= operations | {"CreateBucket", "DeleteBucket", "HeadObject", "ListBuckets"}
    assert site.errors() == {"BucketNotEmpty", "NoSuchBucket", "NoSuchKey", "SignatureDoesNotMatch"}
