"""Handles a delivery of events, from Event Grid or from the queue: parses it, and calls the handler of each event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.agents_file.spec import Agents
from core.events import Ignored, ImagePushed, ParsedEvent, SecretChanged, parse_events
from handlers.events.image_pushed import STEP, handle_push
from handlers.events.secret_changed import handle_secret_change
from handlers.gateways.interfaces import Gateways
from handlers.redaction import redact
from handlers.settings import Settings
from handlers.telemetry.decision_log import DecisionLog


async def handle_event(event: str, agents: Agents, settings: Settings, gateways: Gateways) -> None:
    """Handle one delivery: an event, or an array of events.

    Returns for a mistake that no retry can correct. Raises TransientError or PermanentError where the state store or
    the queue refuses the event, so that it is delivered again.
    """
    decisions = DecisionLog(gateways.journal, gateways.clock, {})
    try:
        for parsed in _parse(event, settings, gateways.clock.now()):
            if isinstance(parsed, ImagePushed):
                await handle_push(parsed, agents, decisions, gateways)
            elif isinstance(parsed, SecretChanged):
                await handle_secret_change(parsed, agents, decisions, gateways)
            else:
                image: dict[str, Any] = {"repository": parsed.repository, "tag": parsed.tag, "digest": parsed.digest}
                decisions.record(parsed.reason, parsed.detail, step=STEP, event=parsed.event_id, **image)
    finally:
        await decisions.flush()


def _parse(event: str, settings: Settings, now: datetime) -> Iterator[ParsedEvent]:
    """The events of a delivery; secrets are redacted in their free texts.

    Registry, repository and digest stay as they came: a setting may be stored as a secret too.
    """
    registry, vault = settings.registry_name, settings.key_vault_host
    parsed_events, redacted = parse_events(event, registry, now, vault), redact(event)
    safe_events = parse_events(redacted, registry, now, vault) if redacted != event else parsed_events
    for parsed, safe in zip(parsed_events, safe_events, strict=False):
        if isinstance(parsed, ImagePushed):
            tag, event_id = redact(parsed.push.tag), redact(parsed.push.event_id)
            yield replace(parsed, push=replace(parsed.push, tag=tag, event_id=event_id))
        else:
            yield safe if isinstance(parsed, Ignored) and isinstance(safe, Ignored) else parsed
