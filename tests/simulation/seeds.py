"""One seed is one history: lived through, and told again when it breaks an invariant."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.simulation import actors
from tests.simulation.liveness_invariants import judge
from tests.simulation.run import History, Plant
from tests.simulation.virtual_time import run


def live(
    seed: int, *, harsh: float = 1.0, tell: Callable[[str], None] | None = None, plant: Plant | None = None
) -> History:
    """Live through a history; raises BrokenError where an invariant does not hold."""
    history = History(seed, harsh=harsh, tell=tell, plant=plant)
    with _without_logs():
        run(_lived(history))
    return history


async def _lived(history: History) -> None:
    await history.run(actors.beginning, actors.HAPPENINGS, actors.tidy)
    judge(history)


def broken(seed: int, *, harsh: float = 1.0, plant: Plant | None = None) -> str | None:
    """What the history breaks and how to see it again, or None."""
    try:
        live(seed, harsh=harsh, plant=plant)
    except Exception as error:  # noqa: BLE001 - whatever leaves a handler and is no GatewayError is a finding too
        again = f"python -m tests.simulation.replay --seed {seed}" + ("" if harsh == 1.0 else f" --harsh {harsh}")
        return f"seed {seed}: {type(error).__name__}: {error}\n  again with: {again}"
    return None


@contextmanager
def _without_logs() -> Iterator[None]:
    """The journal has every line; building log records would take a quarter of the time."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
