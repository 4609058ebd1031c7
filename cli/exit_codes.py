"""Exit codes, and the error for a wrong request; docs/reference/cli.md explains each code."""

from __future__ import annotations

import sys
from typing import Any

import typer

DONE = 0
BAD_RESULT = 1
"""The command ran, and its result is bad: a failed check of doctor, a watched release that did not go live."""
WRONG_INPUT = 2
SERVICE_ERROR = 3
NOTHING_TO_DO = 4
INTERRUPTED = 130


class UsageError(typer.BadParameter):
    """The request is wrong; the message says what to write instead and is all that is printed."""

    def show(self, file: Any = None) -> None:
        """Print the message."""
        from handlers.masking.visible import visible

        print(visible(self.message, keep="\n"), file=file or sys.stderr)
