"""What is measured, and what each figure must be: the table of the engine's requirements."""

from __future__ import annotations

from dataclasses import dataclass

from objectfs.bench.content import GIB, KIB, MIB

OURS = "objectfs-crt"
CLIENTS = {
    "raw": "objectfs.bench.engine.clients.raw:make",
    OURS: "objectfs.bench.engine.clients.ours:make_crt",
    "objectfs-sdk": "objectfs.bench.engine.clients.ours:make_sdk",
    "boto3": "objectfs.bench.engine.clients.boto:make",
    "awscrt": "objectfs.bench.engine.clients.crt:make",
    "obstore": "objectfs.bench.engine.clients.obstore:make",
}
PEERS = tuple(CLIENTS)

BUCKET = "bench"
SINK = "sink"  # the embedded server keeps only the size of what is put there


@dataclass(frozen=True, slots=True)
class Limit:
    """``figure`` of ObjectFS must be at most ``factor`` times that of ``peer``; without a peer, at most
    ``factor``."""

    figure: str
    factor: float
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the table.

    ``verb`` is the method of a peer; "import" measures ``import objectfs`` instead. ``settings`` are for
    ObjectFS.
    """

    name: str
    title: str
    verb: str
    count: int
    size: int
    limits: tuple[Limit, ...]
    clients: tuple[str, ...] = PEERS
    settings: tuple[tuple[str, object], ...] = ()

    @property
    def keys(self) -> list[str]:
        """Names of objects; the size is in the name, for the server that has nothing but sockets."""
        if self.count == 1:
            return [f"object-{self.size}"]
        return [f"{self.name}/{number:05}-{self.size}" for number in range(self.count)]


SCENARIOS = (
    Scenario(
        "get_into",
        "1 GiB get_into",
        "get_into",
        1,
        GIB,
        (
            Limit("cpu", 0.75, "raw"),
            Limit("cpu", 0.4, "awscrt"),
            Limit("cpu", 0.35, "obstore"),
            Limit("cpu", 0.2, "boto3"),
            Limit("wall", 0.8, "awscrt"),
            Limit("wall", 0.8, "obstore"),
            Limit("wall", 0.8, "boto3"),
        ),
    ),
    Scenario(
        "put",
        "1 GiB put from memory",
        "put",
        1,
        GIB,
        (
            Limit("cpu", 1.15, "raw"),
            Limit("cpu", 0.6, "awscrt"),
            Limit("cpu", 0.75, "obstore"),
            Limit("cpu", 0.3, "boto3"),
        ),
    ),
    Scenario(
        "many_1m",
        "1,000 x 1 MiB get_many, kept",
        "get_many",
        1000,
        MIB,
        (Limit("cpu", 0.5, "awscrt"), Limit("cpu", 0.9, "obstore"), Limit("cpu", 0.45, "boto3")),
    ),
    Scenario(
        "many_4k",
        "2,000 x 4 KiB get_many",
        "get_many",
        2000,
        4 * KIB,
        (Limit("cpu", 0.4, "awscrt"), Limit("cpu", 0.05, "boto3")),
    ),
    Scenario(
        "get_file",
        "1 GiB get_file (tmpfs)",
        "get_file",
        1,
        GIB,
        (Limit("cpu", 0.65, "awscrt"), Limit("wall", 0.65, "awscrt")),
    ),
    Scenario(
        "memory",
        "4 GiB get_file, memory_limit=256 MiB",
        "get_file",
        1,
        4 * GIB,
        (Limit("rss_mib", 350),),
        clients=(OURS, "objectfs-sdk"),
        settings=(("memory_limit", 256 * MIB),),
    ),
    Scenario("import", "import objectfs", "import", 1, 0, (Limit("wall", 0.060),), clients=(OURS,)),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
