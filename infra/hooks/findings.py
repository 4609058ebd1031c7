"""A hook's findings: one line each with its fix, printed for a person and summed up as an exit code for azd."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; ``help`` is a command or a sentence."""

    level: Level
    subject: str
    message: str
    help: str = ""


def ok(subject: str, message: str) -> Finding:
    """The check passed."""
    return Finding("ok", subject, message)


def note(subject: str, message: str, help_: str = "") -> Finding:
    """Worth knowing; the deployment goes on."""
    return Finding("note", subject, message, help_)


def error(subject: str, message: str, help_: str) -> Finding:
    """The deployment cannot work like this; ``help_`` says how to fix it."""
    return Finding("error", subject, message, help_)


def report(
    title: str, findings: Iterable[Finding], after: str = "fix the lines marked error, then run azd again"
) -> int:
    """Print the findings as they arrive; return the exit code, 1 if one is an error; ``after`` says what then."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # a pipe on Windows has no arrow in its code page
    print(title, flush=True)
    failed = False
    for finding in findings:
        failed = failed or finding.level == "error"
        print(f"  {finding.level:5}  {finding.subject:12}  {finding.message}", flush=True)
        for line in finding.help.splitlines():
            print(f"  {'':5}  {'':12}  → {line}", flush=True)
    if failed:
        print(f"{title}: {after}", file=sys.stderr)
    return 1 if failed else 0
