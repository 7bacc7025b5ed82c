"""A user of Amazon's connector for PyTorch, whose client is that of Mountpoint: datasets and checkpoints."""

from __future__ import annotations

import importlib.util
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import BUCKET, CA, ENDPOINT, KEYS, MIB, REGION, data, done, raises, same

if importlib.util.find_spec("torch") is None:
    sys.path.append(str(Path(__file__).parent / "torch_stand_in"))
if CA:
    os.environ["SSL_CERT_FILE"] = CA

import s3torchconnector
import torch
from s3torchconnector import (
    S3Checkpoint,
    S3ClientConfig,
    S3Exception,
    S3IterableDataset,
    S3MapDataset,
    S3ReaderConstructor,
)

CONFIG = S3ClientConfig(force_path_style=True, part_size=5 * MIB, max_attempts=1)
PLACE = {"region": REGION, "endpoint": ENDPOINT, "s3client_config": CONFIG}
checkpoint = S3Checkpoint(**PLACE)


def uri(key: str) -> str:
    return f"s3://{BUCKET}/{key}"


def write(key: str, *pieces: bytes) -> None:
    with checkpoint.writer(uri(key)) as writer:
        for piece in pieces:
            writer.write(piece)


def read(key: str) -> bytes:
    with checkpoint.reader(uri(key)) as reader:
        return reader.read()


for key in KEYS:
    write(f"keys/{key}", key.encode())
    same(read(f"keys/{key}"), key.encode())
write("empty", b"")
same(read("empty"), b"")
big = data(17 * MIB + 3)
write("big", *(big[start : start + MIB] for start in range(0, len(big), MIB)))
assert read("big") == big

# Reading with seeks, one after the other and by ranges.
for constructor in (S3ReaderConstructor.sequential(), S3ReaderConstructor.range_based()):
    reader = S3MapDataset.from_objects([uri("big")], **PLACE, reader_constructor=constructor)[0]
    reader.seek(6 * MIB)
    same(reader.read(11), big[6 * MIB : 6 * MIB + 11])
    reader.seek(-7, 2)
    same(reader.read(), big[-7:])
    reader.seek(0)
    into = bytearray(12 * MIB)
    same(reader.readinto(into), len(into))
    assert into == big[: len(into)]

# Datasets of a prefix of more than one page.
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda n: write(f"many/{n % 3}/{n:05}", str(n).encode()), range(1050)))
names = sorted(f"many/{n % 3}/{n:05}" for n in range(1050))
dataset = S3IterableDataset.from_prefix(uri("many/"), **PLACE)
same([(reader.key, reader.read()) for reader in dataset], [(n, str(int(n[-5:])).encode()) for n in names])
same(len(S3MapDataset.from_prefix(uri("many/"), **PLACE)), 1050)
keys = [reader.key for reader in S3IterableDataset.from_prefix(uri("keys/"), **PLACE)]
same(keys, sorted(f"keys/{key}" for key in KEYS))

raises(S3Exception, lambda: read("missing"))
raises(S3Exception, lambda: list(S3IterableDataset.from_prefix("s3://no-such-bucket/", **PLACE)))
os.environ["AWS_SECRET_ACCESS_KEY"] = "wrong"
wrong = S3IterableDataset.from_prefix(uri("many/"), **PLACE)
raises(S3Exception, lambda: list(wrong))
done(f"s3torchconnector {s3torchconnector.__version__}, torch {torch.__version__}")
