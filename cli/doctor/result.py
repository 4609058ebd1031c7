"""One check, and what it came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["ok", "wrong", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at; ``mend`` is the command or the step that puts it right."""

    what: str
    verdict: Verdict
    detail: str = ""
    mend: str = ""

    @property
    def told(self) -> dict[str, str]:
        """As data."""
        return asdict(self)


def ok(what: str, detail: str = "") -> Check:
    """Nothing to do."""
    return Check(what, "ok", detail)


def wrong(what: str, detail: str, mend: str = "") -> Check:
    """Something to mend."""
    return Check(what, "wrong", detail, mend)


def unclear(what: str, detail: str, mend: str = "") -> Check:
    """Nobody can tell from here; ``mend`` says how to find out."""
    return Check(what, "cannot tell", detail, mend)
