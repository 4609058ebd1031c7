"""What happens in a history: pushes, rotations, deployments, timers, and what people do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from core.definition import FINGERPRINT
from core.events import ImagePushed, SecretChanged
from core.model import Push, Routing, Status
from core.state.release import WITHOUT_TRAFFIC, ReleaseState
from handlers import user_commands
from handlers.events.image_pushed import handle_push
from handlers.events.secret_changed import handle_secret_change
from handlers.prune_versions.run import prune_versions
from handlers.telemetry.decision_log import DecisionLog
from tests.simulation.run import RESUME_EVERY, History
from tests.simulation.safety_invariants import AgentDeletion, ManualRouting
from tests.simulation.scene import AGENT, REPOSITORY, SECRET, Behaviour, draw_behaviour
from tests.simulation.virtual_time import START

USER = "somebody"
EARLIER = 1_000
"""The digests of images from before a history count from here."""


async def prepare(history: History) -> None:
    """Without faults, release some good images one after the other: most agents have earlier versions."""
    during_promotions(history)
    history.dice.calm = True
    for number in range(history.random.choice([0, 0, 0, 2, 3])):
        digest, now = f"sha256:{EARLIER + number:064x}", history.clock.now()
        history.foundry.behaviours[digest] = Behaviour.GOOD
        pushed = Push(REPOSITORY, digest, f"v0.{number}", now, f"event-0.{number}")
        history.push(pushed)
        history.spawn(deliver(history, pushed, 0.0))
        await asyncio.sleep(90 + 60 * history.random.random())
    history.dice.calm = False


async def push(history: History, number: int) -> None:
    """Push a new image or an earlier one; now and then many in a row, or two in turn."""
    random = history.random
    is_repeated = history.newest is not None and random.random() < 0.25
    digest = random.choice(history.digests[-2:]) if is_repeated else f"sha256:{number:064x}"
    await _push(history, f"v{number}", digest)
    if history.scene.mode == "manual" and random.random() < 0.3:
        history.spawn(_later(history, approve, 90.0))
    if history.foundry.behaviours[digest] is Behaviour.FAILS and random.random() < 0.5:
        history.spawn(_later(history, mend, 200.0))
    if random.random() < 0.02:
        history.spawn(_push_often(history, f"v{number}", digest))


async def _push_often(history: History, tag: str, first: str) -> None:
    """A busy branch; or an image, another one, and the first one again."""
    random = history.random
    others = [f"{first[:-2]}{count}e" for count in range(5)]
    digests = random.choice([[others[0], first], others])
    if len(digests) > 2 and random.random() < 0.7:
        history.spawn(_later(history, _route_now, 60.0))
    for count, digest in enumerate(digests):
        await asyncio.sleep(2.0 + 6.0 * random.random())
        await _push(history, f"{tag}.{count}", digest)


async def _push_again(history: History) -> None:
    """Somebody pushes the desired image under another tag."""
    push, count = history.oracle.desired.push, len(history.registry.tags.get(REPOSITORY, ()))
    if push is not None:
        await _push(history, f"again-{count}", push.digest)


async def _push(history: History, tag: str, digest: str) -> None:
    """The event comes once, more than once, late or never."""
    random = history.random
    history.foundry.behaviours.setdefault(digest, draw_behaviour(random))
    pushed = Push(REPOSITORY, digest, tag, history.clock.now(), f"event-{tag}")
    history.push(pushed)
    at_least = 1 if history.dice.calm else 0  # at the end the registry is not searched again
    for copy in range(at_least + random.choice([0, 1, 1, 1, 2, 3])):
        delay = random.choice([0.0, 0.0, 5.0, 90.0]) * copy
        history.spawn(deliver(history, pushed, delay))
    if random.random() < 0.1:
        old = Push(REPOSITORY, f"sha256:{0:064x}", "old", START - timedelta(days=1), "old")
        history.spawn(deliver(history, old, 1.0))


async def deliver(history: History, pushed: Push, delay: float) -> None:
    """The event of a push, delivered until it is handled."""
    await asyncio.sleep(delay)

    async def handle() -> None:
        decisions = DecisionLog(history.gateways.journal, history.clock, {})
        await handle_push(ImagePushed(pushed), history.agents, decisions, history.gateways)

    await history.until_done("image_pushed", handle)


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
    """A person moves the traffic to an active version, except the candidate."""
    agent, release = history.foundry.agents.get(AGENT), history.oracle.release
    active = [
        version.number
        for version in (agent.versions.values() if agent else ())
        if history.foundry.status(version.number) is Status.ACTIVE
        and agent
        and version.number != agent.routing.pinned
        and not (release.is_open and version.metadata.get(FINGERPRINT) == release.fingerprint)
        and not would_look_unapplied(release, version.number)
    ]
    if not active or not agent:
        return
    move_traffic(history, Routing.to(history.random.choice(active)))
    if history.random.random() < 0.1:
        history.spawn(_rotate_later(history, 30.0))


def would_look_unapplied(release: ReleaseState, number: str) -> bool:
    """Whether traffic that a person moves to this version looks like a move of Slipway's that was never applied.

    While a routing write has no answer and no read has shown it: docs/how-to/incident.md says to pause first.
    """
    pending, before = release.pending_write, release.expected_routing
    return bool(pending and pending.seen_at is None and before and before.routes_to(number))


def move_traffic(history: History, to: Routing) -> None:
    """A person moves the traffic."""
    agent, release = history.foundry.agents[AGENT], history.oracle.release
    if agent.routing == to:
        return
    history.foundry.change_routing(AGENT, to)
    history.oracle.rollback = None
    pending = release.pending_write
    is_restored = agent.routing == (pending.routing if pending else release.expected_routing)
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
    known = history.oracle.release
    if known.created_at:
        deletion = AgentDeletion(history.clock.monotonic(), known.observed_generation)
        history.oracle.agent_deletion = deletion
    history.oracle.agent_was_deleted = True
    history.oracle.rollback = None
    history.foundry.delete_agent(AGENT)
    history.allow(*AFTER_DELETION)
    history.log("a person deletes the agent")
    if history.random.random() < 0.5:
        history.spawn(_after(history, 100.0, _push_again))


async def command(history: History, number: int) -> None:
    """A person runs a command, now or in the seconds of whatever comes next."""
    run = history.random.choice([approve, _hold, _hold, _unhold, _pause, _resume, _release, _release, roll_back])
    history.spawn(_later(history, run, history.random.choice([0.0, 3.0, 30.0])))


async def _later(history: History, run: Callable[[History], Awaitable[None]], within: float) -> None:
    await asyncio.sleep(within * history.random.random())
    await run(history)


async def _after(history: History, seconds: float, act: Callable[[History], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds + 5.0 * history.random.random())
    await act(history)


async def _rotate_later(history: History, seconds: float) -> None:
    await _after(history, seconds, lambda history: rotate(history, int(1000 + seconds)))


def during_promotions(history: History) -> None:
    """In some histories people act in the very seconds in which Slipway moves the traffic."""
    if history.random.random() < 0.3:

        def act() -> None:
            if not history.dice.calm and history.random.random() < 0.4:
                history.spawn(_later(history, history.random.choice(DURING_PROMOTIONS), 6.0))

        history.after_routing(act)


async def _route_now(history: History) -> None:
    await route(history, 0)


async def mend(history: History) -> None:
    """What made images fail, such as a missing role, is mended, and a person retries."""
    history.foundry.mend()
    history.allow("IMAGE_ERROR")
    history.log("images that failed run now")
    history.spawn(_later(history, _release, 3.0))


async def approve(history: History) -> None:
    """A person approves the waiting version."""
    await run_command(history, lambda: user_commands.approve(AGENT, USER, history.laptop))


async def _hold(history: History) -> None:
    await hold(history, history.random.choice([None, None, *history.digests[-3:]]))


async def hold(history: History, digest: str | None) -> None:
    """A person holds an image."""
    history.allow("HELD")
    await run_command(history, lambda: user_commands.hold(AGENT, "wait", USER, history.laptop, digest))


async def _unhold(history: History) -> None:
    await run_command(history, lambda: user_commands.unhold(AGENT, USER, history.laptop))


async def _pause(history: History) -> None:
    until = history.laptop.clock.now() + timedelta(minutes=5) if history.random.random() < 0.5 else None
    await run_command(history, lambda: user_commands.pause((AGENT,), "wait", USER, history.laptop, until))


async def _resume(history: History) -> None:
    await run_command(history, lambda: user_commands.unpause((AGENT,), USER, history.laptop))


async def _release(history: History) -> None:
    if history.random.random() < 0.1:
        history.spawn(_after(history, 60.0 + 200.0 * history.random.random(), _push_again))
    await run_command(
        history, lambda: user_commands.request_release(history.agents.agents[AGENT], USER, history.laptop)
    )


async def roll_back(history: History) -> None:
    """A person makes the previous good version live again."""
    history.allow("HELD", "CANDIDATE_GONE")
    await run_command(history, lambda: user_commands.request_rollback(AGENT, "bad", USER, history.laptop))


async def run_command(history: History, user_command: Callable[[], Awaitable[Any]]) -> None:
    """Run a user command until it succeeds."""
    history.log(f"a person runs {user_command.__code__.co_names[1]}")
    await history.until_done("person", user_command)


async def finish(history: History) -> None:
    """A person ends the pause and approves the candidate, or does not."""
    if history.random.random() < 0.7:
        await _resume(history)
    if history.random.random() < 0.7 and history.oracle.release.phase in WITHOUT_TRAFFIC:
        await approve(history)


DURING_PROMOTIONS = (_route_now, _route_now, _hold, roll_back, _pause)
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
