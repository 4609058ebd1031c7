"""Histories in which pushes come faster than their minimum age, and secrets are rotated in a trickle.

Every push that no newer one replaced is live within its waits plus a bound, and none is live before its age.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from core.model import Push
from core.state.desired import Cause, DesiredState
from handlers.gateways.interfaces import Gateways
from tests.simulation import actors
from tests.simulation.faults import Log
from tests.simulation.liveness_invariants import check_end
from tests.simulation.mutants import Override
from tests.simulation.run import History, Mutant
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.scene import AGENT, REPOSITORY, SECRET, Behaviour
from tests.simulation.seeds import play
from tests.simulation.virtual_time import START

AGE, DEBOUNCE, LONGEST_QUIET = 60.0, 5.0, 50.0
"""Seconds, as in the scene: ``debounce_at_most`` is ten times ``debounce``."""
BOUND = 240.0
"""Seconds for the releases themselves, and for clocks that differ."""
MAX_SKEW = 20.0
LASTS = 600.0


def simulate(seed: int, *, log: Log | None = None, mutant: Mutant | None = None) -> History:
    """Run a history without faults; raise InvariantError where an invariant does not hold."""
    history = History(seed, harsh=0.0, log=log, mutant=mutant)
    return play(history, _run)


async def _run(history: History) -> None:
    await history.run(_prepare, ((_nothing, 1.0),), _nothing_more, (_trickle,))
    check_end(history)


async def _prepare(history: History) -> None:
    await _trickle(history)


async def _nothing(history: History, number: int) -> None:
    return


async def _nothing_more(history: History) -> None:
    return


async def _trickle(history: History) -> None:
    """Pushes, or rotations, or both, each faster than what it waits for."""
    scene = {"mode": "auto", "verify": False, "check": False, "min_push_age": f"{AGE:.0f}s", "provision_within": "15m"}
    history.scene = replace(history.scene, **scene)  # type: ignore[arg-type]
    history.oracle.spec = history.scene.agents.agents[AGENT]
    history.foundry.provisioning = history.random.choice([5.0, 20.0, 40.0])
    watch = _Watch(history)
    watch.push()
    await asyncio.sleep(AGE + 120.0)
    kinds = history.random.choice([("push",), ("rotate",), ("push", "rotate")])
    superseded = history.journal.reasons().count("SUPERSEDED")
    ends = history.clock.monotonic() + LASTS
    while history.clock.monotonic() < ends:
        for kind in kinds:
            if history.random.random() < (0.3 if kind == "push" else 1.0):
                watch.push() if kind == "push" else await watch.rotate()
        await asyncio.sleep(3.0)
        watch.check()
    if kinds == ("rotate",) and history.journal.reasons().count("SUPERSEDED") > superseded:
        raise InvariantError("a rotation stopped a release under way")


class _Watch:
    """What was pushed and rotated when, compared with what is live."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._pushes: list[tuple[float, str]] = []
        self._values: list[tuple[float, str]] = []

    def push(self) -> None:
        history, number = self._history, len(self._pushes) + 1
        digest = f"sha256:{number:064x}"
        history.foundry.behaviours[digest] = Behaviour.GOOD
        pushed = Push(REPOSITORY, digest, f"v{number}", history.clock.now(), f"event-{number}")
        history.push(pushed)
        self._pushes.append((history.clock.monotonic(), digest))
        history.spawn(actors.deliver(history, pushed, 0.0))

    async def rotate(self) -> None:
        history, number = self._history, len(self._values) + 1
        await actors.rotate(history, number)
        self._values.append((history.clock.monotonic(), history.key_vault.value(SECRET)))

    def check(self) -> None:
        history, now = self._history, self._history.clock.monotonic()
        agent = history.foundry.agents.get(AGENT)
        version = agent.versions.get(agent.routing.pinned or "") if agent else None
        if version is None:
            return
        pushed_at = {digest: at for at, digest in self._pushes}[version.image.rpartition("@")[2]]
        if now - pushed_at < AGE - MAX_SKEW:
            raise InvariantError(f"a push is live {now - pushed_at:.0f} s after it came")
        due = [at for at, _ in self._pushes if now - at > AGE + BOUND]
        if due and max(due) > pushed_at:
            raise InvariantError("a push that is old enough is not live, nor is a newer one")
        value = history.foundry.environment(AGENT, version.number)["KEY"]
        released_at = next((at for at, known in self._values if known == value), 0.0)
        if any(now - at > LONGEST_QUIET + BOUND and at > released_at for at, _ in self._values):
            raise InvariantError("a rotated secret is not live")


def _updates(change: Callable[[DesiredState, DesiredState], DesiredState]) -> Mutant:
    """The app that stores another desired state: ``change`` has what was stored before, and what is to be stored."""

    def mutate(gateways: Gateways) -> Gateways:
        async def update_desired(agent: str, apply: Callable[[DesiredState], DesiredState]) -> DesiredState:
            stored: DesiredState = await gateways.state_store.update_desired(
                agent, lambda before: change(before, apply(before))
            )
            return stored

        store: Any = Override(gateways.state_store, update_desired=update_desired)
        return replace(gateways, state_store=store)

    return Mutant(mutate)


def _only_the_newest_waits(_: DesiredState, after: DesiredState) -> DesiredState:
    return replace(after, waiting=after.waiting[:1])


def _quiet_without_end(before: DesiredState, after: DesiredState) -> DesiredState:
    if after.cause is not Cause.SECRET or after.updated_at is None or after.generation == before.generation:
        return after
    end = after.updated_at + timedelta(seconds=DEBOUNCE)
    return replace(after, not_before=end, quiet_since=after.updated_at, due_generation=before.due_generation)


def _rotation_ends_the_age(before: DesiredState, after: DesiredState) -> DesiredState:
    if after.cause is not Cause.SECRET or after.generation == before.generation:
        return after
    return replace(after, waiting=tuple(replace(item, since=START) for item in after.waiting))


def _rotation_counts_as_a_push(before: DesiredState, after: DesiredState) -> DesiredState:
    if after.cause is not Cause.SECRET or after.generation == before.generation:
        return after
    return replace(after, user_generation=after.generation, not_before=None)


WAITS_MUTANTS = {
    "only the newest push waits": _updates(_only_the_newest_waits),
    "each rotation prolongs the quiet time": _updates(_quiet_without_end),
    "a rotation ends the age of a push": _updates(_rotation_ends_the_age),
    "a rotation stops a release under way": _updates(_rotation_counts_as_a_push),
}
"""By the fault."""
