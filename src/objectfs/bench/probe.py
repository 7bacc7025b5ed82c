"""Which clients a Python environment has: ``python -m objectfs.bench.probe``, asked with a list of names."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from objectfs.bench.clients import BY_NAME


def probe(name: str) -> dict[str, str | None]:
    try:
        module = import_module(f"objectfs.bench.clients.{BY_NAME[name].module}")
        return {"version": module.version(), "reason": None}
    except ModuleNotFoundError as error:
        return {"version": None, "reason": f"the package {error.name} is not installed"}
    except Exception as error:  # whatever a package of somebody else does when it is imported
        return {"version": None, "reason": f"{type(error).__name__}: {error}"[:300]}


def main() -> None:
    order = json.loads(sys.stdin.readline())
    print(json.dumps({name: probe(name) for name in order["clients"]}), flush=True)


if __name__ == "__main__":
    main()
