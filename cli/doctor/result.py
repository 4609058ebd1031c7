"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked and found; ``fix`` is the command or the step that repairs it."""

    name: str
    status: Status
    detail: str = ""
    fix: str = ""


def ok(name: str, detail: str = "") -> Check:
    """Return a check that found nothing to fix."""
    return Check(name, "ok", detail)


def failed(name: str, detail: str, fix: str = "") -> Check:
    """Return a check that found a fault."""
    return Check(name, "failed", detail, fix)


def unknown(name: str, detail: str, fix: str = "") -> Check:
    """Return a check that could not be made; ``fix`` says how to find out."""
    return Check(name, "unknown", detail, fix)
