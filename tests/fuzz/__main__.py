"""``python -m tests.fuzz``: a million inputs on every core, counted by target, and how to see a finding again."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from tests.fuzz.runner import Block, live
from tests.fuzz.target import SLOWEST
from tests.fuzz.targets import TARGETS, named

INPUTS = 2_000
"""Of one seed: enough to be worth a start, few enough that a finding is soon lived through again."""


@dataclass
class Tally:
    """What became of a target."""

    inputs: int = 0
    refused: int = 0
    noise: int = 0
    slowest: float = 0.0
    slowest_input: str = ""
    seconds: float = 0.0
    marks: set[int] = field(default_factory=set)


@dataclass
class Run:
    """All of it."""

    tallies: dict[str, Tally]
    findings: list[str] = field(default_factory=list)
    inputs: int = 0

    def add(self, block: Block, seconds: float) -> None:
        """Count one block in."""
        tally = self.tallies[block.target]
        tally.inputs += block.inputs
        tally.refused += block.refused
        tally.noise += block.noise
        tally.seconds += seconds
        tally.marks.update(block.marks)
        if block.slowest > tally.slowest:
            tally.slowest, tally.slowest_input = block.slowest, block.slowest_input
        self.inputs += block.inputs
        if block.finding:
            again = f"python -m tests.fuzz --only {block.target} --seed {block.seed} --inputs {INPUTS}"
            self.findings.append(f"{block.target}: {block.finding}\n  again with: {again}")
            _say(f"\n{self.findings[-1]}")


def block(name: str, seed: int, inputs: int) -> tuple[Block, float]:
    """One seed of one target, and the seconds that it took."""
    began = time.monotonic()
    return live(named(name), seed, inputs), time.monotonic() - began


def _jobs(names: list[str], seed: int, inputs: int) -> Iterator[tuple[str, int, int]]:
    """Blocks turn about, so that a run that is cut short has seen some of everything."""
    shares = {name: named(name).share for name in names}
    left = {name: round(inputs * share / sum(shares.values())) for name, share in shares.items()}
    begun = dict.fromkeys(names, 0)
    while any(left.values()):
        name = max((one for one in names if left[one]), key=lambda one: shares[one] / (begun[one] + 1))
        size = min(INPUTS, left[name])
        yield name, seed + begun[name], size
        left[name] -= size
        begun[name] += 1


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where something broke, 2 where the time was up before all inputs were tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=120, help="stop then, and say how far it came")
    parser.add_argument("--seed", type=int, default=1, help="the first; the next block of a target has the next one")
    parser.add_argument("--only", action="append", choices=[one.name for one in TARGETS])
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    names = given.only or [one.name for one in TARGETS]
    run, began = Run({name: Tally() for name in names}), time.monotonic()
    ends = began + given.minutes * 60
    jobs = _jobs(names, given.seed, given.inputs)
    for finished in _finished(jobs, given.cores, ends):
        run.add(*finished)
        _say(f"\r{run.inputs:,} of {given.inputs:,} inputs, {len(run.findings)} findings, "
             f"{run.inputs / (time.monotonic() - began):.0f}/s ", end="")  # fmt: skip
    _report(run, time.monotonic() - began)
    if run.findings:
        return 1
    if run.inputs >= given.inputs:
        return 0
    _say(f"the time was up: {run.inputs:,} of {given.inputs:,}; go on with --seed {given.seed + 100_000}")
    return 2


def _finished(jobs: Iterator[tuple[str, int, int]], cores: int, ends: float) -> Iterator[tuple[Block, float]]:
    running: set[Future[tuple[Block, float]]] = set()
    with ProcessPoolExecutor(cores) as pool:
        while True:
            while len(running) < cores and time.monotonic() < ends and (job := next(jobs, None)):
                running.add(pool.submit(block, *job))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)


def _report(run: Run, seconds: float) -> None:
    headings = ("inputs", "different", "refused", "slowest", "over once", "/s a core")
    _say(f"\n\n{'target':<12} " + " ".join(f"{one:>9}" for one in headings))
    for name, tally in run.tallies.items():
        speed = tally.inputs / tally.seconds if tally.seconds else 0
        _say(f"{name:<12} {tally.inputs:>9,} {len(tally.marks):>9,} {tally.refused:>9,} "
             f"{tally.slowest * 1000:>6.1f} ms {tally.noise:>9,} {speed:>9.0f}")  # fmt: skip
    different = sum(len(tally.marks) for tally in run.tallies.values())
    _say(f"\n{run.inputs:,} inputs ({different:,} different) in {seconds / 60:.1f} min, {len(run.findings)} findings")
    _say("refused: answered by an error of our own; slowest: processor time, the least of several measurements;")
    _say(f"over once: above {SLOWEST * 1000:.0f} ms when first measured, and not again")


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - a person waits for it


if __name__ == "__main__":
    sys.exit(main())
