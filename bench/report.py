"""Rows of numbers, and the three ways in which they are told: a table, a document, a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 80
Machine = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One thing measured; a row that could not be measured has no value and says why."""

    name: str
    what: str
    unit: str
    value: float | None
    target: float | None = None
    """At most this much; None where only the number is asked for."""
    bound: float | None = None
    bound_is: str = ""
    """What cannot be undercut, as measured or reckoned in the same run."""
    how: str = ""
    also: Mapping[str, float] = field(default_factory=dict)
    """Other numbers of the same measurement."""
    why: str = ""
    """Why there is no value."""
    missed: str = ""
    """Where the rest goes, if the target is missed."""

    @property
    def met(self) -> bool | None:
        """None where there is nothing to compare."""
        return None if self.value is None or self.target is None else self.value <= self.target

    @property
    def verdict(self) -> str:
        """One word for a person."""
        if self.value is None:
            return "not measured"
        return {True: "met", False: "missed", None: "told"}[self.met]


def document(rows: Sequence[Row], machine: Machine) -> dict[str, Any]:
    """The one JSON document."""
    return {"machine": dict(machine), "rows": [asdict(row) | {"met": row.met} for row in rows]}


def number(value: float | None) -> str:
    """Three digits that count; never an exponent."""
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def table(rows: Sequence[Row]) -> str:
    """The table, as wide as a terminal at least is."""
    console = Console(width=WIDTH, color_system=None, highlight=False)
    grid = Table(width=WIDTH, show_lines=True)
    grid.add_column("measured", ratio=1)
    for heading in ("value", "target", "bound", "unit"):
        grid.add_column(heading, justify="left" if heading == "unit" else "right", max_width=9)
    grid.add_column("", max_width=8)
    for row in rows:
        grid.add_row(f"{row.name}: {row.why or row.what}", *_numbers(row), row.unit, row.verdict)
    with console.capture() as captured:
        console.print(grid)
    return captured.get()


def page(rows: Sequence[Row], machine: Machine) -> str:
    """docs/reference/performance.md."""
    lines = [
        "# Performance",
        "",
        'Written by `make bench ARGS="--write"`; do not edit. One run, on the stand-ins: ratios, round trips and waits',
        "carry over to Azure, milliseconds are this machine's. A target that is missed stands here as missed.",
        "",
        *(f"- {key.replace('_', ' ')}: {value}" for key, value in machine.items()),
        *_busy(machine),
        "",
        "| row | measured | value | target | bound | unit | |",
        "|---|---|--:|--:|--:|---|---|",
    ]
    for row in rows:
        cells = (row.name, row.why or row.what, *_numbers(row), row.unit, row.verdict)
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "`bound` is what cannot be undercut, measured or reckoned in the same run.", "", "## How", ""]
    for row in rows:
        also = "; ".join(f"{key}: {number(value)}" for key, value in row.also.items())
        bound = f" Bound: {row.bound_is}." if row.bound_is else ""
        missed = f" Missed: {row.missed}." if row.met is False and row.missed else ""
        lines.append(f"- **{row.name}.** {row.how}.{bound}{f' Also: {also}.' if also else ''}{missed}")
    return "\n".join(lines) + "\n"


def _busy(machine: Machine) -> list[str]:
    """What a machine that does something else besides makes of the numbers."""
    load, cores = machine["load_average"], machine["cores"]
    if load <= cores:
        return []
    told = (
        f"Others kept the {cores} cores busy meanwhile (load average {load}): round trips, calls and memory are as they"
    )
    return ["", told, "are, whatever the processor has a part in took several times as long as on a machine at rest."]


def _numbers(row: Row) -> tuple[str, str, str]:
    return number(row.value), number(row.target), number(row.bound)
