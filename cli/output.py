"""What a person sees: aligned columns, coloured reason codes, and what takes longer than a second."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

PATIENCE = 1.0
"""Seconds before somebody is told what is waited for."""
COLOURS = {"info": "green", "warning": "yellow", "error": "red"}
VERDICTS = {"ok": "green", "wrong": "red", "cannot tell": "yellow"}


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns, the last one as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def about(line: Mapping[str, object]) -> str:
    """What a decision is about, shortly: the version, or the tag where a release only begins."""
    if line.get("version") and line.get("reason") != "BEGIN":
        return f"version {line['version']}"
    return str(line.get("tag") or "")[:24]


def meaning(line: Mapping[str, object]) -> str:
    """What a reason means and what it is about; a code that a newer Slipway wrote means nothing here."""
    from core.reasons import Reason

    known = Reason.__members__.get(str(line.get("reason")))
    told = [known.meaning if known else "", str(line.get("detail") or "")]
    return ": ".join(part for part in told if part)


def show(text: str) -> None:
    """Print, with reason codes in the colour of their severity where a person looks."""
    if not text:
        return
    if not sys.stdout.isatty():
        print(text)
        return
    from rich.console import Console
    from rich.text import Text

    from core.reasons import Reason

    shown = Text(text)
    for colour in set(COLOURS.values()):
        codes = [one.value for one in Reason if COLOURS[one.severity] == colour]
        shown.highlight_words([word for word, its in VERDICTS.items() if its == colour], colour)
        shown.highlight_regex(rf"\b({'|'.join(codes)})\b", colour)
    Console(highlight=False, soft_wrap=True).print(shown)


class Progress:
    """What is being done, told where it takes longer than a second; on the error stream, so that output stays clean."""

    def __init__(self) -> None:
        self.what = "asking"
        self.hushed = False
        """True where what is done tells of itself, line by line."""
        self._spinner: Status | None = None

    def pause(self) -> None:
        """Take the spinner away, so that a person can be asked; it comes back with the next thing that takes long."""
        if self._spinner is not None:
            self._spinner.stop()

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Tell as long as this goes on."""
        telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    async def _tell(self) -> None:
        """A spinner for a person; for a log one line each time that something else begins."""
        await asyncio.sleep(PATIENCE)
        if not sys.stderr.isatty():
            said = ""
            while True:
                if self.what != said:
                    said = self.what
                    print(f"… {said}", file=sys.stderr, flush=True)
                await asyncio.sleep(PATIENCE)
        from rich.console import Console

        self._spinner = Console(stderr=True).status(self.what)
        try:
            while True:
                if self.hushed:
                    self._spinner.stop()
                else:
                    self._spinner.update(f"{self.what} (Ctrl-C stops)")
                    self._spinner.start()
                await asyncio.sleep(PATIENCE / 4)
        finally:
            self._spinner.stop()
