"""Runs the rows, several at once, and prints them as a table."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.rehearsal import azd_token
from local.rehearsal.azd import StoppedError
from local.rehearsal.bicep import MISSING, Bicep, BicepError, find_compiler
from local.rehearsal.rows import ROWS, Row, WrongError
from local.rehearsal.world import Machine

MAX_ROWS_AT_ONCE = 4


@dataclass(frozen=True)
class Result:
    """How a row ended."""

    name: str
    ended: str
    passed: bool


async def run(
    folder: Path, rows: Sequence[Row] = ROWS, report: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Run the rows; the first starts the app, which answers the smoke events of all."""
    compiler = find_compiler()
    if compiler is None:
        raise BicepError(MISSING)
    slots = asyncio.Semaphore(MAX_ROWS_AT_ONCE)
    async with Machine(folder, azd_token.install(folder / "bin"), Bicep(compiler)) as machine:

        async def one(row: Row) -> Result:
            async with slots:
                result = await _row(row, machine)
            report(result)
            return result

        first = await one(rows[0])
        return [first, *await asyncio.gather(*(one(row) for row in rows[1:]))]


async def _row(row: Row, machine: Machine) -> Result:
    name, world = row.__name__.replace("_", " "), await machine.world()
    try:
        ended = await row(world)
    except (WrongError, StoppedError) as error:
        return Result(name, str(error), passed=False)
    if damage := world.damage():
        return Result(name, f"of others, gone or changed: {', '.join(damage)}", passed=False)
    return Result(name, ended, passed=True)


def _print(result: Result) -> None:
    width = max(len(row.__name__) for row in ROWS)
    print(f"{'ok' if result.passed else 'FAILED':7} {result.name:{width}}  {result.ended}", flush=True)


def main() -> int:
    """Print the table; return 1 if a row failed."""
    if find_compiler() is None:
        print(f"skipped: {MISSING}")
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(run(Path(folder), report=_print))
    failed = sum(not result.passed for result in results)
    print(f"{len(results)} rows, {failed} failed, nothing of others touched" if not failed else f"{failed} rows failed")
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if failed else 0
