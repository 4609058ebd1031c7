"""``python -m tests.fuzz``: send a million random inputs to every entry point, on all cores, and report findings."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from tests.fuzz.runner import Block, run_block
from tests.fuzz.target import MAX_INPUT_SECONDS
from tests.fuzz.targets import TARGETS, find_target

INPUTS = 2_000
"""Inputs of one seed: enough to be worth the start, and few enough to repeat a finding quickly."""


@dataclass
class Tally:
    """The counts of a target."""

    inputs: int = 0
    rejected: int = 0
    slow_once: int = 0
    slowest: float = 0.0
    slowest_input: str = ""
    seconds: float = 0.0
    hashes: set[int] = field(default_factory=set)


@dataclass
class Run:
    """The counts and findings of all targets."""

    tallies: dict[str, Tally]
    findings: list[str] = field(default_factory=list)
    inputs: int = 0

    def add(self, block: Block, seconds: float) -> None:
        """Add the result of a block."""
        tally = self.tallies[block.target]
        tally.inputs += block.inputs
        tally.rejected += block.rejected
        tally.slow_once += block.slow_once
        tally.seconds += seconds
        tally.hashes.update(block.hashes)
        if block.slowest > tally.slowest:
            tally.slowest, tally.slowest_input = block.slowest, block.slowest_input
        self.inputs += block.inputs
        if block.finding:
            command = f"python -m tests.fuzz --only {block.target} --seed {block.seed} --inputs {INPUTS}"
            self.findings.append(f"{block.target}: {block.finding}\n  to repeat: {command}")
            _log(f"\n{self.findings[-1]}")


def timed_block(name: str, seed: int, inputs: int) -> tuple[Block, float]:
    """Run one seed of one target; return the result and the seconds it took."""
    began = time.monotonic()
    return run_block(find_target(name), seed, inputs), time.monotonic() - began


def _jobs(names: list[str], seed: int, inputs: int) -> Iterator[tuple[str, int, int]]:
    """Blocks of all targets in turn, so that a run that is cut short has covered every target."""
    shares = {name: find_target(name).share for name in names}
    remaining = {name: round(inputs * share / sum(shares.values())) for name, share in shares.items()}
    started = dict.fromkeys(names, 0)
    while any(remaining.values()):
        name = max((name for name in names if remaining[name]), key=lambda name: shares[name] / (started[name] + 1))
        size = min(INPUTS, remaining[name])
        yield name, seed + started[name], size
        remaining[name] -= size
        started[name] += 1


def main(arguments: list[str] | None = None) -> int:
    """Run the targets; return 1 if there is a finding, 2 if the time was up before all inputs were tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="send this many inputs in total")
    parser.add_argument("--minutes", type=float, default=120, help="stop after this time, and report the progress")
    parser.add_argument("--seed", type=int, default=1, help="start with this seed; each block of a target adds 1")
    parser.add_argument("--only", action="append", choices=[target.name for target in TARGETS], help="run this target")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="use this many processes")
    options = parser.parse_args(arguments)
    names = options.only or [target.name for target in TARGETS]
    run, began = Run({name: Tally() for name in names}), time.monotonic()
    ends = began + options.minutes * 60
    jobs = _jobs(names, options.seed, options.inputs)
    for finished in _run_jobs(jobs, options.cores, ends):
        run.add(*finished)
        _log(f"\r{run.inputs:,} of {options.inputs:,} inputs, {len(run.findings)} findings, "
             f"{run.inputs / (time.monotonic() - began):.0f}/s ", end="")  # fmt: skip
    _report(run, time.monotonic() - began)
    if run.findings:
        return 1
    if run.inputs >= options.inputs:
        return 0
    _log(f"the time is up: {run.inputs:,} of {options.inputs:,}; continue with --seed {options.seed + 100_000}")
    return 2


def _run_jobs(jobs: Iterator[tuple[str, int, int]], cores: int, ends: float) -> Iterator[tuple[Block, float]]:
    running: set[Future[tuple[Block, float]]] = set()
    with ProcessPoolExecutor(cores) as pool:
        while True:
            while len(running) < cores and time.monotonic() < ends and (job := next(jobs, None)):
                running.add(pool.submit(timed_block, *job))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def _report(run: Run, seconds: float) -> None:
    headings = ("inputs", "distinct", "rejected", "slowest", "slow once", "/s a core")
    _log(f"\n\n{'target':<12} " + " ".join(f"{heading:>9}" for heading in headings))
    for name, tally in run.tallies.items():
        speed = tally.inputs / tally.seconds if tally.seconds else 0
        _log(f"{name:<12} {tally.inputs:>9,} {len(tally.hashes):>9,} {tally.rejected:>9,} "
             f"{tally.slowest * 1000:>6.1f} ms {tally.slow_once:>9,} {speed:>9.0f}")  # fmt: skip
    distinct = sum(len(tally.hashes) for tally in run.tallies.values())
    _log(f"\n{run.inputs:,} inputs ({distinct:,} distinct) in {seconds / 60:.1f} min, {len(run.findings)} findings")
    _log("rejected: the product raised one of its own errors; slowest: processor time, the least of several runs;")
    _log(f"slow once: above {MAX_INPUT_SECONDS * 1000:.0f} ms in the first run only")


def _log(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - progress for a person


if __name__ == "__main__":
    sys.exit(main())
