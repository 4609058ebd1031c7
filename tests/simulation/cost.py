"""``python -m tests.simulation.cost --seeds 200``: what histories hold, and their processor time, as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter

from tests.simulation.seeds import simulate
from tests.simulation.virtual_time import run

ROUNDS = 3
"""The least of so many counts: other processes disturb the others."""


def main(arguments: list[str] | None = None) -> int:
    """Print the seconds of a history, of its waits alone, and what it holds; raises InvariantError."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.cost", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args(arguments).seeds
    _simulate(1)  # imports
    found = [_simulate(seeds) for _ in range(ROUNDS)]
    held = found[0][1]
    waits = min(_wait(held["calls of gateways"]) for _ in range(ROUNDS))
    means = {
        "seconds": min(seconds for seconds, _ in found) / seeds,
        "seconds of waits": waits / seeds,
        "holds": {name: count / seeds for name, count in held.items()},
    }
    print(json.dumps(means))  # noqa: T201 - the bench reads it
    return 0


def _simulate(seeds: int) -> tuple[float, Counter[str]]:
    began, held = time.process_time(), Counter[str]()
    for seed in range(seeds):
        history = simulate(seed)
        held["calls of gateways"] += history.dice.calls
        held["versions"] += history.foundry.create_count
        held["decisions"] += len(history.journal.lines)
    return time.process_time() - began, held


def _wait(count: int) -> float:
    """Processor time of so many waits in virtual time, one after the other."""

    async def wait() -> None:
        for _ in range(count):
            await asyncio.sleep(0.1)

    began = time.process_time()
    run(wait())
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
