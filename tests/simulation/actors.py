"""Who does something in a history: the registry, Key Vault, a deployment, the timers and a person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from core.definition import FINGERPRINT
from core.events import ImagePushed, SecretChanged
from core.image_manifest import RegistryTag
from core.model import Push, Routing, Status
from core.state.release import Phase
from handlers import user_commands
from handlers.events.image_pushed import handle_push
from handlers.events.secret_changed import handle_secret_change
from handlers.prune_versions.run import prune_versions
from handlers.telemetry.decision_log import DecisionLog
from tests.simulation import scene
from tests.simulation.run import RESUME_EVERY, History
from tests.simulation.safety_invariants import Choice
from tests.simulation.scene import AGENT, REPOSITORY, SECRET
from tests.simulation.virtual_time import START

BY = "somebody"


async def push(history: History, number: int) -> None:
    """A push, of a new image or of an earlier one; its event comes once, more than once, late or never."""
    random = history.random
    again = history.newest is not None and random.random() < 0.2
    digest = history.newest.digest if again and history.newest else f"sha256:{number:064x}"
    history.foundry.images.setdefault(digest, scene.image(random))
    pushed = Push(REPOSITORY, digest, f"v{number}", history.clock.now(), f"event-{number}")
    history.pushed(pushed, RegistryTag(pushed.tag, digest, pushed.pushed_at))
    for copy in range(random.choice([0, 1, 1, 1, 2, 3])):
        delay = random.choice([0.0, 0.0, 5.0, 90.0]) * copy
        history.spawn(_delivered(history, pushed, delay))
    if random.random() < 0.1:
        old = Push(REPOSITORY, f"sha256:{0:064x}", "old", START - timedelta(days=1), "old")
        history.spawn(_delivered(history, old, 1.0))


async def beginning(history: History) -> None:
    """Most agents have lived before: some good images went live, one after the other, while nothing went wrong."""
    history.dice.still = True
    for number in range(history.random.choice([0, 0, 0, 2, 3])):
        digest, at = f"sha256:{EARLIER + number:064x}", history.clock.now()
        history.foundry.images[digest] = scene.Image.GOOD
        pushed = Push(REPOSITORY, digest, f"v0.{number}", at, f"event-0.{number}")
        history.pushed(pushed, RegistryTag(pushed.tag, digest, at))
        history.spawn(_delivered(history, pushed, 0.0))
        await asyncio.sleep(90 + 60 * history.random.random())
    history.dice.still = False


EARLIER = 1_000
"""What the digests of such images count from."""


async def _delivered(history: History, pushed: Push, delay: float) -> None:
    await asyncio.sleep(delay)

    async def deliver() -> None:
        decisions = DecisionLog(history.outside.journal, history.clock, {})
        await handle_push(ImagePushed(pushed), history.agents, decisions, history.outside)

    await history.until_done("image_pushed", deliver)


async def rotate(history: History, number: int) -> None:
    """The secret has a new version."""
    secret = history.vault.put(SECRET, f"value-{number}")
    changed = SecretChanged("vault", SECRET, secret.version, f"secret-{number}")

    async def deliver() -> None:
        decisions = DecisionLog(history.outside.journal, history.clock, {})
        await handle_secret_change(changed, history.agents, decisions, history.outside)

    history.spawn(history.until_done("secret_changed", deliver))


async def deploy(history: History, number: int) -> None:
    """The configuration changes: the app starts anew with another rule.

    Two changes between two runs of the timer are one to it: a mode that was notify in between is not noticed.
    """
    if history.clock.monotonic() - history.deployed_at < 2 * RESUME_EVERY:
        history.disturbed("WOULD_RELEASE")
    history.deploy(history.scene.changed(history.random))


async def pruned(history: History, number: int) -> None:
    """The timer of ``prune_versions``."""
    history.spawn(
        history.until_done("prune", lambda: prune_versions(history.agents, history.settings, history.outside))
    )


async def route(history: History, number: int) -> None:
    """A person moves the traffic to an active version, though not to the one that a release is at.

    Nor back to where it came from while a move is noted and its answer is not: nobody can tell that from a move that
    never landed (docs/how-to/incident.md says to pause first).
    """
    agent, release = history.foundry.agents.get(AGENT), history.watch.record
    found = agent.versions.values() if agent else ()
    active = [
        one.number
        for one in found
        if history.foundry.status(one.number) is Status.ACTIVE
        and agent
        and one.number != agent.routing.pinned
        and one.metadata.get(FINGERPRINT) != release.fingerprint
        and not (release.pending_write and release.expected_routing and release.expected_routing.routes_to(one.number))
    ]
    if active and agent:
        history.foundry.turned(AGENT, Routing.to(history.random.choice(active)))
        back = agent.routing == release.expected_routing and release.pending_write is None
        history.watch.moved = (
            None if back else Choice(history.clock.monotonic(), release.observed_generation, agent.routing)
        )
        history.watch.touched = True
        history.disturbed("ROUTING_CHANGED")
        history.say(f"a person moves the traffic to {agent.routing.pinned}")


AFTER_DELETION = (
    "CANDIDATE_GONE",
    "ROUTING_CHANGED",
    "AGENT_DELETED",
    "VERIFY_FAILED",
    "CHECK_FAILED_NO_ROLLBACK_VERSION",
    "CHECK_FAILED",
    "ROUTE_REFUSED",
    "HELD",
    "ROLLBACK_REFUSED",
    "LIVE",
)
"""How a release may end under which somebody deletes."""


async def delete(history: History, number: int) -> None:
    """A person deletes a version: the candidate, the live one, an earlier one."""
    agent = history.foundry.agents.get(AGENT)
    if agent is None or not agent.versions:
        return
    gone = history.random.choice(list(agent.versions))
    agent.remove(gone)
    history.watch.deleted[gone] = history.clock.monotonic()
    history.disturbed(*AFTER_DELETION)
    history.say(f"a person deletes version {gone}")


async def delete_agent(history: History, number: int) -> None:
    """A person deletes the agent with all its versions."""
    agent = history.foundry.agents.get(AGENT)
    if agent is None:
        return
    history.watch.deleted |= dict.fromkeys(agent.versions, history.clock.monotonic())
    history.watch.moved = None  # a choice among versions that are gone
    history.foundry.ended(AGENT)
    history.disturbed(*AFTER_DELETION)
    history.say("a person deletes the agent")


async def speak(history: History, number: int) -> None:
    """A person says one of the words that the command line knows."""
    word = history.random.choice([_approve, _hold, _lift, _pause, _resume, _again, _roll_back])
    history.spawn(word(history))


async def _approve(history: History) -> None:
    await _said(history, lambda: user_commands.approve(AGENT, BY, history.outside))


async def _hold(history: History) -> None:
    history.disturbed("HELD")
    await _said(history, lambda: user_commands.hold(AGENT, "wait", BY, history.outside))


async def _lift(history: History) -> None:
    await _said(history, lambda: user_commands.unhold(AGENT, BY, history.outside))


async def _pause(history: History) -> None:
    until = history.clock.now() + timedelta(minutes=5) if history.random.random() < 0.5 else None
    await _said(history, lambda: user_commands.pause((AGENT,), "wait", BY, history.outside, until))


async def _resume(history: History) -> None:
    await _said(history, lambda: user_commands.unpause((AGENT,), BY, history.outside))


async def _again(history: History) -> None:
    await _said(history, lambda: user_commands.request_release(AGENT, BY, history.outside))


async def _roll_back(history: History) -> None:
    history.disturbed("HELD", "CANDIDATE_GONE")
    await _said(history, lambda: user_commands.request_rollback(AGENT, "bad", BY, history.outside))


async def _said(history: History, word: Callable[[], Awaitable[Any]]) -> None:
    history.say(f"a person says {word.__code__.co_names[1]}")
    await history.until_done("person", word)


async def tidy(history: History) -> None:
    """At the end of a history a person ends the pause and approves what waits, or leaves it."""
    if history.random.random() < 0.7:
        await _resume(history)
    if history.random.random() < 0.7 and history.watch.record.phase in (Phase.CONFIRMED, Phase.VERIFIED):
        await _approve(history)


HAPPENINGS = (
    (push, 8),
    (rotate, 2),
    (route, 1.2),
    (delete, 0.7),
    (delete_agent, 0.2),
    (speak, 3),
    (pruned, 2),
    (deploy, 0.8),
)
