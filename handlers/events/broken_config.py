"""Records that agents.yaml cannot be loaded, with the events and releases that wait until it is corrected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.events import ImagePushed
from core.reasons import Reason
from core.release.message import ReleaseMessage
from handlers.events.delivery_log import DeliveryLog
from handlers.events.event_queued import parse_delivery
from handlers.gateways.interfaces import Gateways
from handlers.settings import Settings

STEP = "config"


async def record_broken_config(mistakes: str, message: str, settings: Settings, gateways: Gateways) -> None:
    """One line for each event of the message, which is delivered again; one line where there is no event."""
    decisions = DeliveryLog(gateways.journal, gateways.clock)
    for about in list(_waiting(message, settings, gateways)) or [{}]:
        decisions.record(Reason.CONFIG_INVALID, mistakes, step=STEP, **about)
    decisions.record_rest(STEP)
    await decisions.flush()


def _waiting(message: str, settings: Settings, gateways: Gateways) -> Iterable[dict[str, Any]]:
    """What the events of a message are about, or its release."""
    if release := ReleaseMessage.from_json(message):
        yield {"agent": release.target}
        return
    for parsed in parse_delivery(message, settings, gateways.clock.now()) if message else ():
        if isinstance(parsed, ImagePushed):
            push = parsed.push
            yield {"event": push.event_id, **push.fields}
        elif event := getattr(parsed, "event_id", ""):
            yield {"event": event}
