"""What happens in a history: pushes, rotations, deployments, timers, and what people do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from core.definition import FINGERPRINT
from core.events import ImagePushed, SecretChanged
from core.model import Push, Routing, Status
from core.state.release import Phase
from handlers import user_commands
from handlers.events.image_pushed import handle_push
from handlers.events.secret_changed import handle_secret_change
from handlers.prune_versions.run import prune_versions
from handlers.telemetry.decision_log import DecisionLog
from tests.simulation.run import RESUME_EVERY, History
from tests.simulation.safety_invariants import ManualRouting
from tests.simulation.scene import AGENT, REPOSITORY, SECRET, Behaviour, draw_behaviour
from tests.simulation.virtual_time import START

USER = "somebody"
EARLIER = 1_000
"""The digests of images from before a history count from here."""


async def prepare(history: History) -> None:
    """Without faults, release some good images one after the other: most agents have earlier versions."""
    history.dice.calm = True
    for number in range(history.random.choice([0, 0, 0, 2, 3])):
        digest, now = f"sha256:{EARLIER + number:064x}", history.clock.now()
        history.foundry.behaviours[digest] = Behaviour.GOOD
        pushed = Push(REPOSITORY, digest, f"v0.{number}", now, f"event-0.{number}")
        history.push(pushed)
        history.spawn(_deliver(history, pushed, 0.0))
        await asyncio.sleep(90 + 60 * history.random.random())
    history.dice.calm = False


async def push(history: History, number: int) -> None:
    """Push a new image or an earlier one; its event comes once, more than once, late or never."""
    random = history.random
    is_repeated = history.newest is not None and random.random() < 0.2
    digest = history.newest.digest if is_repeated and history.newest else f"sha256:{number:064x}"
    history.foundry.behaviours.setdefault(digest, draw_behaviour(random))
    pushed = Push(REPOSITORY, digest, f"v{number}", history.clock.now(), f"event-{number}")
    history.push(pushed)
    for copy in range(random.choice([0, 1, 1, 1, 2, 3])):
        delay = random.choice([0.0, 0.0, 5.0, 90.0]) * copy
        history.spawn(_deliver(history, pushed, delay))
    if random.random() < 0.1:
        old = Push(REPOSITORY, f"sha256:{0:064x}", "old", START - timedelta(days=1), "old")
        history.spawn(_deliver(history, old, 1.0))


async def _deliver(history: History, pushed: Push, delay: float) -> None:
    await asyncio.sleep(delay)

    async def deliver() -> None:
        decisions = DecisionLog(history.gateways.journal, history.clock, {})
        await handle_push(ImagePushed(pushed), history.agents, decisions, history.gateways)

    await history.until_done("image_pushed", deliver)


async def rotate(history: History, number: int) -> None:
    """Add a version of the secret."""
    secret = history.key_vault.put(SECRET, f"value-{number}")
    changed = SecretChanged("vault", SECRET, secret.version, f"secret-{number}")

    async def deliver() -> None:
        decisions = DecisionLog(history.gateways.journal, history.clock, {})
        await handle_secret_change(changed, history.agents, decisions, history.gateways)

    history.spawn(history.until_done("secret_changed", deliver))


async def deploy(history: History, number: int) -> None:
    """Restart the app with a changed agents file.

    The timer sees two changes between its runs as one: it misses a mode that was notify in between.
    """
    if history.clock.monotonic() - history.deployed_at < 2 * RESUME_EVERY:
        history.allow("WOULD_RELEASE")
    history.deploy(history.scene.changed(history.random))


async def prune(history: History, number: int) -> None:
    """Run the timer of ``prune_versions``."""
    history.spawn(
        history.until_done("prune", lambda: prune_versions(history.agents, history.settings, history.gateways))
    )


async def route(history: History, number: int) -> None:
    """A person moves the traffic to an active version, except the candidate.

    While a move of traffic has no answer, nobody moves it back: that looks like a move that never landed, so
    docs/how-to/incident.md says to pause first.
    """
    agent, release = history.foundry.agents.get(AGENT), history.oracle.release
    pending_from = release.expected_routing if release.pending_write else None
    active = [
        version.number
        for version in (agent.versions.values() if agent else ())
        if history.foundry.status(version.number) is Status.ACTIVE
        and agent
        and version.number != agent.routing.pinned
        and version.metadata.get(FINGERPRINT) != release.fingerprint
        and not (pending_from and pending_from.routes_to(version.number))
    ]
    if not active or not agent:
        return
    history.foundry.change_routing(AGENT, Routing.to(history.random.choice(active)))
    is_restored = agent.routing == release.expected_routing and release.pending_write is None
    manual = ManualRouting(history.clock.monotonic(), release.observed_generation, agent.routing)
    history.oracle.manual_routing = None if is_restored else manual
    history.oracle.routing_was_changed = True
    history.allow("ROUTING_CHANGED")
    history.log(f"a person moves the traffic to {agent.routing.pinned}")


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
"""How a release may end during which a person deletes a version."""


async def delete(history: History, number: int) -> None:
    """A person deletes a version: the candidate, the live one or an earlier one."""
    agent = history.foundry.agents.get(AGENT)
    if agent is None or not agent.versions:
        return
    version = history.random.choice(list(agent.versions))
    agent.remove(version)
    history.oracle.deleted_at[version] = history.clock.monotonic()
    history.allow(*AFTER_DELETION)
    history.log(f"a person deletes version {version}")


async def delete_agent(history: History, number: int) -> None:
    """A person deletes the agent with all its versions."""
    agent = history.foundry.agents.get(AGENT)
    if agent is None:
        return
    history.oracle.deleted_at |= dict.fromkeys(agent.versions, history.clock.monotonic())
    history.oracle.manual_routing = None  # its version does not exist any more
    history.foundry.delete_agent(AGENT)
    history.allow(*AFTER_DELETION)
    history.log("a person deletes the agent")


async def command(history: History, number: int) -> None:
    """A person runs a command."""
    run = history.random.choice([_approve, _hold, _unhold, _pause, _resume, _release, _roll_back])
    history.spawn(run(history))


async def _approve(history: History) -> None:
    await _run(history, lambda: user_commands.approve(AGENT, USER, history.gateways))


async def _hold(history: History) -> None:
    history.allow("HELD")
    await _run(history, lambda: user_commands.hold(AGENT, "wait", USER, history.gateways))


async def _unhold(history: History) -> None:
    await _run(history, lambda: user_commands.unhold(AGENT, USER, history.gateways))


async def _pause(history: History) -> None:
    until = history.clock.now() + timedelta(minutes=5) if history.random.random() < 0.5 else None
    await _run(history, lambda: user_commands.pause((AGENT,), "wait", USER, history.gateways, until))


async def _resume(history: History) -> None:
    await _run(history, lambda: user_commands.unpause((AGENT,), USER, history.gateways))


async def _release(history: History) -> None:
    await _run(history, lambda: user_commands.request_release(AGENT, USER, history.gateways))


async def _roll_back(history: History) -> None:
    history.allow("HELD", "CANDIDATE_GONE")
    await _run(history, lambda: user_commands.request_rollback(AGENT, "bad", USER, history.gateways))


async def _run(history: History, user_command: Callable[[], Awaitable[Any]]) -> None:
    history.log(f"a person runs {user_command.__code__.co_names[1]}")
    await history.until_done("person", user_command)


async def finish(history: History) -> None:
    """A person ends the pause and approves the candidate, or does not."""
    if history.random.random() < 0.7:
        await _resume(history)
    if history.random.random() < 0.7 and history.oracle.release.phase in (Phase.CONFIRMED, Phase.VERIFIED):
        await _approve(history)


ACTORS = (
    (push, 8),
    (rotate, 2),
    (route, 1.2),
    (delete, 0.7),
    (delete_agent, 0.2),
    (command, 3),
    (prune, 2),
    (deploy, 0.8),
)
"""Each with its weight."""
