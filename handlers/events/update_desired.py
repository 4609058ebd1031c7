"""The ledger write and the queue message that every wish is made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core.intake.events import DesiredUpdate
from core.state.desired import DesiredState
from handlers.gateways.interfaces import Gateways


async def update_and_enqueue(
    agent: str, judge: Callable[[DesiredState, datetime], DesiredUpdate], gateways: Gateways, *, dry_run: bool = False
) -> DesiredUpdate:
    """Hold something against what is wanted, store what comes of it, and have the release taken up.

    In this order, so that a message never finds the ledger without its wish. ``dry_run``: nothing is stored and nobody
    asked. Raises TransientError or PermanentError.
    """
    now = gateways.clock.now()
    if dry_run:
        return judge(await gateways.state_store.get_desired(agent), now)
    judged: list[DesiredUpdate] = []

    def change(before: DesiredState) -> DesiredState:
        judged.append(judge(before, now))  # once per try: somebody else may have written in between
        return judged[-1].desired

    await gateways.state_store.update_desired(agent, change)
    noted = judged[-1]
    if noted.enqueues:
        due = noted.desired.not_before
        delay = max(0.0, (due - now).total_seconds()) if due else 0.0
        await gateways.release_queue.enqueue(agent, delay=delay, traceparent=noted.desired.traceparent)
    return noted


def step_fields(step: str, dry_run: bool) -> dict[str, object]:
    """Where a line was decided; that of a dry run has a step of its own, so that no figure counts it."""
    return {"step": "dry_run", "dry_run": True} if dry_run else {"step": step}
