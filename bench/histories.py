"""What a simulated history costs, and what it holds."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.seeds import simulate
from tests.simulation.virtual_time import run


def rows(effort: Effort) -> Iterator[Row]:
    """Processor time of a history, beside that of its waits alone."""
    seeds, rounds = effort.choose(200, 50), 3
    _simulate(1)  # imports
    found = [_simulate(seeds) for _ in range(rounds)]
    spent, held = min(seconds for seconds, _ in found), found[0][1]
    waits = min(_waits(held["calls of gateways"]) for _ in range(rounds))
    yield Row(
        name="simulated history",
        description="one seed of the simulation on one core",
        unit="ms",
        value=1000 * spent / seeds,
        target=10,
        bound=1000 * waits / seeds,
        bound_description="as many waits in virtual time as it calls gateways, and nothing else",
        method=f"Processor time of {seeds} seeds, the least of {rounds} rounds; 10 ms are 100 seeds a second",
        details={
            **{f"{name} a history": count / seeds for name, count in held.items()},
            "µs a call": 1e6 * spent / held["calls of gateways"],
            "times the bound": spent / waits,
        },
        missed_because="a history holds several releases with users, faults and runs of the timer: see its calls",
    )


def _simulate(seeds: int) -> tuple[float, Counter[str]]:
    """Processor time of so many histories, and what they hold."""
    began, held = time.process_time(), Counter[str]()
    for seed in range(seeds):
        try:
            history = simulate(seed)
        except InvariantError as error:
            raise NotMeasuredError(f"seed {seed}: {error}") from error
        held["calls of gateways"] += history.dice.calls
        held["versions"] += history.foundry.create_count
        held["decisions"] += len(history.journal.lines)
    return time.process_time() - began, held


def _waits(count: int) -> float:
    """Processor time of waits one after the other."""

    async def wait() -> None:
        for _ in range(count):
            await asyncio.sleep(0.1)

    began = time.process_time()
    run(wait())
    return time.process_time() - began
