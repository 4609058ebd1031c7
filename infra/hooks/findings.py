"""What a hook found, one line each, and what helps; printed for people, counted for azd."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is as it should be, worth knowing, or in the way; ``help`` is a command or a sentence."""

    level: Level
    about: str
    what: str
    help: str = ""


def ok(about: str, what: str) -> Finding:
    """As it should be."""
    return Finding("ok", about, what)


def note(about: str, what: str, help_: str = "") -> Finding:
    """Worth knowing; nothing fails for it now."""
    return Finding("note", about, what, help_)


def error(about: str, what: str, help_: str) -> Finding:
    """In the way; there is always something that helps."""
    return Finding("error", about, what, help_)


def report(title: str, findings: Iterable[Finding]) -> int:
    """Print them as they come; the exit code: 1 where one is in the way."""
    print(title, flush=True)
    failed = False
    for one in findings:
        failed = failed or one.level == "error"
        print(f"  {one.level:5}  {one.about:12}  {one.what}", flush=True)
        for line in one.help.splitlines():
            print(f"  {'':5}  {'':12}  → {line}", flush=True)
    if failed:
        print(f"{title}: mend what is marked error, then run azd again", file=sys.stderr)
    return 1 if failed else 0
