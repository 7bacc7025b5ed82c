"""Which backend a client gets, and why.

``auto`` takes the first of ``crt`` and ``sdk`` that works here. One that is asked for by name is the one that
is used, or the client is not made: a program that was measured with one engine must not run on another
unnoticed. With the setting ``rollout`` both are used (``backends/rollout``), or the trusted one alone where the engine
cannot be.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from objectfs.backends.base import Attempt, Backend, BackendInfo
from objectfs.backends.session import Session
from objectfs.config import Config
from objectfs.errors import BackendUnavailableError, NativeError, UnsupportedError
from objectfs.rollout import Rollout

__all__ = ["available", "choose"]

log = logging.getLogger("objectfs.select")

ORDER = ("crt", "sdk")
"""What ``auto`` tries, best first."""

KNOWN = {"CRC32": 0xCBF43926, "CRC32C": 0xE3069283, "CRC64NVME": 0xAE8B14860A799888}
"""The self-check: what these are of ``123456789``, as the catalogue of CRCs has it. The C library chooses its
instructions by the processor; an engine that gets them wrong would refuse good content, and vouch for bad."""

_announced: dict[str, object] = {}
_threads_work = False

Make = Callable[[Session, Config], Backend]


def choose(session: Session, config: Config) -> tuple[Backend, BackendInfo]:
    """The backend for a client.

    Raises:
        BackendUnavailableError: the one asked for, or every one, cannot be used; lists all attempts.
    """
    if config.rollout is not None:
        return _routed(session, config, config.rollout)
    wanted = config.backend
    attempts: list[Attempt] = []
    for name in ORDER if wanted == "auto" else (wanted,):
        attempt, make = _load(name)
        if make is None:
            attempts.append(attempt)
            continue
        try:
            backend = make(session, config)
        except (UnsupportedError, NativeError, ImportError) as error:
            attempts.append(Attempt(name, False, str(error)))
            continue
        attempts.append(attempt)
        info = BackendInfo(name, tuple(attempts), backend.capabilities)
        _announce(info, config)
        return backend, info
    listed = "; ".join(f"{attempt.name}: {attempt.reason}" for attempt in attempts)
    if any("interpreter" in attempt.reason for attempt in attempts):
        hint = "Use threads or processes (multiprocessing) instead of sub-interpreters"
    elif wanted == "crt":
        hint = "Install with OBJECTFS_NATIVE=ON to see why the engine cannot be built, or use backend='sdk'"
    elif wanted == "sdk":
        hint = "Install boto3, or use backend='crt'"
    else:
        hint = "Install boto3, or build the engine with OBJECTFS_NATIVE=ON"
    source = config.sources.get("backend")
    asked = f"backend={wanted!r}" + (f" ({source})" if source else "")
    raise BackendUnavailableError(f"{asked} cannot be used here: {listed}", hint=hint)


def _routed(session: Session, config: Config, rules: Rollout) -> tuple[Backend, BackendInfo]:
    """Both, or the trusted one alone, and said loudly, where the engine cannot be used."""
    from objectfs.backends.rollout import RoutedBackend, without_engine

    loaded = {name: _load(name) for name in ORDER}
    attempts = {name: attempt for name, (attempt, _) in loaded.items()}
    make_engine, make_trusted = loaded["crt"][1], loaded["sdk"][1]
    if make_trusted is None:
        raise BackendUnavailableError(
            f"a rollout ({config.sources.get('rollout')}) needs the trusted backend: sdk: {attempts['sdk'].reason}",
            hint="Install boto3, or give no rollout",
        )
    backend: Backend
    if make_engine is not None:
        try:
            backend = RoutedBackend(session, config, rules, make_trusted, make_engine)
        except (UnsupportedError, NativeError, ImportError) as error:
            attempts["crt"] = Attempt("crt", False, str(error))
        else:
            info = BackendInfo("routed", tuple(attempts.values()), backend.capabilities)
            _say(f"backend routed (rollout {rules}, from {config.sources.get('rollout')})")
            return backend, info
    backend = make_trusted(session, config)
    why = f"crt was not possible: {attempts['crt'].reason}"
    _say(f"backend sdk for all of the rollout {rules}: {why}")
    said = without_engine(rules, why)  # logs it at WARNING, of each client
    return backend, BackendInfo("sdk", tuple(attempts.values()), backend.capabilities, said)


def available() -> tuple[Attempt, ...]:
    """Each backend, and whether it can be used in this installation; for ``objectfs doctor`` and the
    tests."""
    return tuple(_load(name)[0] for name in ORDER)


def _load(name: str) -> tuple[Attempt, Make | None]:
    return _load_crt() if name == "crt" else _load_sdk()


def _load_crt() -> tuple[Attempt, Make | None]:
    try:
        from objectfs import _native
    except ImportError as error:
        return Attempt("crt", False, _why_no_engine(error)), None
    wrong = [name for name, value in KNOWN.items() if _native.crc(name, b"123456789") != value]
    if wrong:
        return Attempt("crt", False, f"the engine fails its self-check: it computes wrong {', '.join(wrong)}"), None
    from objectfs.backends.crt import CrtBackend

    return Attempt("crt", True, "the engine (aws-c-s3) is built and passes its self-check"), CrtBackend


def _why_no_engine(error: ImportError) -> str:
    try:
        from objectfs import _build_info
    except ImportError:
        reason = None
    else:
        reason = getattr(_build_info, "REASON", None)
    if "_native" in str(error) and (isinstance(error, ModuleNotFoundError) or "cannot import name" in str(error)):
        return f"the engine is not built ({reason})" if reason else "the engine is not built"
    return f"the engine cannot be loaded: {error}"


def _load_sdk() -> tuple[Attempt, Make | None]:
    try:
        import botocore
    except ImportError as error:
        return Attempt("sdk", False, f"boto3 is not installed ({error})"), None
    refused = _threads_refused()
    if refused:
        return Attempt(
            "sdk", False, f"this interpreter runs no daemon threads, which requests run on ({refused})"
        ), None
    from objectfs.backends.sdk import SdkBackend

    return Attempt("sdk", True, f"botocore {botocore.__version__}"), SdkBackend


def _threads_refused() -> str | None:
    """Why no daemon thread can be had: isolated sub-interpreters have none. Better said now than by a request."""
    global _threads_work
    if not _threads_work:
        try:
            probe = threading.Thread(target=int, name="objectfs-probe", daemon=True)
            probe.start()
        except RuntimeError as error:
            return str(error)
        probe.join()  # an interpreter must not end before its threads
        _threads_work = True
    return None


def _announce(info: BackendInfo, config: Config) -> None:
    """Log the choice, once for each different one in a process."""
    failed = [f"{attempt.name} was not possible: {attempt.reason}" for attempt in info.attempts if not attempt.ok]
    if config.backend == "auto":
        why = "; ".join(failed) or "first choice"
    else:
        why = f"asked for by {config.sources.get('backend', 'argument')}"
    overruled = config.sources.get("rollout", "") if config.rollout is None else ""
    _say(f"backend {info.name} ({why})" + (f"; rollout: {overruled}" if overruled else ""))


def _say(text: str) -> None:
    """Log it once in a process."""
    ours = object()
    if _announced.setdefault(text, ours) is ours:  # no lock: a forked child might find it taken
        log.info("%s", text)
