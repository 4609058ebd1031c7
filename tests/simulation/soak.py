"""``python -m tests.simulation.soak --seeds 20000``: run many histories on every core, and print the violations."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.worlds import AGENT_WORLD, WORLDS, find_violation

BLOCK = 100
MAX_SHOWN = 20


def run_block(seeds: range, world: str = AGENT_WORLD) -> list[str]:
    """Run some histories; return the violations."""
    return [violation for seed in seeds if (violation := find_violation(seed, world=world))]


def main(arguments: list[str] | None = None) -> int:
    """Run every history; return 1 if one violates an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--world", choices=WORLDS, default=AGENT_WORLD, help="what the histories are about")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    end = options.first + options.seeds
    blocks = [range(first, min(first + BLOCK, end)) for first in range(options.first, end, BLOCK)]
    started, done, violations = time.monotonic(), 0, list[str]()
    with ProcessPoolExecutor(options.cores) as cores:
        for found in cores.map(partial(run_block, world=options.world), blocks):
            done += BLOCK
            violations += found
            _print_progress(
                min(done, options.seeds), options.seeds, violations, time.monotonic() - started, options.cores
            )
    shown = "\n".join(violations[:MAX_SHOWN])
    _print(f"\n{shown}\n{options.seeds} histories, {len(violations)} violated an invariant")
    return 1 if violations else 0


def _print_progress(done: int, total: int, violations: list[str], seconds: float, cores: int) -> None:
    speed = done / seconds
    _print(f"\r{done}/{total}  {len(violations)} failed  {speed:.0f} seeds/s, {speed / cores:.0f} per core ", end="")


def _print(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - a person waits for it


if __name__ == "__main__":
    sys.exit(main())
