"""``python -m tests.simulation.soak --seeds 20000``: many histories, on every core, with the seeds that broke."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.seeds import broken

BLOCK = 100
SHOWN = 20
"""Findings that are printed in full."""


def block(seeds: range) -> list[str]:
    """What the seeds of one block broke."""
    return [found for seed in seeds if (found := broken(seed))]


def main(arguments: list[str] | None = None) -> int:
    """Live through all of them; returns 1 where one broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    last = given.first + given.seeds
    blocks = [range(first, min(first + BLOCK, last)) for first in range(given.first, last, BLOCK)]
    started, done, findings = time.monotonic(), 0, list[str]()
    with ProcessPoolExecutor(given.cores) as cores:
        for found in cores.map(block, blocks):
            done += BLOCK
            findings += found
            _show(min(done, given.seeds), given.seeds, findings, time.monotonic() - started, given.cores)
    _say("\n" + "\n".join(findings[:SHOWN]) + f"\n{given.seeds} histories, {len(findings)} broke an invariant")
    return 1 if findings else 0


def _show(done: int, of: int, findings: list[str], seconds: float, cores: int) -> None:
    speed = done / seconds
    _say(f"\r{done}/{of}  {len(findings)} broken  {speed:.0f} seeds/s, {speed / cores:.0f} a core ", end="")


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - a person waits for it


if __name__ == "__main__":
    sys.exit(main())
