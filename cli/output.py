"""Terminal output: aligned columns, coloured reason codes, and a progress line after a second.

Tags, details and names come from others. Output goes through ``print_text``, ``print_error`` or ``print_json``, which
show control characters as text. ``columns`` and ``join_lines`` also keep a text of others in its own line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.status import Status
    from rich.text import Text

PROGRESS_AFTER_SECONDS = 1.0
COLOURS = {"info": "green", "warning": "yellow", "error": "red"}
CHECK_COLOURS = {"ok": "green", "failed": "red", "unknown": "yellow"}


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns, one line a row."""
    from handlers.masking.visible import visible_line

    cells = [[visible_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def join_lines(*lines: str) -> str:
    """Return the texts below one another, each in one line."""
    from handlers.masking.visible import visible_line

    return "\n".join(map(visible_line, lines))


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


def print_error(text: str) -> None:
    """Print text to stderr, without control characters."""
    from handlers.masking.visible import visible

    print(visible(text, keep="\n"), file=sys.stderr)


def print_json(data: object, **options: Any) -> None:
    """Print data as JSON, with JSON's own escapes for control characters."""
    from handlers.masking.visible import visible_json

    print(visible_json(json.dumps(data, ensure_ascii=False, **options)), flush=True)


def print_text(text: str) -> None:
    """Print text without control characters; on a terminal, reason codes have the colour of their severity."""
    from handlers.masking.visible import visible

    text = visible(text, keep="\n")
    if not text:
        return
    if not sys.stdout.isatty():
        print(text, flush=True)
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
                    print_error(f"… {printed}")
                await asyncio.sleep(PROGRESS_AFTER_SECONDS)
        from rich.console import Console

        self._spinner = Console(stderr=True).status(_as_text(self.activity))
        try:
            while True:
                if self.muted:
                    self._spinner.stop()
                else:
                    self._spinner.update(_as_text(f"{self.activity} (Ctrl-C stops)"))
                    self._spinner.start()
                await asyncio.sleep(PROGRESS_AFTER_SECONDS / 4)
        finally:
            self._spinner.stop()


def _as_text(line: str) -> Text:
    """Return a line that Rich does not read as markup."""
    from rich.text import Text

    from handlers.masking.visible import visible

    return Text(visible(line))
