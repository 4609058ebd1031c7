"""Updates the desired state and enqueues the release: the way of every event and user command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core.intake.events import DesiredUpdate
from core.state.desired import DesiredState
from handlers.gateways.interfaces import Gateways


async def update_and_enqueue(
    agent: str, change: Callable[[DesiredState, datetime], DesiredUpdate], gateways: Gateways, *, dry_run: bool = False
) -> DesiredUpdate:
    """Apply a change to the desired state, store the result, and enqueue the release where one is due.

    In this order, so that a message never arrives before its change. ``dry_run``: nothing is stored or enqueued. Raises
    TransientError or PermanentError.
    """
    now = gateways.clock.now()
    if dry_run:
        return change(await gateways.state_store.get_desired(agent), now)
    updates: list[DesiredUpdate] = []

    def apply(before: DesiredState) -> DesiredState:
        updates.append(change(before, now))  # once per attempt: somebody else may have written meanwhile
        return updates[-1].desired

    await gateways.state_store.update_desired(agent, apply)
    update = updates[-1]
    if update.enqueues:
        delay = max(0.0, (update.due - now).total_seconds()) if update.due else 0.0
        await gateways.release_queue.enqueue(agent, delay=delay, traceparent=update.desired.newest_traceparent)
    return update


def step_fields(step: str, dry_run: bool) -> dict[str, object]:
    """The step of a decision; a dry run has its own, so that no query counts it."""
    return {"step": "dry_run", "dry_run": True} if dry_run else {"step": step}
