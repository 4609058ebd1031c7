"""An event, whichever way it came: parse it, hand it to its own file, record what was decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import Agents
from core.events import Ignored, ImagePushed, ParsedEvent, SecretChanged, parse_events
from handlers.events import image_pushed
from handlers.events.image_pushed import handle_push
from handlers.events.secret_changed import handle_secret_change
from handlers.gateways.interfaces import Gateways
from handlers.redaction import redact
from handlers.settings import Settings
from handlers.telemetry.decision_log import DecisionLog


async def handle_event(event: str, agents: Agents, settings: Settings, gateways: Gateways) -> None:
    """Answer one delivery: one event, or an array of them.

    Returns for whatever a retry cannot mend. Raises TransientError or PermanentError where the ledger or the queue does
    not take the event, so that Event Grid or the queue delivers it again.
    """
    decisions = DecisionLog(gateways.journal, gateways.clock, {})
    try:
        for parsed in _parsed(event, settings.registry_name, gateways.clock.now()):
            if isinstance(parsed, ImagePushed):
                await handle_push(parsed, agents, decisions, gateways)
            elif isinstance(parsed, SecretChanged):
                await handle_secret_change(parsed, agents, decisions, gateways)
            else:
                _tell(parsed, decisions)
    finally:
        await decisions.flush()


def _parsed(event: str, registry: str, now: datetime) -> Iterator[ParsedEvent]:
    """What the delivery says; where an event's own words hold a secret, they are told without it.

    What an event is about (registry, repository, digest) is read as it came: a setting may be kept as a secret too.
    """
    as_is, safe = parse_events(event, registry, now), redact(event)
    for meant, told in zip(as_is, parse_events(safe, registry, now) if safe != event else as_is, strict=False):
        if isinstance(meant, ImagePushed):
            tag, event_id = redact(meant.push.tag), redact(meant.push.event_id)
            yield replace(meant, push=replace(meant.push, tag=tag, event_id=event_id))
        else:
            yield told if isinstance(meant, Ignored) and isinstance(told, Ignored) else meant


def _tell(ignored: Ignored, decisions: DecisionLog) -> None:
    decisions.record(
        ignored.reason,
        ignored.detail,
        step=image_pushed.STEP,
        event=ignored.event_id,
        repository=ignored.repository,
        tag=ignored.tag,
        digest=ignored.digest,
    )
