"""A self-signed certificate for a server that lives for one test."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any


def make_certificate(directory: Path, host: str) -> tuple[str, str]:
    """Write cert.pem and key.pem for ``host``, localhost and its subdomains; return their paths.

    Uses ``cryptography``, or else the ``openssl`` command; RuntimeError when neither is there."""
    certificate, key = directory / "cert.pem", directory / "key.pem"
    try:
        _with_cryptography(certificate, key, host)
    except ImportError:
        _with_openssl(certificate, key, host)
    return str(certificate), str(key)


def _names(host: str) -> tuple[list[str], list[str]]:
    addresses = ["127.0.0.1", "::1"]
    names = ["localhost", "*.localhost"]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        known, value = names, host
    else:
        known, value = addresses, host
    if value not in known:
        known.append(value)
    return names, addresses


def _with_cryptography(certificate: Path, key: Path, host: str) -> None:
    # Imported by name: the package is optional, for type checkers too.
    x509: Any = import_module("cryptography.x509")
    ec: Any = import_module("cryptography.hazmat.primitives.asymmetric.ec")
    hashes: Any = import_module("cryptography.hazmat.primitives.hashes")
    serialization: Any = import_module("cryptography.hazmat.primitives.serialization")

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "objectfs sim")])
    names, addresses = _names(host)
    now = dt.datetime.now(dt.UTC)
    alternatives = [x509.DNSName(value) for value in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(value)) for value in addresses]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    _write_private(
        key,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))


def _with_openssl(certificate: Path, key: Path, host: str) -> None:
    command = shutil.which("openssl")
    if command is None:
        raise RuntimeError("tls=True needs the 'cryptography' package or the 'openssl' command")
    names, addresses = _names(host)
    alternatives = ",".join([f"DNS:{value}" for value in names] + [f"IP:{value}" for value in addresses])
    result = subprocess.run(
        [
            command,
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=objectfs sim",
            "-addext",
            f"subjectAltName={alternatives}",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"openssl could not make a certificate: {result.stderr.strip()}")


def _write_private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
