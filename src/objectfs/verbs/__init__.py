"""The verbs of Client and AsyncClient, which ``client.py`` and ``aio.py`` put together: each blocking class has a twin
that awaits."""
