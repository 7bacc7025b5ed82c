"""Every operation of botocore's model of S3, written by both backends: the same request."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping

import botocore.session
import pytest
from botocore.model import OperationModel

import objectfs
from objectfs import errors

from .parameters import KEYS, VARIANTS, parameters
from .recorder import Recorded, Recorder

MODEL = botocore.session.get_session().get_service_model("s3")
OPERATIONS = list(MODEL.operation_names)

MAY_DIFFER = {
    "authorization": "the signature; its scope is compared",
    "x-amz-date": "the clock",
    "user-agent": "who asks",
    "amz-sdk-invocation-id": "botocore's number for the call",
    "amz-sdk-request": "botocore's number for the attempt",
    "accept-encoding": "http.client says that it takes no coding; without the header that is so too",
    "expect": "botocore asks before it sends a file; the engine has its own ways",
    "x-amz-content-sha256": "S3 takes the hash and UNSIGNED-PAYLOAD; each is checked",
    "content-length": "where there is no body botocore says 0 for DELETE too, and nothing means the same",
}
"""Headers that the backends may send differently, and why. All others are the same, or there is no such header."""


def send(client: objectfs.Client, recorder: Recorder, operation: str, params: Mapping[str, object]) -> Recorded:
    """What goes over the wire. The empty answer is an error to some operations; other tests have answers."""
    recorder.take()
    try:
        client.call(operation, timeout=20, **params)
    except errors.ServerError as error:
        if error.status != 200:
            raise
    (request,) = recorder.take()
    return request


def check_alone(request: Recorded, model: OperationModel) -> None:
    """What S3 asks of a request, whoever sends it."""
    sha = request.headers.get("x-amz-content-sha256")
    assert sha in ("UNSIGNED-PAYLOAD", hashlib.sha256(request.body).hexdigest())
    assert request.headers.get("content-length", "0") == str(len(request.body))
    assert not request.trailers
    if model.http_checksum.get("requestChecksumRequired") or model.http_checksum_required:
        check_checksum(request)


def check_checksum(request: Recorded) -> None:
    found = {name: value for name, value in request.headers.items() if re.match(r"x-amz-checksum-(?!algo|type)", name)}
    made = {
        "x-amz-checksum-crc32": zlib.crc32(request.body).to_bytes(4, "big"),
        "x-amz-checksum-sha1": hashlib.sha1(request.body).digest(),
        "x-amz-checksum-sha256": hashlib.sha256(request.body).digest(),
        "x-amz-checksum-sha512": hashlib.sha512(request.body).digest(),
    }
    assert len(found) == 1
    for name, value in found.items():
        assert base64.b64encode(made[name]).decode() == value


def scope(request: Recorded) -> str | None:
    """For which region and service it is signed."""
    found = re.search(r"Credential=test/\d{8}/([^,]*)/aws4_request", request.headers.get("authorization", ""))
    return found and found[1]


def compare(requests: Mapping[str, Recorded]) -> None:
    one, *others = requests.values()
    for other in others:
        assert (other.method, other.path, other.query) == (one.method, one.path, one.query)
        assert other.body == one.body
        assert scope(other) == scope(one)
        for name in one.headers.keys() | other.headers.keys():
            if name not in MAY_DIFFER:
                values = [request.headers.get(name) for request in (one, other)]
                if name == "x-amz-checksum-mode":  # "enabled" by the engine
                    values = [value and value.upper() for value in values]
                assert values[0] == values[1], name


@pytest.mark.parametrize("operation", OPERATIONS)
def test_same_request(operation: str, clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    model = MODEL.operation_model(operation)
    keys = KEYS if "Key" in (model.input_shape.members if model.input_shape else {}) else KEYS[:1]
    cases = [(variant, keys[index % len(keys)]) for index, variant in enumerate(VARIANTS)]
    cases += [("required", key) for key in keys[3:]]
    for variant, key in cases:
        params = parameters(model, variant, key)
        for token in model.idempotent_members:
            params.setdefault(token, "token")
        requests = {name: send(client, recorder, operation, params) for name, client in clients.items()}
        for request in requests.values():
            check_alone(request, model)
        compare(requests)


def test_there_is_something_to_walk() -> None:
    """botocore 1.38, the oldest that is supported, had 104 operations; the generator reaches what it should."""
    assert len(OPERATIONS) > 100
    full = parameters(MODEL.operation_model("PutObject"), "full", KEYS[1])
    assert set(full) == set(MODEL.operation_model("PutObject").input_shape.members)
    assert parameters(MODEL.operation_model("PutObject"), "required", "k") == {"Bucket": "a-bucket", "Key": "k"}
    rules = parameters(MODEL.operation_model("PutBucketLifecycleConfiguration"), "other")["LifecycleConfiguration"][
        "Rules"
    ]
    assert len(rules) == 3
    assert rules[0] != rules[1]


def test_paths(clients: dict[str, objectfs.Client], recorder: Recorder) -> None:
    """The names arrive as they are, in the one form that signatures have."""
    for client in clients.values():
        for key, path in (
            (KEYS[2], "/a-bucket/../up/./here/../there"),
            (KEYS[3], "/a-bucket///two//slashes//"),
            (KEYS[5], "/a-bucket/50%2525%2Bplus%252F"),
            (KEYS[7], "/a-bucket/line%0Abreak%09tab%01"),
        ):
            assert send(client, recorder, "GetObject", {"Bucket": "a-bucket", "Key": key}).target == path
