"""What the demo and ``watch`` print: readable without colour, at 80 columns and in a log file."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.visible import visible

WIDTH = 80
LABEL_WIDTH = 18
STYLES = {"info": "green", "warning": "yellow", "error": "red"}


@dataclass
class CheckedAssertion:
    """An assertion about an agent, and what the SDK said."""

    agent: str
    description: str
    shown: str
    holds: bool


class Printer(Protocol):
    """A console, or a place on it."""

    @property
    def width(self) -> int:
        """The width in columns."""

    def print(self, content: Any) -> None:
        """Print below what is there."""


class Place:
    """A place on the screen: what is printed there waits until ``show``."""

    def __init__(self, console: Printer) -> None:
        self._console = console
        self._waiting: list[Any] | None = []

    @property
    def width(self) -> int:
        """The width in columns."""
        return self._console.width

    def print(self, content: Any) -> None:
        """Print at once, or when the place is shown."""
        if self._waiting is None:
            self._console.print(content)
        else:
            self._waiting.append(content)

    def show(self) -> None:
        """Print what waits, and from now on print at once."""
        for content in self._waiting or ():
            self._console.print(content)
        self._waiting = None


@dataclass
class Output:
    """The screen, top to bottom."""

    console: Printer
    assertions: list[CheckedAssertion] = field(default_factory=list)
    scenes: int = 0

    def opening(self, start_seconds: float, registry: str, why_no_processes: str) -> None:
        """Print what runs, how long the start took, and what agents are."""
        self.console.print("\n[bold]Slipway[/] · from a push to production, on this machine, through the real SDKs\n")
        parts = "registry, Event Grid, Functions, Foundry, Key Vault, storage"
        self.console.print(f"  [dim]{parts}: up in {start_seconds:.1f} s\n  push images to {registry}[/]")
        agents = "agents are real processes on Microsoft's azure-ai-agentserver"
        self.console.print(f"  [dim]{as_text(why_no_processes or agents)}[/]")

    def scene(self, title: str) -> None:
        """Print the title of the next scene."""
        self.scenes += 1
        self.console.print(f"\n[bold]{self.scenes:>2} {as_text(title)}[/]")

    def step(self, seconds: float, label: str, text: str, severity: str = "info") -> None:
        """Print an event, with the seconds since the scene began."""
        self._row(f"  [dim]{seconds:6.2f} s[/]", 10, label, text, severity)

    def decision(self, line: dict[str, Any]) -> None:
        """Print a line of the journal, with its time of day."""
        parts = [
            line.get("agent", ""),
            f"version {line['version']}" if "version" in line else "",
            f"{line.get('repository', '')}:{line['tag']}" if "tag" in line else "",
            line.get("detail", ""),
        ]
        text = "  ".join(part for part in parts if part)
        self._row(f"[dim]{as_text(line['at'][11:19])}[/]", 8, line["reason"], text, line["severity"])

    def _row(self, start: str, start_width: int, label: str, text: str, severity: str) -> None:
        """Print a time, a label, and text that wraps within its own column."""
        indent = start_width + 2 + LABEL_WIDTH + 1
        first, *rest = textwrap.wrap(visible(text), self.console.width - indent) or [""]
        style = STYLES.get(severity, "green")
        self.console.print(f"{start}  [{style}]{as_text(f'{label:<{LABEL_WIDTH}}')}[/] {escape(first)}")
        for row in rest:
            self.console.print(" " * indent + escape(row))

    def assertion(self, agent: str, description: str, shown: str, holds: bool) -> None:
        """Print an assertion with what the SDK said."""
        self.assertions.append(CheckedAssertion(agent, description, shown, holds))
        mark, style = ("yes", "green") if holds else ("NO", "red")
        self.console.print(f"  [{style}]{mark:>8}[/]  {as_text(description)}: [dim]{as_text(shown)}[/]")

    def closing(self, seconds: float, hint: str) -> bool:
        """Print the table of assertions and return whether all of them held."""
        table = Table(
            title="\nchecked in Foundry through azure-ai-projects, and with slipway why",
            title_justify="left",
            width=self.console.width,
        )
        table.add_column("agent", no_wrap=True)
        table.add_column("expected")
        table.add_column("found", style="dim")
        table.add_column("", justify="right")
        for check in self.assertions:
            mark = "[green]yes[/]" if check.holds else "[red]NO[/]"
            table.add_row(as_text(check.agent), as_text(check.description), as_text(check.shown), mark)
        self.console.print(table)
        held, total = sum(check.holds for check in self.assertions), len(self.assertions)
        self.console.print(f"{held} of {total} checks passed, in {seconds:.1f} s. [dim]{as_text(hint)}[/]\n")
        return held == total


def as_text(text: str) -> str:
    """Return a text of others as Rich's markup for that very text, without control characters."""
    return escape(visible(text))


def seconds_since(began: datetime, line: dict[str, Any]) -> float:
    """Return the seconds from the beginning of a scene to a line of the journal."""
    return max(0.0, (datetime.fromisoformat(line["at"]) - began).total_seconds())


def console(*, record: bool = False) -> Console:
    """Make a console: 80 columns without a terminal, the terminal's width up to 100 with one."""
    probe = Console(record=record, highlight=False, soft_wrap=False)
    return Console(record=record, highlight=False, width=min(probe.width, 100) if probe.is_terminal else WIDTH)
