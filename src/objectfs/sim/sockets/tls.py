"""An authority that nobody knows and a certificate of its, for a server that lives for one test.

Two certificates, not one that signs itself: rustls refuses an authority's as a server's own, and Python 3.13 wants the
extensions of both.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import subprocess
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

AUTHORITY = "cert.pem"
_CHAIN, _KEY = "server.pem", "key.pem"
_DAYS = 30


def make_certificate(directory: Path, host: str, domains: Iterable[str] = ()) -> tuple[str, str]:
    """Write the authority's certificate, which clients trust, to cert.pem. Return the paths of the chain and of the
    key to serve with: for ``host``, localhost, ``domains`` and their subdomains.

    OpenSSL does not let ``*.localhost`` stand for a subdomain: the part behind the star needs a dot. Clients that use
    it verify a virtual-host style address only below a domain such as ``s3.localhost``.

    Uses ``cryptography``, or else the ``openssl`` command; RuntimeError when neither is there."""
    names, addresses = _names(host, domains)
    try:
        _with_cryptography(directory, names, addresses)
    except ImportError:
        _with_openssl(directory, names, addresses)
    return str(directory / _CHAIN), str(directory / _KEY)


def _names(host: str, domains: Iterable[str]) -> tuple[list[str], list[str]]:
    addresses = ["127.0.0.1", "::1"]
    names: list[str] = []
    for domain in ("localhost", *domains):
        name = domain.strip(".")
        names += [value for value in (name, f"*.{name}") if value not in names]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        known, value = names, host
    else:
        known, value = addresses, host
    if value not in known:
        known.append(value)
    return names, addresses


def _with_cryptography(directory: Path, names: list[str], addresses: list[str]) -> None:
    # Imported by name: the package is optional, for type checkers too.
    x509: Any = import_module("cryptography.x509")
    ec: Any = import_module("cryptography.hazmat.primitives.asymmetric.ec")
    hashes: Any = import_module("cryptography.hazmat.primitives.hashes")
    serialization: Any = import_module("cryptography.hazmat.primitives.serialization")

    pem = serialization.Encoding.PEM
    now = dt.datetime.now(dt.UTC)
    authority, private = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "objectfs sim authority")])

    def make(subject: str, key: Any, is_authority: bool, more: list[Any]) -> Any:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        ) | {"crl_sign": False, "encipher_only": False, "decipher_only": False}
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=_DAYS))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), True)
            .add_extension(x509.KeyUsage(digital_signature=not is_authority, key_cert_sign=is_authority, **usage), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False)
        )
        for extension in more:
            builder = builder.add_extension(extension, False)
        return builder.sign(authority, hashes.SHA256()).public_bytes(pem)

    trusted = make("objectfs sim authority", authority, True, [])
    alternatives = [x509.DNSName(value) for value in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(value)) for value in addresses]
    server_use = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    own = make("objectfs sim", private, False, [x509.SubjectAlternativeName(alternatives), server_use])
    (directory / AUTHORITY).write_bytes(trusted)
    (directory / _CHAIN).write_bytes(own + trusted)
    _write_private(
        directory / _KEY,
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


_CONFIG = """\
[req]
distinguished_name = subject
prompt = no
[subject]
CN = objectfs sim
[authority]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {alternatives}
"""


def _with_openssl(directory: Path, names: list[str], addresses: list[str]) -> None:
    command = shutil.which("openssl")
    if command is None:
        raise RuntimeError("tls=True needs the 'cryptography' package or the 'openssl' command")
    alternatives = ",".join([f"DNS:{value}" for value in names] + [f"IP:{value}" for value in addresses])
    # A configuration of our own: the machine's may add extensions that contradict these.
    config = directory / "openssl.cnf"
    config.write_text(_CONFIG.format(alternatives=alternatives), encoding="utf-8")
    chain, key, secret, request = (str(directory / name) for name in (_CHAIN, _KEY, "authority.key", "request.pem"))
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", str(config)]
    trusted = directory / AUTHORITY
    authority = ["-x509", "-extensions", "authority", "-subj", "/CN=objectfs sim authority", "-days", str(_DAYS)]
    signed_by = ["-CA", str(trusted), "-CAkey", secret, "-set_serial", "2", "-days", str(_DAYS)]
    for arguments in (
        ["req", *new_key, *authority, "-keyout", secret, "-out", str(trusted)],
        ["req", *new_key, "-new", "-keyout", key, "-out", request],
        ["x509", "-req", "-in", request, *signed_by, "-extfile", str(config), "-extensions", "server", "-out", chain],
    ):
        result = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(f"openssl could not make a certificate: {result.stderr.strip()}")
    with open(chain, "ab") as file:
        file.write(trusted.read_bytes())
    for path in (secret, request, str(config)):
        Path(path).unlink()


def _write_private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
