"""The sockets, and the HTTP connections on them."""
