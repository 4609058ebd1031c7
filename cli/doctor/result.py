"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cli.errors import explain
from handlers.gateways.errors import GatewayError

if TYPE_CHECKING:
    from cli.json_documents.reports import CheckResult

Status = Literal["ok", "failed", "unknown"]
PROGRAMS = frozenset({"az", "azd", "docker", "mkdir", "pip", "slipway"})
"""A fix that begins with one of them is a command line; one with … is only its beginning."""
MAX_ANSWER_SECONDS = 20.0
"""Foundry may ask to wait for minutes (429)."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked and found; ``fix`` is the command or the step that repairs it."""

    name: str
    status: Status
    detail: str = ""
    fix: str = ""
    agent: str | None = field(default=None, compare=False)
    """The target that it is about."""
    reason: str | None = field(default=None, compare=False)
    """The reason code that was found."""
    age_s: int | None = field(default=None, compare=False)
    """How long ago what was found happened."""

    @property
    def _is_command(self) -> bool:
        return self.fix.partition(" ")[0] in PROGRAMS and "…" not in self.fix

    @property
    def fields(self) -> CheckResult:
        """The check as JSON has it."""
        return {
            "name": self.name,
            "status": self.status,
            "agent": self.agent,
            "reason": self.reason,
            "age_s": self.age_s,
            "detail": self.detail,
            "fix": self.fix,
            "remedy": self.fix if self._is_command else None,
        }


def ok(name: str, detail: str = "") -> Check:
    """Return a check that found nothing to fix."""
    return Check(name, "ok", detail)


def failed(name: str, detail: str, fix: str = "") -> Check:
    """Return a check that found a fault."""
    return Check(name, "failed", detail, fix)


def unknown(name: str, detail: str, fix: str = "") -> Check:
    """Return a check that could not be made; ``fix`` says how to find out."""
    return Check(name, "unknown", detail, fix)


def words(error: GatewayError) -> tuple[str, str]:
    """Return what went wrong, and what to do."""
    detail, _, fix = explain(error).partition("\n")
    return detail, fix


def unread(name: str, error: GatewayError, fix: str = "") -> Check:
    """Return a check that could not be made, where the fix of the error does not apply."""
    return unknown(name, words(error)[0], fix)


def late(name: str, fix: str = "") -> Check:
    """Return a check whose answer did not come in time."""
    return unknown(name, f"no answer within {MAX_ANSWER_SECONDS:.0f} s", fix)
