"""The engine's numbers: ObjectFS beside raw sockets, boto3, awscrt and obstore, on the same server in the
same run.

The server runs on one core, the client in a fresh process pinned to another. Each process does the work once
to warm up and once measured; the clients take turns, and medians over the rounds are compared.
``scripts/bench-engine`` makes the environment and runs ``python -m objectfs.bench.engine``.
"""
