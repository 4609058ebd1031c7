"""Exit codes, and the mistake that ends a command; docs/reference/cli.md says what each means."""

from __future__ import annotations

import sys
from typing import Any

import typer

DONE = 0
NOT_WELL = 1
"""It was looked at, and something about it is not as it should be: a check of doctor, a release that was watched."""
WRONG_INPUT = 2
UNANSWERED = 3
REFUSED = 4
INTERRUPTED = 130


class Mistake(typer.BadParameter):
    """What was asked is wrong: the sentence alone is shown, and says what to write instead."""

    def show(self, file: Any = None) -> None:
        """Print it."""
        print(self.message, file=file or sys.stderr)
