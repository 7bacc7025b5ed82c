"""Loaded by Python tools of other people (PYTHONPATH): ``*.localhost`` resolves, as RFC 6761 says."""

import socket

_original = socket.getaddrinfo


def _getaddrinfo(host, *rest, **named):
    name = host.decode() if isinstance(host, bytes) else host
    return _original("127.0.0.1" if isinstance(name, str) and name.endswith(".localhost") else host, *rest, **named)


socket.getaddrinfo = _getaddrinfo
