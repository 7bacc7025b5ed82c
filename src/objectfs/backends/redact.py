"""What must not stand in a log: session tokens, customers' keys, signatures, passwords."""

from __future__ import annotations

import re

__all__ = ["text"]

_HIDDEN = "(hidden)"

_VALUE = re.compile(
    # headers as headers, as parts of a dict, of a canonical request, and of S3's answers to a wrong signature, where
    # the token also comes alone and the request in hexadecimal; signatures and tokens of presigned URLs
    r"((?:x-amz-security-token|x-amz-signature|server-side-encryption-customer-key|secretaccesskey|sessiontoken"
    r"|proxy-authorization)(?:%22|['\"])?\s*(?:[:=]|%3D|%3A|',)\s*b?['\"]?(?:basic\s+|bearer\s+)?"
    r"|<Token-\d+>|<SecretAccessKey>|<SessionToken>|<CanonicalRequestBytes>|\bSignature(?:=|:\n))[^\s'\",&<][^'\",&<\\\n]*",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@'\"]*:)[^\s/@'\"]+@", re.IGNORECASE)


def text(line: str) -> str:
    """The same without them."""
    return _PASSWORD.sub(rf"\1{_HIDDEN}@", _VALUE.sub(rf"\1{_HIDDEN}", line))
