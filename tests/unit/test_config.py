"""Where settings come from, and how a wrong one is told."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from objectfs.config import Config, Secret, config_path, load
from objectfs.errors import ConfigError

MiB = 1024 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def resolve(file: Path, text: str = "", environ: Mapping[str, str] | None = None, **arguments: Any) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(arguments, environ=environ or {}, path=str(file))


def test_defaults(tmp_path: Path) -> None:
    config = load({}, environ={"XDG_CONFIG_HOME": str(tmp_path)})
    assert config == Config()
    assert config.sources == {}


def test_precedence(file: Path) -> None:
    text = 'part_size = "6 MiB"\nmax_attempts = 6\nregion = "file"\n[profiles.near]\nregion = "profile"\n'
    environ = {"OBJECTFS_MAX_ATTEMPTS": "7", "OBJECTFS_PART_SIZE": "7 MiB"}
    config = resolve(file, text, environ, part_size="8 MiB", max_attempts=None)
    assert (config.part_size, config.max_attempts, config.region) == (8 * MiB, 7, "file")
    assert config.sources["part_size"] == "argument"
    assert config.sources["max_attempts"] == "environment variable OBJECTFS_MAX_ATTEMPTS"
    assert config.sources["region"] == str(file)
    near = resolve(file, text, profile="near")
    assert near.region == "profile"
    assert near.aws_profile is None
    assert near.sources["region"] == f"{file} [profiles.near]"
    assert resolve(file, text, {"OBJECTFS_PROFILE": "near"}).region == "profile"


def test_profile_of_aws(file: Path) -> None:
    assert resolve(file, profile="of-aws").aws_profile == "of-aws"
    assert resolve(file, "[profiles.here]\nprofile = 'of-aws'\n", profile="here").aws_profile == "of-aws"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("backend", "SDK", "sdk"),
        ("endpoint_url", "http://localhost:9000", "http://localhost:9000"),
        ("endpoint_url", "https://[::1]:9000/", "https://[::1]:9000"),
        ("endpoint_url", "https://s3.example.com", "https://s3.example.com"),
        ("part_size", 5 * MiB, 5 * MiB),
        ("part_size", "5MiB", 5 * MiB),
        ("part_size", "6.5 MiB", 6_815_744),
        ("part_size", "10 MB", 10_000_000),
        ("memory_limit", "1GiB", 1024 * MiB),
        ("max_connections", "12", 12),
        ("anonymous", "yes", True),
        ("anonymous", "0", False),
        ("verify", False, False),
        ("verify", "off", False),
        ("verify", "TRUE", True),
        ("verify", __file__, __file__),
        ("read_timeout", "0.5", 0.5),
        ("throughput_gbps", 25, 25.0),
        ("pace_file", "~/pace.json", os.path.expanduser("~/pace.json")),
        ("pace_file", Path("pace.json"), os.path.abspath("pace.json")),
        ("checksum", "crc32", "CRC32"),
        ("checksum", "OFF", "off"),
        ("addressing_style", "path", "path"),
    ],
)
def test_values(file: Path, name: str, value: Any, expected: Any) -> None:
    assert getattr(resolve(file, **{name: value}), name) == expected


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("backend", "boto", "'auto', 'crt', 'sdk'"),
        ("backend", 3, "'auto'"),
        ("endpoint_url", "localhost:9000", "begins with http"),
        ("endpoint_url", "s3://bucket", "begins with http"),
        ("endpoint_url", "ftp://host", "begins with http"),
        ("endpoint_url", "http://", "with a host"),
        ("endpoint_url", "http://:80", "with a host"),
        ("endpoint_url", "http://host:99999", "URL such as"),
        ("endpoint_url", "http://host:port", "URL such as"),
        ("endpoint_url", "http://host:0", "port"),
        ("endpoint_url", "http://host/path", "no path"),
        ("endpoint_url", "http://host?x=1", "no path, query"),
        ("endpoint_url", "http://host#x", "fragment"),
        ("endpoint_url", "http://ho st", "without spaces"),
        ("endpoint_url", "http://host\n", "without spaces"),
        ("endpoint_url", "http://[::1", "URL such as"),
        ("endpoint_url", "http://me:hunter2@host", "without user or password"),
        ("endpoint_url", "", "not empty"),
        ("endpoint_url", 5, "string"),
        ("part_size", "4 MiB", "from 5 MiB to 5 GiB"),
        ("part_size", "6 GiB", "from 5 MiB to 5 GiB"),
        ("part_size", "8 M", "256 MiB"),
        ("part_size", "-8 MiB", "256 MiB"),
        ("part_size", True, "256 MiB"),
        ("part_size", 8.5, "256 MiB"),
        ("memory_limit", "1 MiB", "from 64 MiB"),
        ("max_connections", 0, "from 1 to"),
        ("max_connections", "many", "whole number"),
        ("max_connections", 1.5, "whole number"),
        ("max_attempts", 0, "from 1 to 100"),
        ("max_attempts", True, "from 1 to 100"),
        ("anonymous", "perhaps", "true or false"),
        ("anonymous", 2, "true or false"),
        ("verify", "/no/such/file.pem", "exists"),
        ("verify", 5, "true, false"),
        ("verify", "", "true, false"),
        ("connect_timeout", 0, "seconds"),
        ("connect_timeout", "soon", "seconds"),
        ("read_timeout", float("nan"), "seconds"),
        ("throughput_gbps", -1, "gigabits"),
        ("pace_file", "", "path"),
        ("pace_file", 5, "path"),
        ("pace_file", b"pace.json", "path"),
        ("pace_file", "a\0b", "path"),
        ("pace_file", "\ud800", "path"),
        ("pace_file", os.path.dirname(__file__), "folder"),
        ("pace_file", os.devnull, "device"),
        ("checksum", "MD5", "'CRC64NVME'"),
        ("addressing_style", "dns", "'virtual'"),
        ("region", "", "not empty"),
        ("region", 5, "string"),
    ],
)
def test_refused(file: Path, name: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(file, **{name: value})
    text = str(caught.value)
    assert name in text
    assert "(argument)" in text
    assert words in text
    assert "hunter2" not in text
    assert isinstance(caught.value, ValueError)


def test_source_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match="environment variable OBJECTFS_MAX_ATTEMPTS"):
        resolve(file, environ={"OBJECTFS_MAX_ATTEMPTS": "x"})
    with pytest.raises(ConfigError, match=r"config\.toml\)"):
        resolve(file, "max_attempts = 0")
    with pytest.raises(ConfigError, match=r"config\.toml \[profiles\.other\]"):
        resolve(file, "[profiles.other]\nmax_attempts = 0")


def test_unknown(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"'part_sise' \(argument\)\. Did you mean 'part_size'"):
        resolve(file, part_sise=5)
    with pytest.raises(ConfigError, match="OBJECTFS_ENDPOINT"):
        resolve(file, environ={"OBJECTFS_ENDPOINT": "http://x"})
    with pytest.raises(ConfigError, match="'colour'"):
        resolve(file, "colour = 'red'")
    with pytest.raises(ConfigError, match="'colour'"):
        resolve(file, "[profiles.unused]\ncolour = 'red'")
    with pytest.raises(ConfigError, match="profiles"):
        resolve(file, "profiles = 3")


def test_variables_that_are_no_settings(file: Path) -> None:
    environ = {"OBJECTFS_NATIVE": "ON", "OBJECTFS_REQUIRE": "crt", "OBJECTFS_TEST_RGW": "x", "OBJECTFS_REGION": ""}
    assert resolve(file, environ=environ) == Config()


def test_variables_of_the_scripts_are_no_settings(file: Path) -> None:
    """A script that exports one must not make every client under it fail."""
    root = Path(__file__).resolve().parents[2]
    texts = [path.read_text() for path in (*(root / "scripts").iterdir(), root / ".ci/run") if path.is_file()]
    names = {name for text in texts for name in re.findall(r"export .*?\b(OBJECTFS_[A-Z_]+)=", text)}
    assert {"OBJECTFS_CLIENTS", "OBJECTFS_NATIVE"} <= names
    assert resolve(file, environ=dict.fromkeys(names, "x")) == Config()


def test_file(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        resolve(file, "this is no TOML")
    with pytest.raises(ConfigError, match="does not exist"):
        load({}, environ={"OBJECTFS_CONFIG": str(tmp_path / "nothing")})
    with pytest.raises(ConfigError, match="cannot be read"):
        load({}, path=str(tmp_path))
    file.write_bytes(b"region = '\xff'")
    with pytest.raises(ConfigError):
        load({}, path=str(file))
    assert config_path({"OBJECTFS_CONFIG": "/x.toml"}) == "/x.toml"
    assert config_path({}).endswith("config.toml")


def test_together(file: Path) -> None:
    with pytest.raises(ConfigError, match="without secret_access_key"):
        resolve(file, access_key_id="a")
    with pytest.raises(ConfigError, match="without access_key_id"):
        resolve(file, secret_access_key="hidden-away")
    with pytest.raises(ConfigError, match="session_token"):
        resolve(file, session_token="t")
    with pytest.raises(ConfigError, match="exclude"):
        resolve(file, access_key_id="a", secret_access_key="b", anonymous=True)
    with pytest.raises(ConfigError, match="at least two parts"):
        resolve(file, part_size="64 MiB", memory_limit="100 MiB")


def test_identity_comes_from_one_place(file: Path) -> None:
    environ = {"OBJECTFS_ACCESS_KEY_ID": "e", "OBJECTFS_SECRET_ACCESS_KEY": "es", "OBJECTFS_SESSION_TOKEN": "et"}
    both = resolve(file, environ=environ, access_key_id="a", secret_access_key="as")
    assert (both.access_key_id, both.session_token) == ("a", None)
    assert resolve(file, environ=environ, anonymous=True).access_key_id is None
    text = "[profiles.near]\naccess_key_id = 'p'\nsecret_access_key = 'ps'\n"
    near = resolve(file, text, environ, profile="near")
    assert (near.access_key_id, near.secret_access_key, near.session_token) == ("p", Secret("ps"), None)
    assert resolve(file, "", environ, profile="of-aws").access_key_id is None
    assert resolve(file, text, environ).access_key_id == "e"
    assert resolve(file, "profile = 'near'\n" + text).access_key_id == "p"


def test_secrets(file: Path) -> None:
    config = resolve(file, access_key_id="a", secret_access_key="hidden-away", session_token="t0ken")
    for text in (repr(config), str(config), f"{config.secret_access_key}", f"{config.session_token!r}", str(vars)):
        assert "hidden-away" not in text
        assert "t0ken" not in text
    assert config.secret_access_key is not None
    assert config.secret_access_key.reveal() == "hidden-away"
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(config)
    with pytest.raises(TypeError):
        "" + config.secret_access_key  # type: ignore[operator]
    with pytest.raises(ConfigError) as caught:
        resolve(file, access_key_id="a", secret_access_key=["hidden-away"])
    assert "hidden-away" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        resolve(file, secret_access_key="hidden-away")
    assert "hidden-away" not in str(caught.value)
    assert pickle.loads(pickle.dumps(Config(region="x"))).region == "x"
    assert Secret("a") == Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
