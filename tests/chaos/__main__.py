"""``python -m tests.chaos --minutes 10``: the whole stack as processes, and everything that can go wrong around it."""

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
    minutes: Annotated[float, typer.Option(help="How long the trouble lasts.")] = 10.0,
    seed: Annotated[int | None, typer.Option(help="The schedule of an earlier run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the report.")] = False,
) -> None:
    """Exit code 1: something broke that must hold whatever happens."""
    given = secrets.randbelow(1_000_000) if seed is None else seed
    _say(f"seed {given}: again with  make chaos MINUTES={minutes:g} SEED={given}")
    report = asyncio.run(run(given, 60 * minutes, (lambda _: None) if quiet else _say))
    print(json.dumps(asdict(report), indent=1) if as_json else told(report))  # noqa: T201 - what it was run for
    raise typer.Exit(int(bool(report.broken)))


def told(report: Report) -> str:
    """The report as a person reads it."""
    count = sum(report.faults.values())
    survived = "and something broke" if report.broken else f"{count} survived"
    lines = [f"seed {report.seed}, {report.seconds:.0f} s: {count} faults injected, {survived}"]
    lines += _block("what was done", report.faults)
    lines += _block("requests that met a fault", report.met)
    lines += _block("what went on meanwhile", report.load)
    lines += _block("the host that lived through it, grown by", {k: round(v, 1) for k, v in report.grown.items()})
    lines += (
        [f"everything was as it should be {report.calm_after:.0f} s after the last fault"] if not report.broken else []
    )
    lines += [] if report.sets_clocks else ["no clock of a host was set: this needs Linux and a C compiler (cc)"]
    return "\n".join([*lines, *(f"BROKEN  {one}" for one in report.broken)])


def _block(title: str, numbers: Mapping[str, float]) -> list[str]:
    return [f"\n{title}", *(f"  {value:>8,}  {name}" for name, value in sorted(numbers.items()) if name)]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a person waits for it


if __name__ == "__main__":
    typer.run(main)
