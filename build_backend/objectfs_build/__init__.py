"""Build backend of ObjectFS: scikit-build-core, with the C libraries first and a fallback to pure Python.

docs/design/0002-build.md says why there is one. PEP 517/660 hooks are in `hooks`; the rest of the package
makes the prefix that the extension module links against, and scripts/build-crt uses the same code.
"""

from .hooks import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]
