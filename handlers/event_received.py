"""An event, whichever way it came: parse it, hand it to its own file, record what was decided."""

from __future__ import annotations

from core.events import Ignored, Pushed, SecretChanged, parse
from core.rules import Agents
from handlers import image_pushed, secret_changed
from handlers.config import Settings
from handlers.decisions import Decisions
from handlers.gateways import Gateways


async def handle(event: str, agents: Agents, settings: Settings, outside: Gateways) -> None:
    """Answer one delivery: one event, or an array of them.

    Returns for whatever a retry cannot mend. Raises TransientError or PermanentError where the ledger or the queue does
    not take the event, so that Event Grid or the queue delivers it again.
    """
    decisions = Decisions(outside.journal, outside.clock, {})
    try:
        for parsed in parse(event, settings.registry_name, outside.clock.now()):
            if isinstance(parsed, Pushed):
                await image_pushed.handle(parsed, agents, decisions, outside)
            elif isinstance(parsed, SecretChanged):
                await secret_changed.handle(parsed, agents, decisions, outside)
            else:
                _tell(parsed, decisions)
    finally:
        await decisions.flush()


def _tell(ignored: Ignored, decisions: Decisions) -> None:
    decisions.tell(
        ignored.reason,
        ignored.detail,
        event=ignored.event_id,
        repository=ignored.repository,
        tag=ignored.tag,
        digest=ignored.digest,
    )
