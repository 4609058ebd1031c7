"""Handles a delivery of events, from Event Grid or from the queue: parses it, and calls the handler of each event."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.agents_file.spec import Agents
from core.events import ImagePushed, ParsedEvent, SecretChanged, parse_events
from handlers.events.delivery_log import DeliveryLog
from handlers.events.image_pushed import STEP, handle_push
from handlers.events.secret_changed import handle_secret_change
from handlers.events.signature_pushed import SIGNATURES, wake_releases
from handlers.gateways.interfaces import Gateways
from handlers.redaction import redact_and_truncate
from handlers.settings import Settings

MAX_ID_CHARS = 60
"""Of an event's id."""


def parse_delivery(
    event: str, settings: Settings, now: datetime, project_vaults: Collection[str] = ()
) -> tuple[ParsedEvent, ...]:
    """Every event of a delivery that came ``now``, compared with the app's registry and vaults."""
    return parse_events(
        event,
        settings.registry_name,
        now,
        settings.key_vault_host,
        registry_id=settings.registry_id,
        vault_id=settings.key_vault_id,
        project_vaults=project_vaults,
    )


async def handle_event(event: str, agents: Agents, settings: Settings, gateways: Gateways) -> None:
    """Handle one delivery: an event, or an array of events.

    Returns for a mistake that no retry can correct. Raises TransientError or PermanentError where the state store or
    the queue refuses the event, so that it is delivered again.
    """
    decisions = DeliveryLog(gateways.journal, gateways.clock)
    signed = set[str]()
    try:
        for parsed in parse_delivery(event, settings, gateways.clock.now(), agents.vaults.values()):
            if isinstance(parsed, ImagePushed):
                await handle_push(_with_safe_label(parsed), agents, decisions, gateways)
            elif isinstance(parsed, SecretChanged):
                await handle_secret_change(parsed, agents, decisions, gateways)
            else:
                image: dict[str, Any] = {"repository": parsed.repository, "tag": parsed.tag, "digest": parsed.digest}
                decisions.record(parsed.reason, parsed.detail, step=STEP, event=parsed.event_id, **image)
                signed |= {parsed.repository} if parsed.reason in SIGNATURES else set()
        await wake_releases(signed, agents, gateways)
    finally:
        decisions.record_rest(STEP)
        await decisions.flush()


def _with_safe_label(pushed: ImagePushed) -> ImagePushed:
    """The push with its event's id redacted: a label for people, which is stored and which nothing compares.

    Repository, tag and digest stay as they came: agents.yaml, the registry and later pushes are compared with them. A
    secret may be called like a part of a tag.
    """
    event_id = redact_and_truncate(pushed.push.event_id, MAX_ID_CHARS)
    return replace(pushed, push=replace(pushed.push, event_id=event_id))
