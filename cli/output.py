"""Terminal output: aligned columns, coloured reason codes, and a progress line after a second."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

PROGRESS_AFTER_SECONDS = 1.0
COLOURS = {"info": "green", "warning": "yellow", "error": "red"}
CHECK_COLOURS = {"ok": "green", "failed": "red", "unknown": "yellow"}


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def subject(decision: Mapping[str, object]) -> str:
    """Return what a decision is about: the version, or the tag when a release begins."""
    if decision.get("version") and decision.get("reason") != "BEGIN":
        return f"version {decision['version']}"
    return str(decision.get("tag") or "")[:24]


def meaning(decision: Mapping[str, object]) -> str:
    """Return the meaning of a decision's reason, and its detail; a newer Slipway's codes have no meaning here."""
    from core.reasons import Reason

    known = Reason.__members__.get(str(decision.get("reason")))
    parts = [known.meaning if known else "", str(decision.get("detail") or "")]
    return ": ".join(part for part in parts if part)


def print_text(text: str) -> None:
    """Print text; on a terminal, reason codes have the colour of their severity."""
    if not text:
        return
    if not sys.stdout.isatty():
        print(text)
        return
    from rich.console import Console
    from rich.text import Text

    from core.reasons import Reason

    coloured = Text(text)
    for colour in set(COLOURS.values()):
        codes = [reason.value for reason in Reason if COLOURS[reason.severity] == colour]
        coloured.highlight_words([status for status, its in CHECK_COLOURS.items() if its == colour], colour)
        coloured.highlight_regex(rf"\b({'|'.join(codes)})\b", colour)
    Console(highlight=False, soft_wrap=True).print(coloured)


class Progress:
    """Reports on stderr what a command waits for, once it takes longer than a second."""

    def __init__(self) -> None:
        self.activity = "connecting"
        self.muted = False
        """True while the command prints its own progress."""
        self._spinner: Status | None = None

    def pause(self) -> None:
        """Hide the spinner for a prompt; it comes back when the command continues."""
        if self._spinner is not None:
            self._spinner.stop()

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Report progress inside the block."""
        task = asyncio.create_task(self._show())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _show(self) -> None:
        """Show a spinner on a terminal; in a log, print a line for each new activity."""
        await asyncio.sleep(PROGRESS_AFTER_SECONDS)
        if not sys.stderr.isatty():
            printed = ""
            while True:
                if self.activity != printed:
                    printed = self.activity
                    print(f"… {printed}", file=sys.stderr, flush=True)
                await asyncio.sleep(PROGRESS_AFTER_SECONDS)
        from rich.console import Console

        self._spinner = Console(stderr=True).status(self.activity)
        try:
            while True:
                if self.muted:
                    self._spinner.stop()
                else:
                    self._spinner.update(f"{self.activity} (Ctrl-C stops)")
                    self._spinner.start()
                await asyncio.sleep(PROGRESS_AFTER_SECONDS / 4)
        finally:
            self._spinner.stop()
