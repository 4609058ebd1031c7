"""Runs the history of a seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.simulation import actors
from tests.simulation.faults import Log
from tests.simulation.instances import Instances
from tests.simulation.liveness_invariants import check_end
from tests.simulation.run import History, Mutant
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.stories import STORIES
from tests.simulation.virtual_time import run

H = TypeVar("H", bound=Instances)


def simulate(seed: int, *, harsh: float = 1.0, log: Log | None = None, mutant: Mutant | None = None) -> History:
    """Run a history; raise InvariantError where an invariant does not hold."""
    return play(History(seed, harsh=harsh, log=log, mutant=mutant), any_order)


async def any_order(history: History) -> None:
    """Whatever may happen to an agent, and the end of it."""
    await history.run(actors.prepare, actors.ACTORS, actors.finish, STORIES)
    check_end(history)


def play(history: H, scenario: Callable[[H], Coroutine[Any, Any, None]]) -> H:
    """Run a scenario in virtual time; the journal has every line, and log records would take a quarter of the time."""
    logging.disable(logging.CRITICAL)
    try:
        run(scenario(history))
    finally:
        logging.disable(logging.NOTSET)
    return history


def violates(simulate: Callable[..., Instances], seed: int, mutant: Mutant) -> bool:
    """Return whether a history with the mutant violates an invariant; its own errors prove nothing, and are raised."""
    try:
        simulate(seed, mutant=mutant)
    except InvariantError:
        return True
    return False
