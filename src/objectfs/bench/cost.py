"""What a run against S3 itself costs, roughly and rather too high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectfs.bench.scenarios import Scenario

# US dollars, S3 Standard in us-east-1 without the free tier, of AWS's page "Amazon S3 pricing" as of June 2025.
SOURCE = "S3 Standard in us-east-1, aws.amazon.com/s3/pricing, June 2025"
PUT = 0.005 / 1000
"""PUT, COPY, POST and LIST. DELETE is free."""
GET = 0.0004 / 1000
OUT = 0.09 / 1e9
"""A byte from S3 to the Internet; to the same region it is free."""

PART = 5 << 20
"""The smallest parts that any client uses."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Requests, and bytes that leave S3."""

    puts: int
    gets: int
    down: int
    up: int

    @property
    def requests_cost(self) -> float:
        return self.puts * PUT + self.gets * GET

    @property
    def transfer_cost(self) -> float:
        return self.down * OUT

    @property
    def traffic(self) -> str:
        return (
            f"about {self.puts:,} PUT and LIST and {self.gets:,} GET requests, {self.up / 1e9:.2f} GB up, "
            f"{self.down / 1e9:.2f} GB down"
        )

    def __str__(self) -> str:
        return (
            f"{self.traffic}: ${self.requests_cost:.2f} for requests, and ${self.transfer_cost:.2f} for transfer "
            f"unless this machine is in the bucket's region ({SOURCE})"
        )


def estimate(scenarios: Sequence[Scenario], clients: int, runs: int, scale: float, seed: int) -> Estimate:
    """Each run is done twice, to warm up and to be measured; what is written is read once to be compared."""
    puts = gets = down = up = 0
    sources = {item.key: item for scenario in scenarios for item in scenario.plan(scale, seed).sources}
    for item in sources.values():
        puts += 3 + item.size // PART
        up += item.size
    times = 2 * clients * runs
    for scenario in scenarios:
        plan = scenario.plan(scale, seed)
        if scenario.verb == "list":
            puts += times * (1 + len(plan.items) // 1000)
            continue
        for item in plan.items:
            parts = 1 + item.size // PART
            if item.put:
                puts += times * (parts + 2)
                up += times * item.size
                gets += times * parts
                down += times // 2 * item.size * (3 if scenario.verb == "trees" else 1)
            else:
                gets += times * (parts + 1)
                # A stream that is closed behind its first byte has more under way.
                down += times * (min(item.size, 64 << 20) if scenario.verb == "first_byte" else item.size)
    return Estimate(puts, gets, down, up)
