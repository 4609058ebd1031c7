"""``python -m bench``: measure, and print JSON and a table, or write the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer
from azure.core.exceptions import AzureError

from bench import (
    command_line,
    create_request,
    estate,
    histories,
    imports,
    journal,
    lists,
    many,
    one_release,
    overhead,
    page_speed,
    processor_time,
    pruning,
    rollback,
    signatures,
    situations,
    specialise,
    status,
    telemetry,
    trigger,
    unasked,
    wave,
)
from bench.machine import describe_machine
from bench.report import Row, document, page, page_with, table
from bench.testbed import Effort, NotMeasuredError
from local.endpoints import ROOT

GROUPS: Mapping[str, Callable[[Effort], Iterator[Row]]] = {
    "image_pushed": trigger.rows,
    "telemetry": telemetry.rows,
    "import": imports.rows,
    "create-request": create_request.rows,
    "specialise": specialise.rows,
    "overhead": overhead.rows,
    "one-release": one_release.rows,
    "processor time": processor_time.rows,
    "many": many.rows,
    "wave": wave.rows,
    "prune": pruning.rows,
    "estate": estate.rows,
    "journal": journal.rows,
    "lists": lists.rows,
    "unasked": unasked.rows,
    "signatures": signatures.rows,
    "rollback": rollback.rows,
    "histories": histories.rows,
    "command line": command_line.rows,
    "status": status.rows,
    "situations": situations.rows,
    "page": page_speed.rows,
}
"""The measurements, in the order of the page."""
PAGE = ROOT / "docs" / "reference" / "performance.md"
FAILURES = (NotMeasuredError, AssertionError, AzureError, OSError, subprocess.SubprocessError, LookupError)
"""Errors of a stack that does not work; any other error is a bug of the bench."""


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Measure only this group: {', '.join(GROUPS)}.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Measure with fewer repeats.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print only the JSON.")] = False,
    write: Annotated[bool, typer.Option("--write", help=f"Write {PAGE.relative_to(ROOT)}.")] = False,
) -> None:
    """Measure what Slipway costs. Exit code 1: a row could not be measured; a missed target is not an error."""
    unknown = sorted(set(only or []) - set(GROUPS))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(GROUPS)}", param_hint="--only")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the rows are about processes that find their bytecode
    began, rows = datetime.now(UTC), list[Row]()
    for name in only or GROUPS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += measure(name, GROUPS[name], Effort(quick))
    machine = describe_machine(began)
    print(json.dumps(document(rows, machine), indent=1))
    if not as_json:
        print(table(rows))
    if write:
        PAGE.write_text(page_with(PAGE.read_text(), rows, machine) if only else page(rows, machine))
    raise typer.Exit(int(any(row.value is None for row in rows)))


def measure(name: str, group: Callable[[Effort], Iterator[Row]], effort: Effort) -> list[Row]:
    """The rows of a group; if it fails, the last row has the error."""
    rows: list[Row] = []
    try:
        rows.extend(group(effort))
    except FAILURES as error:
        problem = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        rows.append(Row(name=name, description="", unit="", value=None, problem=problem, method="Not measured"))
    return rows


if __name__ == "__main__":
    typer.run(main)
