"""The subject of a plan: events, or an agent with or without an image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cli import event_files
from cli.event_files import FoundEvent
from cli.exit_codes import UsageError
from cli.plan.recording_gateways import PlanGateways
from core.agents_file.spec import Agents
from core.events import IMAGE_PUSHED
from handlers.settings import Settings

REGISTRIES = "/subscriptions/plan/resourceGroups/plan/providers/Microsoft.ContainerRegistry/registries"
"""The start of the topic of an imagined event where only the registry's name is known."""


@dataclass(frozen=True, slots=True)
class PlanArguments:
    """Events, or an agent with or without an image, and the time of the plan, where that is not now."""

    events: tuple[FoundEvent, ...] = ()
    agent: str | None = None
    image: str | None = None
    at: datetime | None = None

    @classmethod
    def parse(cls, words: list[str], image: str | None, at: datetime | None = None) -> PlanArguments:
        """Read the events of the files; a single word that is not a file name is an agent."""
        (first, *more) = words
        is_file = more or first == event_files.INPUT or Path(first).exists() or "." in first or "/" in first
        if not is_file:
            return cls(agent=first, image=image, at=at)
        if image:
            raise UsageError("--image needs an agent: slipway plan AGENT --image REF")
        return cls(events=tuple(event_files.read_files(words)), at=at)


async def image_as_event(
    arguments: PlanArguments, agents: Agents, settings: Settings, gateways: PlanGateways
) -> tuple[FoundEvent, ...]:
    """Return an event that pushes the image now; none if no image is named."""
    if arguments.agent is None or arguments.image is None:
        return ()
    from cli.image_reference import resolve_push

    spec, now = agents.agents[arguments.agent], gateways.clock.now()
    push = replace(await resolve_push(arguments.image, spec, settings.registry_login_server, gateways), pushed_at=now)
    gateways.registry.imagine(push)
    target = push.fields
    body = {
        "id": "plan",
        "topic": settings.registry_id or f"{REGISTRIES}/{settings.registry_name}",
        "subject": push.reference,
        "eventType": IMAGE_PUSHED,
        "eventTime": now.isoformat(),
        "data": {"target": target},
    }
    return (FoundEvent(body, arguments.image),)
