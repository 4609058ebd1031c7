"""What a plan is asked about: events, or an agent with or without an image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cli import event_files
from cli.codes import Mistake
from cli.event_files import Found
from core.agents_file.spec import Agents
from core.events import IMAGE_PUSHED
from handlers.gateways.interfaces import Gateways
from handlers.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """Events, or an agent with or without an image."""

    events: tuple[Found, ...] = ()
    agent: str | None = None
    image: str | None = None

    @classmethod
    def read(cls, what: list[str], image: str | None) -> Asked:
        """A single word that is no file is an agent; raises Mistake for what is neither."""
        (first, *more) = what
        is_file = more or first == event_files.INPUT or Path(first).exists() or "." in first or "/" in first
        if not is_file:
            return cls(agent=first, image=image)
        if image:
            raise Mistake("--image goes with an agent: slipway plan AGENT --image REF")
        return cls(events=tuple(event_files.read(what)))


async def as_event(asked: Asked, rules: Agents, settings: Settings, gateways: Gateways) -> tuple[Found, ...]:
    """An image as if it were pushed now."""
    if asked.agent is None or asked.image is None:
        return ()
    from cli.images import resolve

    push = await resolve(asked.image, rules.agents[asked.agent], settings.registry_login_server, gateways)
    target = {"repository": push.repository, "tag": push.tag, "digest": push.digest}
    body = {
        "id": "plan",
        "topic": f"/registries/{settings.registry_name}",
        "subject": f"{push.repository}:{push.tag}",
        "eventType": IMAGE_PUSHED,
        "eventTime": gateways.clock.now().isoformat(),
        "data": {"target": target},
    }
    return (Found(body, asked.image),)
