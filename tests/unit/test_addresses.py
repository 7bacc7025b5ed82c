"""Where requests go: what the engine uses is what botocore's own client does, for every kind of name and setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from objectfs import errors
from objectfs.backends.session import Session
from objectfs.config import load

ACCOUNT = "123456789012"
BASE = {"access_key_id": "a", "secret_access_key": "b", "region": "us-west-2"}


class _Seen(Exception):
    pass


def botocore_sends(settings: dict[str, Any], bucket: str) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of GetObject, from a botocore client made with the same settings."""
    import botocore.config
    import botocore.session

    own: dict[str, Any] = {"s3": {}}
    for name in ("use_dualstack_endpoint", "use_fips_endpoint"):
        if name in settings:
            own[name] = settings[name]
    for name in ("addressing_style", "use_accelerate_endpoint"):
        if name in settings:
            own["s3"][name] = settings[name]
    client = botocore.session.Session().create_client(
        "s3",
        region_name=settings.get("region", BASE["region"]),
        endpoint_url=settings.get("endpoint_url"),
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=botocore.config.Config(**own),
    )
    urls = []

    def seen(request: Any, **_: Any) -> Any:
        urls.append(request.url)
        raise _Seen

    # a directory bucket is asked for a session first, at the same place
    client.meta.events.register_first("before-send.s3", seen)
    with pytest.raises(_Seen):
        client.get_object(Bucket=bucket, Key="k")
    url = urlsplit(urls[0])
    path = url.path.removesuffix("/").removesuffix("/k")
    return url.scheme, url.hostname or "", url.port or (443 if url.scheme == "https" else 80), path


@pytest.mark.parametrize(
    "bucket",
    [
        "plain",
        "with.dots",
        f"arn:aws:s3:eu-west-1:{ACCOUNT}:accesspoint/point",
        f"arn:aws:s3-object-lambda:us-west-2:{ACCOUNT}:accesspoint/point",
        f"arn:aws:s3-outposts:us-west-2:{ACCOUNT}:outpost/op-01234567890123456/accesspoint/point",
        "point-abcdefghijklmnopqrstuvwxyz0123usw2-s3alias",
        "name--usw2-az1--x-s3",
    ],
)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_dualstack_endpoint": True},
        {"use_fips_endpoint": True},
        {"use_fips_endpoint": True, "use_dualstack_endpoint": True},
        {"use_accelerate_endpoint": True},
        {"addressing_style": "path"},
        {"region": "cn-north-1"},
        {"region": "us-gov-west-1", "use_fips_endpoint": True},
        {"endpoint_url": "https://s3.example.com:8443"},
        {"endpoint_url": "http://127.0.0.1:9000"},
    ],
    ids=str,
)
def test_the_same_as_botocore(settings: dict[str, Any], bucket: str) -> None:
    expected: Any
    try:
        expected = botocore_sends(settings, bucket)
    except Exception as error:  # what the rules refuse
        expected = str(error).rpartition(": ")[2].rstrip(".")
    if isinstance(expected, str):
        with pytest.raises((errors.ConfigError, errors.InvalidRequestError)) as caught:
            Session(load({**BASE, **settings})).endpoint(bucket)
        assert expected in str(caught.value)
        return
    found = Session(load({**BASE, **settings})).endpoint(bucket)
    assert (found.scheme, found.host, found.port, found.path_prefix) == expected


@pytest.mark.parametrize(
    ("lines", "host", "prefix"),
    [
        ("use_accelerate_endpoint = true", "plain.s3-accelerate.amazonaws.com", ""),
        ("addressing_style = path", "s3.us-west-2.amazonaws.com", "/plain"),
        ("use_dualstack_endpoint = true", "plain.s3.dualstack.us-west-2.amazonaws.com", ""),
    ],
)
def test_awss_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, host: str, prefix: str) -> None:
    path = tmp_path / "config"
    path.write_text(f"[default]\ns3 =\n  {lines}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    found = Session(load(BASE)).endpoint("plain")
    assert (found.host, found.path_prefix) == (host, prefix)


def test_ours_comes_before_awss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config"
    path.write_text("[default]\nuse_fips_endpoint = true\ns3 =\n  addressing_style = path\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    found = Session(load({**BASE, "addressing_style": "virtual", "use_fips_endpoint": False})).endpoint("plain")
    assert (found.host, found.path_prefix) == ("plain.s3.us-west-2.amazonaws.com", "")
    monkeypatch.setenv("OBJECTFS_USE_DUALSTACK_ENDPOINT", "yes")
    found = Session(load({**BASE, "use_fips_endpoint": False})).endpoint("plain")
    assert (found.host, found.path_prefix) == ("s3.dualstack.us-west-2.amazonaws.com", "/plain")


def test_multi_region_access_points_are_refused_in_words() -> None:
    with pytest.raises(errors.ObjectFSError) as caught:
        Session(load(BASE)).endpoint(f"arn:aws:s3::{ACCOUNT}:accesspoint/mfzwi23gnjvgw.mrap")
    assert "awscrt" in str(caught.value) or "crt" in str(caught.value)
