"""One line per decision: to telemetry at once, to the journal when the handler has a moment."""

from __future__ import annotations

from collections.abc import Mapping

from core.reasons import Reason
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Journal
from handlers.redaction import redact_fields as redacted
from handlers.telemetry import otel

MAX_JOURNAL_VALUE_CHARS = 100_000
"""Characters of what only the journal keeps: a queue's message is 64 KiB at most."""


def reason_fields(reason: Reason) -> dict[str, object]:
    """What every line says of its reason."""
    return {"reason": reason.value, "severity": reason.severity, "help": reason.help}


class DecisionLog:
    """Tells what was decided; nothing is skipped silently, and no line holds a secret value."""

    def __init__(self, journal: Journal, clock: Clock, common: Mapping[str, object]) -> None:
        self._journal = journal
        self._clock = clock
        self._common = common
        self._kept: list[Mapping[str, object]] = []

    def record(
        self, reason: Reason, detail: str = "", *, kept_only: Mapping[str, object] | None = None, **fields: object
    ) -> None:
        """Tell one decision: its reason code, what it is about, and what a person can do.

        ``kept_only`` goes to the journal and not to telemetry: it is long, and only a replay needs it.
        """
        line = {
            "at": self._clock.now().isoformat(),
            **reason_fields(reason),
            "detail": detail,
            **self._common,
            **fields,
        }
        kept = redacted({key: value for key, value in line.items() if value not in ("", None)}, otel.MAX_VALUE_CHARS)
        otel.log_decision(kept, severity=reason.severity)
        self._kept.append({**kept, **redacted(kept_only or {}, MAX_JOURNAL_VALUE_CHARS)})

    def merge(self, others: DecisionLog) -> None:
        """Keep what the others told and did not write yet: several tellers, one write."""
        self._kept += others._kept
        others._kept = []

    async def flush(self, *, required: bool = False) -> None:
        """Write what was told to the journal; where it does not answer, telemetry has the lines all the same.

        ``required``: the journal is the only place that keeps a line; raises TransientError or PermanentError then.
        """
        lines, self._kept = self._kept, []
        if not lines:
            return
        try:
            await self._journal.append(*lines)
        except GatewayError as error:
            if required:
                raise
            for line in lines:
                otel.log_decision({**line, "journal": str(error)}, severity="warning")
