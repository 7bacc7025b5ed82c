"""The fuzzer's checks under atheris, which keeps the inputs that reach new code: scripts/fuzz-server --guided."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> None:
    import atheris

    # Only what is imported in here is watched.
    with atheris.instrument_imports(include=["objectfs.sim"]):
        from . import fuzzing
    from objectfs.sim.auth.sigv4 import STREAMING

    # libFuzzer ends the process itself, with os._exit: the folder is the system's to clear away.
    folder = Path(tempfile.mkdtemp(prefix="objectfs-fuzz-"))
    fuzzer = fuzzing.Fuzzer(folder)
    modes = sorted(STREAMING)

    def once(data: bytes) -> None:
        if len(data) < 2:
            return
        kind, detail, rest = data[0] % 8, data[1], data[2:]
        rng = random.Random(detail)
        if kind < 4:
            fuzzing.check_wire(fuzzer.memory, rest, detail % 100 + 1)
        elif kind == 4:
            fuzzing.check_body(rest, modes[detail % len(modes)], rng)
        elif kind == 5:
            fuzzing.check_xml(rest)
        elif kind == 6:
            fuzzing.check_signature(fuzzer.signed, rest)
        else:
            fuzzing.check_directory(fuzzer.directory, rest, fuzzer.root)
        if fuzzing.ERRORS.found:
            raise AssertionError(fuzzing.ERRORS.found)

    seeds = folder / "seeds"
    seeds.mkdir()
    inputs: list[tuple[int, bytes]] = [(0, data) for data in fuzzer.requests]
    inputs += [(4, data) for data in fuzzer.chunks] + [(5, data) for data in fuzzer.documents]
    for number, (kind, data) in enumerate(inputs):
        (seeds / str(number)).write_bytes(bytes((kind, number % 256)) + data)
    for number, data in enumerate(fuzzer.signed):
        (seeds / f"s{number}").write_bytes(bytes((6, number)) + data)
    arguments: list[Any] = [sys.argv[0], str(seeds), "-max_len=20000", *sys.argv[1:]]
    atheris.Setup(arguments, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
