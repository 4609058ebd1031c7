"""Reports messages that stay in a poison queue: a text that is not base64 reaches no function, there neither."""

from __future__ import annotations

from collections.abc import Mapping

from core.poison_watch import PoisonWatch, watch_poison_queue
from core.reasons import Reason
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import DecisionLog

POISON_QUEUES = ("events-poison", "releases-poison", "commit-statuses-poison")


async def report_poison_queues(depths: Mapping[str, int], decisions: DecisionLog, gateways: Gateways) -> None:
    """Compare with the run before; a queue that could not be counted stays as it was.

    The marker is written after the report, so that a crash between them reports twice rather than never. Raises
    TransientError or PermanentError where the state store fails.
    """
    for queue in POISON_QUEUES:
        if queue not in depths:
            continue
        last = _parse(await gateways.state_store.read_marker(queue))
        watch, stuck = watch_poison_queue(last, depths[queue])
        if stuck:
            detail = f"no function takes the {stuck} messages of {queue}"
            decisions.record(Reason.POISON_QUEUE_STUCK, detail, queue=queue, messages=stuck)
        if watch != last:
            await gateways.state_store.write_marker(queue, f"{watch.messages} {watch.reported}")


def _parse(text: str) -> PoisonWatch:
    """What the last run saw; a marker that cannot be read counts as nothing seen."""
    numbers = text.split()
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        return PoisonWatch()
    return PoisonWatch(*map(int, numbers))
