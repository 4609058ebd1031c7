"""The functions of the poison queues: record a message that failed five times, for a replay by a person."""

from __future__ import annotations

import hashlib

from core.reasons import Reason
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import metrics
from handlers.telemetry.decision_log import DecisionLog


async def handle_poison_message(queue: str, message: str, gateways: Gateways) -> None:
    """Record the message with its text: an event holds no secret, and no other place keeps it any more.

    Raises TransientError or PermanentError where the journal refuses it: the message then stays in its queue.
    """
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": "poison"})
    digest = hashlib.sha256(message.encode()).hexdigest()
    detail = f"a message of {queue} failed five times"
    decisions.record(Reason.POISONED, detail, journal_only={"message": message}, queue=queue, message_sha256=digest)
    metrics.message_poisoned(queue)
    await decisions.flush(required=True)
