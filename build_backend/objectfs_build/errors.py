"""The one exception of the build, and its rule: a sentence says what went wrong and what to do about it."""

from __future__ import annotations

__all__ = ["BuildError"]


class BuildError(Exception):
    """The native engine cannot be built. `str()` is one sentence for a person, without a traceback."""
