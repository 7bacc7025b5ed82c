"""The cases, in turns, and the exit code."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from objectfs.sim.bench.client import (
    Address,
    Client,
    bytes_per_second,
    fill,
    list_all,
    request,
    requests_per_second,
)
from objectfs.sim.bench.report import Row, report, table
from objectfs.sim.bench.servers import Server, start, start_nginx

MIB = 1 << 20
PART = 8 * MIB
GROUPS = ("get", "put", "small", "list", "memory")

Case = tuple[Row, Callable[[], float]]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    """The servers, and the cases on them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.rows: list[Row] = []
        self.cases: list[Case] = []
        self.servers: list[Server] = []
        self.remarks: list[str] = []
        processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.cpu = processors[0] if len(processors) > 1 else None
        if self.cpu is not None:
            os.sched_setaffinity(0, set(processors[1:2]))
        else:
            self.remarks.append("There is one processor only: server and client shared it.")

    def wants(self, group: str) -> bool:
        return not self.options.only or group in self.options.only

    def serve(
        self, store: str | None = None, *, verify: bool = True, synthetic: int = 0, discard: bool = False
    ) -> Server:
        server = start("sim", self.cpu, store=store, verify_signatures=verify, synthetic=synthetic, discard=discard)
        self.servers.append(server)
        return server

    def add(self, row: Row, measure: Callable[[], float]) -> Row:
        self.rows.append(row)
        self.cases.append((row, measure))
        return row

    def rate(self, address: Address, heads: list[bytes], body: memoryview | None = None) -> Callable[[], float]:
        return lambda: (
            bytes_per_second(address, heads, body, connections=self.options.connections, seconds=self.options.seconds)
            / 1e9
        )

    def prepare(self) -> None:
        """Start what is needed and line up the cases; the limits first, for others refer to them."""
        memory = self.serve(synthetic=1024 * MIB)
        directory = self.serve(str(self.folder / "store"))
        raw = start("raw", self.cpu, size=PART)
        self.servers.append(raw)
        body = memoryview(os.urandom(PART))
        for server in (memory, directory):
            client = Client(server.address)
            client.exchange(request("PUT", "/bucket/stored", {"content-length": str(PART)}), body)
            client.exchange(request("PUT", "/bucket/small", {"content-length": "4096"}), body[:4096])
            client.close()
        if self.wants("get"):
            self._gets(memory, directory, raw)
        if self.wants("put"):
            self._puts(memory, directory, raw, body)
        if self.wants("small"):
            self._small(memory, raw, body)
        if self.wants("list"):
            self._lists()

    def _gets(self, memory: Server, directory: Server, raw: Server) -> None:
        nginx = start_nginx(self.cpu, self.folder / "nginx", PART)
        plain = [request("GET", "/big", sign=False)]
        self.add(Row("GET, limit: raw sockets", "GB/s"), self.rate(raw.address, plain))
        limit = None
        if nginx is not None:
            self.servers.append(nginx)
            limit = self.add(Row("nginx with sendfile", "GB/s"), self.rate(nginx.address, plain))
        else:
            self.remarks.append(
                "nginx is not installed here, so there is no limit by it: `apt-get install nginx-light`, or "
                "--install-nginx."
            )
        ranges = [
            request("GET", "/bucket/big", {"range": f"bytes={n * PART}-{(n + 1) * PART - 1}"}) for n in range(128)
        ]
        stored = [request("GET", "/bucket/stored")]
        for name, server, heads in (
            ("GET from memory", memory, stored),
            ("GET from the directory", directory, stored),
            ("GET, synthetic, ranges", memory, ranges),
        ):
            row = Row(name, "GB/s", at_least=1.2, share=0.85, of=limit)
            self.add(row, self.rate(server.address, heads))

    def _puts(self, memory: Server, directory: Server, raw: Server, body: memoryview) -> None:
        discard = self.serve(discard=True)
        fields = {"content-length": str(PART)}
        self.add(Row("PUT, limit: raw sockets", "GB/s"), self.rate(raw.address, [request("PUT", "/k", fields)], body))
        # Every connection has its keys, and puts them again: an object is replaced, which frees the one before.
        heads = [request("PUT", f"/bucket/put{n}", fields) for n in range(self.options.connections)]
        for name, server, wanted in (
            ("PUT to memory", memory, 1.0),
            ("PUT to the directory", directory, None),
            ("PUT, discarded", discard, 1.0),
        ):
            self.add(Row(name, "GB/s", at_least=wanted), self.rate(server.address, heads, body))

    def _small(self, memory: Server, raw: Server, body: memoryview) -> None:
        open_server = self.serve(verify=False)
        client = Client(open_server.address)
        client.exchange(request("PUT", "/bucket/small", {"content-length": "4096"}, sign=False), body[:4096])
        client.close()
        for name, server, sign, wanted in (
            ("GET of 4 KiB, limit: raw sockets", raw, False, None),
            ("GET of 4 KiB, signatures off", open_server, False, 8000.0),
            ("GET of 4 KiB, signatures on", memory, True, 4000.0),
        ):
            head = request("GET", "/bucket/small", sign=sign)
            self.add(
                Row(name, "requests/s", at_least=wanted),
                lambda head=head, server=server: requests_per_second(  # type: ignore[misc]
                    server.address, head, connections=self.options.connections, seconds=self.options.seconds
                ),
            )

    def _lists(self) -> None:
        for name, store in (("memory", None), ("the directory", str(self.folder / "many"))):
            server = self.serve(store, verify=False)
            before = server.memory()
            started = time.monotonic()
            keys = self.options.keys
            fill(server.address, "bucket", (f"some/prefix/{n % 100:02d}/key-{n:07d}" for n in range(keys)))
            grown = server.memory() - before
            say(f"put {keys:,} objects to {name} in {time.monotonic() - started:.0f} s")
            self.remarks.append(
                f"The index of {keys:,} objects in {name} and the log of their requests took {grown:.0f} MiB."
            )

            def measure(server: Server = server) -> float:
                start = time.perf_counter()
                count = list_all(server.address, "bucket", sign=False)
                if count != self.options.keys:
                    raise RuntimeError(f"listed {count} keys of {self.options.keys}")
                return count / (time.perf_counter() - start)

            self.add(Row(f"list of {keys:,} objects in {name}", "keys/s", at_least=50_000.0), measure)

    def rounds(self) -> None:
        for number in range(self.options.rounds + 1):
            say(f"round {number} of {self.options.rounds}{'' if number else ', which is dropped'}")
            for row, measure in self.cases:
                value = measure()
                if number:
                    row.samples.append(value)

    def memory(self) -> None:
        """Peak memory while objects of 1 GiB are put to a directory and read, several at once."""
        server = self.serve(str(self.folder / "large"))
        body = memoryview(os.urandom(PART))
        size = self.options.large * MIB
        times = size // PART
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                client = Client(server.address)
                target = f"/bucket/large{number}"
                client.exchange(request("PUT", target, {"content-length": str(times * PART)}), body, times)
                if client.exchange(request("GET", target)) != times * PART:
                    raise RuntimeError("the object is shorter than what was put")
                client.close()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise RuntimeError("a connection failed") from errors[0]
        row = Row(
            f"peak memory, 4 objects of {size >> 20:,} MiB put and read", "MiB", [server.memory("VmHWM")], below=100
        )
        self.rows.append(row)

    def close(self) -> None:
        for server in self.servers:
            server.stop()


