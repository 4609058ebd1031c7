"""What the demo prints: readable without colour, at 80 columns and in a log file."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDTH = 80
INDENT = 2 + 8 + 2 + 17 + 1
"""Columns before what is told."""
STYLES = {"info": "green", "warning": "yellow", "error": "red"}


@dataclass
class Claim:
    """Something that must be true, and what the SDK said."""

    agent: str
    what: str
    answer: str
    holds: bool


@dataclass
class Screen:
    """One narrative, top to bottom."""

    console: Console
    claims: list[Claim] = field(default_factory=list)
    scenes: int = 0

    def opening(self, started: float, registry: str) -> None:
        """What runs, and how long that took."""
        self.console.print("\n[bold]Slipway[/] · from a push to production, on this machine, through the real SDKs\n")
        parts = "registry, Event Grid, Functions, Foundry, Key Vault, storage"
        self.console.print(f"  [dim]{parts}: up in {started:.1f} s\n  images go to {registry}[/]")

    def scene(self, title: str) -> None:
        """A new part of the story."""
        self.scenes += 1
        self.console.print(f"\n[bold]{self.scenes:>2} {escape(title)}[/]")

    def step(self, at: float, what: str, told: str, severity: str = "info") -> None:
        """One thing that happened, so many seconds after the scene began."""
        self._row(f"[dim]{at:6.2f} s[/]", what, told, severity)

    def _row(self, at: str, what: str, told: str, severity: str) -> None:
        """A time of eight columns, a word, and text that goes on below itself where the screen is narrow."""
        style = STYLES.get(severity, "green")
        first, *more = textwrap.wrap(told, self.console.width - INDENT) or [""]
        self.console.print(f"  {at}  [{style}]{what:<17}[/] {escape(first)}")
        for line in more:
            self.console.print(" " * INDENT + escape(line))

    def decided(self, line: dict[str, Any]) -> None:
        """One line of the journal, with its time of day."""
        at, about = (
            line["at"][11:19],
            [line.get("agent", ""), f"version {line['version']}" if "version" in line else ""],
        )
        if "tag" in line:
            about.append(f"{line.get('repository', '')}:{line['tag']}")
        about.append(line.get("detail", ""))
        style, indent = STYLES.get(line["severity"], "green"), 8 + 2 + 17 + 1
        told = "  ".join(part for part in about if part)
        first, *more = textwrap.wrap(told, self.console.width - indent) or [""]
        self.console.print(f"[dim]{at}[/]  [{style}]{line['reason']:<17}[/] {escape(first)}")
        for rest in more:
            self.console.print(" " * indent + escape(rest))

    def claim(self, agent: str, what: str, answer: str, holds: bool) -> None:
        """Ask the SDK, and say what it said."""
        self.claims.append(Claim(agent, what, answer, holds))
        mark, style = ("yes", "green") if holds else ("NO", "red")
        self.console.print(f"  [{style}]{mark:>8}[/]  {escape(what)}: [dim]{escape(answer)}[/]", highlight=False)

    def closing(self, took: float, where: str) -> bool:
        """The table, and whether all of it was true."""
        table = Table(
            title="\nasked of Foundry through azure-ai-projects", title_justify="left", width=self.console.width
        )
        table.add_column("agent", no_wrap=True)
        table.add_column("what must be true")
        table.add_column("what the SDK says", style="dim")
        table.add_column("", justify="right")
        for claim in self.claims:
            table.add_row(claim.agent, claim.what, claim.answer, "[green]yes[/]" if claim.holds else "[red]NO[/]")
        self.console.print(table)
        true = sum(claim.holds for claim in self.claims)
        self.console.print(f"{true} of {len(self.claims)} true, in {took:.1f} s. [dim]{escape(where)}[/]\n")
        return true == len(self.claims)


def since(began: datetime, line: dict[str, Any]) -> float:
    """Seconds from the beginning of a scene to a line of the journal."""
    return max(0.0, (datetime.fromisoformat(line["at"]) - began).total_seconds())


def console(*, record: bool = False) -> Console:
    """A console that fits 80 columns where nobody says otherwise; without animation when it is no terminal."""
    plain = Console(record=record, highlight=False, soft_wrap=False)
    return Console(record=record, highlight=False, width=min(plain.width, 100) if plain.is_terminal else WIDTH)
