"""``python -m tests.chaos --minutes 10``: run the whole stack as processes, and inject faults into it."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from tests.chaos.run import Report, run


def main(
    minutes: Annotated[float, typer.Option(help="Inject faults for this long.")] = 10.0,
    seed: Annotated[int | None, typer.Option(help="Repeat the schedule of an earlier run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the report.")] = False,
) -> None:
    """Inject faults into the running stack. Exit code 1: an invariant was violated."""
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    _log(f"seed {chosen}; to repeat: make chaos MINUTES={minutes:g} SEED={chosen}")
    report = asyncio.run(run(chosen, 60 * minutes, (lambda _: None) if quiet else _log))
    print(json.dumps(asdict(report), indent=1) if as_json else as_text(report))  # noqa: T201 - the command's output
    raise typer.Exit(int(bool(report.violations)))


def as_text(report: Report) -> str:
    """The report for a person."""
    count, violations = sum(report.faults.values()), len(report.violations)
    lines = [f"seed {report.seed}, {report.seconds:.0f} s: {count} faults injected, {violations} violations"]
    lines += _block("faults injected", report.faults)
    lines += _block("requests that hit a fault", report.faulty_requests)
    lines += _block("load", report.load)
    lines += _block("growth of the host that is never killed", {k: round(v, 1) for k, v in report.growth.items()})
    if not report.violations:
        lines.append(f"recovered {report.recovery_seconds:.0f} s after the last fault")
    if not report.sets_clocks:
        lines.append("no clock of a host was set: this needs Linux and a C compiler (cc)")
    return "\n".join([*lines, *(f"VIOLATION  {violation}" for violation in report.violations)])


def _block(title: str, numbers: Mapping[str, float]) -> list[str]:
    return [f"\n{title}", *(f"  {value:>8,}  {name}" for name, value in sorted(numbers.items()) if name)]


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - progress for a person


if __name__ == "__main__":
    typer.run(main)
