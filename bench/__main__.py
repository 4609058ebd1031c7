"""``python -m bench``: measure, and tell as a table, a document or a page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from azure.core.exceptions import AzureError

from bench import command_line, create_request, imports, many, overhead, pruning, safety, telemetry, trigger
from bench.machine import machine
from bench.report import Row, document, page, table
from bench.scene import Choice, NotMeasuredError
from local.endpoints import ROOT

GROUPS: Mapping[str, Callable[[Choice], Iterator[Row]]] = {
    "image_pushed": trigger.rows,
    "telemetry": telemetry.rows,
    "import": imports.rows,
    "create-request": create_request.rows,
    "overhead": overhead.rows,
    "many": many.rows,
    "prune": pruning.rows,
    "safety": safety.rows,
    "command line": command_line.rows,
}
"""What is measured, in the order of the page: one line a module."""
PAGE = ROOT / "docs" / "reference" / "performance.md"
FAILURES = (NotMeasuredError, AssertionError, AzureError, OSError, subprocess.SubprocessError, LookupError)
"""What can come of a stack that does not do as it should; anything else is a bug of the bench."""


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Some rows alone: {', '.join(GROUPS)}.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer repeats.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The document alone.")] = False,
    write: Annotated[bool, typer.Option("--write", help=f"Write {PAGE.relative_to(ROOT)} too.")] = False,
) -> None:
    """Measure what Slipway costs. Exit code 1: a row could not be measured; a missed target is told, and no error."""
    unknown = sorted(set(only or []) - set(GROUPS))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(GROUPS)}", param_hint="--only")
    began, rows = datetime.now(UTC), list[Row]()
    for name in only or GROUPS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += measured(name, GROUPS[name], Choice(quick))
    told = machine(began)
    print(json.dumps(document(rows, told), indent=1))
    if not as_json:
        print(table(rows))
    if write:
        Path(PAGE).write_text(page(rows, told))
    raise typer.Exit(int(any(row.value is None for row in rows)))


def measured(name: str, group: Callable[[Choice], Iterator[Row]], choice: Choice) -> list[Row]:
    """The rows of a group; where it broke off, the last one says why."""
    rows: list[Row] = []
    try:
        rows.extend(group(choice))
    except FAILURES as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        rows.append(Row(name=name, what="", unit="", value=None, why=why, how="Not measured"))
    return rows


if __name__ == "__main__":
    typer.run(main)
