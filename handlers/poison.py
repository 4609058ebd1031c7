"""``release_poisoned`` and ``event_poisoned``: what failed five times is recorded, so that a person can replay it."""

from __future__ import annotations

import hashlib

from core.reasons import Reason
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import metrics
from handlers.telemetry.decision_log import DecisionLog


async def handle_poison_message(queue: str, message: str, gateways: Gateways) -> None:
    """Record that a message was given up, and keep it: an event holds no secret, and it is nowhere else any more.

    Raises TransientError or PermanentError where the journal does not take it: the message then stays in its queue.
    """
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": "poison"})
    digest = hashlib.sha256(message.encode()).hexdigest()
    detail = f"a message of {queue} failed five times"
    decisions.record(Reason.POISONED, detail, journal_only={"message": message}, queue=queue, message_sha256=digest)
    metrics.message_poisoned(queue)
    await decisions.flush(required=True)