def install_nginx() -> None:
    if shutil.which("nginx") is None and shutil.which("apt-get") is not None:
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", "nginx-light"], check=True, stdout=2
        )


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench-server", description="Measure the embedded server with raw sockets.")
    parser.add_argument("--rounds", type=int, default=5, help="that count; one more is dropped (default 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="a case and round (default 1.5)")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--keys", type=int, default=100_000, help="objects to list (default 100,000)")
    parser.add_argument("--large", type=int, default=1024, metavar="MIB", help="size of a large object (default 1024)")
    parser.add_argument("--only", action="append", choices=GROUPS, help="may be repeated")
    parser.add_argument("--folder", type=Path, help="where directory stores are (default: memory, /dev/shm, if there)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the page for docs to this file")
    parser.add_argument("--install-nginx", action="store_true", help="install Debian's nginx-light if there is none")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table; 1 when something wanted is missed."""
    options = build_parser().parse_args(argv)
    if options.install_nginx:
        install_nginx()
    parent = options.folder or (Path("/dev/shm") if os.path.isdir("/dev/shm") else None)
    with tempfile.TemporaryDirectory(prefix="objectfs-bench-", dir=parent) as name:
        bench = Bench(options, Path(name))
        try:
            bench.prepare()
            if bench.cases:
                bench.rounds()
            if bench.wants("memory"):
                bench.memory()
        finally:
            bench.close()
        where = "/dev/shm, which is memory" if parent == Path("/dev/shm") else "a folder on disk"
        bench.remarks.append(f"Directory stores and nginx's file were in {where}.")
    rows = bench.rows
    print(table(rows))
    for remark in bench.remarks:
        print(f"- {remark}")
    if options.report is not None:
        date = dt.datetime.now(dt.UTC).date().isoformat()
        options.report.write_text(report(rows, date, options.rounds, options.seconds, bench.remarks), encoding="utf-8")
        say(f"wrote {options.report}")
    missed = [row.name for row in rows if row.met is False]
    if missed:
        say(f"missed: {'; '.join(missed)}")
    return 1 if missed else 0
