"""``release_poisoned`` and ``event_poisoned``: what failed five times is recorded for a person."""

from __future__ import annotations

import hashlib

from core.reasons import Reason
from handlers.decisions import Decisions
from handlers.gateways import Gateways


async def handle(queue: str, message: str, outside: Gateways) -> None:
    """Record that a message was given up; its text stays out of the record, its hash finds it in the queue's logs."""
    decisions = Decisions(outside.journal, outside.clock, {})
    digest = hashlib.sha256(message.encode()).hexdigest()
    decisions.tell(Reason.POISONED, f"a message of {queue} failed five times", queue=queue, message_sha256=digest)
    await decisions.flush()
