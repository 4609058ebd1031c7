"""Histories in which people also push what cannot be deployed, tags move, and the registry shows a push late.

Invariant 7: such a push displaces nothing. The registry itself has no faults here: without an answer a release goes on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.image_manifest import ImageFacts
from core.model import Push
from core.release.actions import Action
from core.release.inputs import DecisionInput
from tests.simulation import actors
from tests.simulation.faults import Log
from tests.simulation.liveness_invariants import check_end
from tests.simulation.run import History, Mutant, Rules
from tests.simulation.safety_invariants import InvariantError
from tests.simulation.scene import AGENT, REPOSITORY, draw_behaviour
from tests.simulation.seeds import play

UNDEPLOYABLE = 50_000
"""The digests of what cannot be deployed count from here."""
BAD = (ImageFacts("NOT_AN_IMAGE", "a build cache"), ImageFacts("WRONG_PLATFORM", "linux/arm64"))
MOVING_TAG = "latest"


async def push_undeployable(history: History, number: int) -> None:
    """A build cache, or an image for another platform, to the repository of the agent."""
    random, digest = history.random, f"sha256:{UNDEPLOYABLE + number:064x}"
    pushed = Push(REPOSITORY, digest, f"cache-{number}", history.clock.now(), f"event-cache-{number}")
    history.registry.push(REPOSITORY, pushed.tag, digest, pushed.pushed_at, random.choice(BAD))
    history.log(f"push {pushed.tag}, which cannot be deployed")
    for copy in range(random.choice([0, 1, 1, 2])):
        history.spawn(actors.deliver(history, pushed, random.choice([0.0, 5.0, 90.0]) * copy))


async def move_tag(history: History, number: int) -> None:
    """A new image under a tag that moves; the registry may show it some time after its event."""
    random, digest = history.random, f"sha256:{number:064x}"
    history.foundry.behaviours.setdefault(digest, draw_behaviour(random))
    pushed = Push(REPOSITORY, digest, MOVING_TAG, history.clock.now(), f"event-{number}")
    history.newest = pushed
    history.log(f"push {MOVING_TAG} {digest[-4:]} {history.foundry.behaviours[digest]}")
    history.spawn(_show(history, pushed, random.choice([0.0, 0.0, 3.0, 40.0])))
    for copy in range(random.choice([1, 1, 2])):
        history.spawn(actors.deliver(history, pushed, random.choice([0.0, 5.0, 90.0]) * copy))


async def _show(history: History, pushed: Push, lag: float) -> None:
    await asyncio.sleep(lag)
    shown = next((tag for tag in history.registry.tags.get(REPOSITORY, []) if tag.tag == pushed.tag), None)
    if shown is None or shown.pushed_at <= pushed.pushed_at:
        history.registry.push(REPOSITORY, pushed.tag, pushed.digest, pushed.pushed_at)


ACTORS = (*actors.ACTORS, (push_undeployable, 4), (move_tag, 3))


def simulate(seed: int, *, harsh: float = 1.0, log: Log | None = None, mutant: Mutant | None = None) -> History:
    """Run a history; raise InvariantError where an invariant does not hold."""
    history = History(seed, harsh=harsh, log=log, mutant=mutant)
    history.gateways = replace(history.gateways, registry=history.registry)
    history.hosts = [replace(host, registry=history.registry) for host in history.hosts]
    return play(history, _run)


async def _run(history: History) -> None:
    await history.run(actors.prepare, ACTORS, actors.finish)
    if not is_left_unchecked(history):
        check_end(history)
    agent = history.foundry.agents.get(AGENT)
    images = [version.image for version in agent.versions.values()] if agent else []
    if any(is_undeployable(image.rpartition("@")[2]) for image in images):
        raise InvariantError("a version was created for a push that cannot be deployed")


def is_left_unchecked(history: History) -> bool:
    """True where a person paused the agent, held what cannot be deployed, chose another push, or pushed it again."""
    desired, newest = history.oracle.desired, history.newest
    digests = [hold.digest for hold in desired.holds]
    digests += [push.digest for push in (desired.newest_push, newest) if push is not None]
    return desired.pause is not None or any(map(is_undeployable, digests))


def is_undeployable(digest: str) -> bool:
    """Whether an image is among those that must never be deployed."""
    return bool(digest) and int(digest.removeprefix("sha256:"), 16) >= UNDEPLOYABLE


def _stays_desired(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    return None


def _without(name: str) -> Mutant:
    def mutate(rules: Rules) -> Rules:
        assert name in [rule.__name__ for rule in rules]
        return tuple(_stays_desired if rule.__name__ == name else rule for rule in rules)

    return Mutant(rules=mutate)


REGISTRY_MUTANTS = {
    "a rejected push stays desired": _without("push_rejected"),
    "an image that is not readable yet is gone": _without("image_not_readable_yet"),
}
"""By the missing safeguard. Corrections by the registry are not among them: the daily run at the end makes them too."""
