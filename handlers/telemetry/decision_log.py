"""One line per decision: to telemetry at once, to the journal when the handler flushes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import copy_context

from core.reasons import Reason
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Journal
from handlers.redaction import redact, redact_fields
from handlers.telemetry import otel

MAX_JOURNAL_VALUE_CHARS = 100_000
"""Of a field for the journal alone: a queue message has 64 KiB at most."""


def reason_fields(reason: Reason, about: Mapping[str, object] | None = None, detail: str = "") -> dict[str, object]:
    """The fields of a line that follow from its reason and from what it is about."""
    names = {key: str(value) for key, value in (about or {}).items() if value}
    image = f"{names['repository']}:{names['tag']}" if {"repository", "tag"} <= names.keys() else ""
    help_ = reason.help_for(names.get("agent"), detail, image=image, version=names.get("version", ""))
    return {"reason": reason.value, "severity": reason.severity, "help": help_}


class DecisionLog:
    """Records decisions: nothing is skipped silently, and no line holds a secret value."""

    def __init__(self, journal: Journal, clock: Clock, common: Mapping[str, object]) -> None:
        self._journal = journal
        self._clock = clock
        self._common = common
        self._lines: list[Mapping[str, object]] = []

    def record(
        self, reason: Reason, detail: str = "", *, journal_only: Mapping[str, object] | None = None, **fields: object
    ) -> None:
        """Record one decision: its reason code, what it is about, and what a person can do.

        ``journal_only`` does not go to telemetry: it is long, and only a replay needs it, as it came but for secrets.
        """
        self.prepare(reason, detail, journal_only=journal_only, **fields)()

    def prepare(
        self, reason: Reason, detail: str = "", *, journal_only: Mapping[str, object] | None = None, **fields: object
    ) -> Callable[[], None]:
        """Write one decision down, with its time and span; the result records it."""
        at = self._clock.now().isoformat()
        about = {**self._common, **fields}
        named = {"at": at, **reason_fields(reason, about, detail), "detail": detail, **about}
        given = {name: value for name, value in named.items() if value not in ("", None)}
        line = redact_fields(given, otel.MAX_VALUE_CHARS)
        more = {name: redact(str(value))[:MAX_JOURNAL_VALUE_CHARS] for name, value in (journal_only or {}).items()}
        in_journal = {**line, **more}
        span = copy_context()

        def record() -> None:
            span.run(otel.log_decision, line, severity=reason.severity)
            self._lines.append(in_journal)

        return record

    def take_lines(self, other: DecisionLog) -> None:
        """Take over the lines that the other log did not flush yet: many logs, one write."""
        self._lines += other._lines
        other._lines = []

    async def flush(self, *, required: bool = False) -> None:
        """Append the lines to the journal; if that fails, telemetry still has them.

        ``required``: the journal is the only place that keeps a line; raises TransientError or PermanentError then.
        """
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            await self._journal.append(*lines)
        except GatewayError as error:
            if required:
                raise
            for line in lines:
                otel.log_decision({**line, "journal": str(error)}, severity="warning")
