"""How fast the server is, measured with raw sockets: ``scripts/bench-server``.

The server runs in a process of its own on one processor, the client on another. Requests are prepared beforehand, so
that the client costs as little as it can. Beside the server stand the limits: a server that sends and reads the same
bytes without looking at them, and nginx with ``sendfile``.
"""
