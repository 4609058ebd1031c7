"""The product's event handler with a ledger, a journal and a queue that answer at once: what it costs by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, cast

from core.state.desired import DesiredState
from handlers import bootstrap
from handlers.events.event_queued import handle_event
from handlers.gateways.interfaces import Gateways


class Instant:
    """Takes everything, keeps nothing."""

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """As the ledger of an agent of which nothing is known."""
        return change(DesiredState())

    async def append(self, *lines: Mapping[str, object]) -> None:
        """As the journal."""

    async def enqueue(self, agent: str, **options: object) -> None:
        """As the queue."""


@cache
def _gateways() -> Gateways:
    instant = cast("Any", Instant())
    return replace(bootstrap.gateways(), state_store=instant, journal=instant, release_queue=instant)


async def handle(event: str) -> None:
    """What ``image_pushed`` does, its gateways' calls aside."""
    await handle_event(event, bootstrap.agents(), bootstrap.settings(), _gateways())
