"""What the server remembers of each request, for tests to look at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Request:
    """One request. ``status`` is None until the answer is ready; header names are in lower case."""

    method: str
    operation: str
    bucket: str
    key: str
    headers: dict[str, str]
    query: dict[str, str] = field(default_factory=dict)
    range: str | None = None
    status: int | None = None
    error: str | None = None
    connection: int = 0
    body_size: int = 0
    unverified: str | None = None
