"""Histories with ``release.windows``: nothing is promoted outside of them, and what waits goes live when they open."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release.actions import Action, Requeue, Stop
from core.release.gates import window
from core.release.inputs import DecisionInput
from core.release_outcome import awaits_window
from tests.simulation import actors
from tests.simulation.faults import Log
from tests.simulation.liveness_invariants import check_end
from tests.simulation.release_mutants import instead_of
from tests.simulation.run import RESUME_EVERY, History, Mutant
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.scene import AGENT
from tests.simulation.seeds import play
from tests.simulation.virtual_time import START

WINDOWS = (
    "{zone: Europe/Berlin, allow: {hours: 15:00-20:00}}",
    "{allow: [{days: tue, hours: 12:05-12:15}, {hours: 14:00-19:00}]}",
    "{deny: {days: tue, hours: 11:00-14:00}}",
    "{freezes: {start: 2026-11-20, end: 2026-11-24T14:00}}",
)
"""Each opens at 14:00 UTC, two hours after the start of a history."""
OPENING = START + timedelta(hours=2)
CALM = timedelta(minutes=5)
MAX_SKEW_SECONDS = 30.0
BOUND = 60.0
"""Seconds for the release itself, and for clocks that differ, beside the interval of the timer."""


def simulate(seed: int, *, log: Log | None = None, mutant: Mutant | None = None) -> History:
    """Run a history, every other one with faults; raise InvariantError where an invariant does not hold."""
    history = History(seed, harsh=0.5 * (seed % 2), log=log, mutant=mutant)
    history.scene = replace(history.scene, windows=history.random.choice(WINDOWS))
    history.oracle.spec = history.scene.agents.agents[AGENT]
    return play(history, _run)


async def _run(history: History) -> None:
    await history.run(actors.prepare, actors.ACTORS, _finish)
    check_end(history)


async def _finish(history: History) -> None:
    """What people do at the end, and then the opening."""
    await actors.finish(history)
    await asyncio.sleep((OPENING - CALM - history.clock.now()).total_seconds())
    opens = (OPENING - START).total_seconds()
    messages = [message for message in history.queue.waiting if abs(message.due - opens) <= MAX_SKEW_SECONDS]
    if len(messages) > 1 and history.dice.harsh == 0:  # a fault may send a message twice
        raise InvariantError("a closed window costs more than one message")
    await asyncio.sleep(CALM.total_seconds() + RESUME_EVERY + BOUND)
    release, desired = history.oracle.release, history.oracle.desired
    is_paused = desired.pause is not None and desired.pause.is_active(history.clock.now())
    is_free = history.scene.mode == "auto" and not history.oracle.routing_was_changed and not is_paused
    if is_free and awaits_window(release) and release.observed_generation == desired.generation:
        raise InvariantError("a version still waits for a window that has opened")


def _is_polled(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Each message for the release adds another one."""
    action = window.window(inputs, spec, now)
    opening = spec.release.opens_at(now)
    return Requeue(Reason.WINDOW_CLOSED, opening) if isinstance(action, Stop) and opening is not None else action


def _never_wakes(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The release waits for ever once it has waited."""
    waited = awaits_window(inputs.release) and not window.is_let_through(inputs)
    return Stop(Reason.WINDOW_CLOSED) if waited else window.window(inputs, spec, now)


WINDOW_MUTANTS = {
    "the window is left out": instead_of("window", lambda inputs, spec, now: None),
    "each event sends one more message": instead_of("window", _is_polled),
    "the opening is missed": instead_of("window", _never_wakes),
}
"""By the fault."""
