"""Short courses of events that are rare among random ones; faults and other people may still come in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from core.model import Push, Routing, Status
from handlers import user_commands
from tests.simulation import actors
from tests.simulation.run import RESUME_EVERY, History
from tests.simulation.scene import AGENT, REPOSITORY, Behaviour

Story = Callable[[History], Awaitable[None]]


def _begin(history: History, **scene: Any) -> None:
    """The app of the story, before anything is released."""
    changed = {"mode": "auto", "verify": False, "check": False, "min_push_age": "0s", **scene}
    history.scene = replace(history.scene, **changed)
    history.oracle.spec = history.scene.agents.agents[AGENT]


async def _push(history: History, letter: str, behaviour: Behaviour = Behaviour.GOOD, wait: float = 150.0) -> None:
    count = len(history.registry.tags.get(REPOSITORY, ()))
    digest = f"sha256:{letter * 64}"
    history.foundry.behaviours.setdefault(digest, behaviour)
    pushed = Push(REPOSITORY, digest, f"{letter}{count}", history.clock.now(), f"event-{letter}{count}")
    history.push(pushed)
    history.spawn(actors.deliver(history, pushed, 0.0))
    await asyncio.sleep(wait * (0.7 + 0.6 * history.random.random()))


async def _route(history: History, number: str) -> None:
    agent = history.foundry.agents.get(AGENT)
    may_move = not actors.would_look_unapplied(history.oracle.release, number)
    if agent and number in agent.versions and history.foundry.status(number) is Status.ACTIVE and may_move:
        actors.move_traffic(history, Routing.to(number))


async def deleted_and_rotated(history: History) -> None:
    """A person deletes the agent; its secret is rotated more than once."""
    _begin(history)
    await _push(history, "a")
    await actors.delete_agent(history, 0)
    for number in range(3):
        await asyncio.sleep(120)
        await actors.rotate(history, number)
    await asyncio.sleep(120)


async def mended(history: History) -> None:
    """The first image of a new agent fails; the cause is mended, and the image is pushed again."""
    _begin(history)
    history.foundry.deduplicates_by, history.foundry.ends_with_last_version = "definition", True
    await _push(history, "a", Behaviour.FAILS)
    await asyncio.sleep(100)
    await actors.mend(history)
    await _push(history, "a")


async def pinned_new_agent(history: History) -> None:
    """The first release times out; its version comes up, and a person pins it."""
    _begin(history, provision_within="1m")
    history.foundry.provisioning = 100.0
    await _push(history, "a")
    history.allow("TIMED_OUT")
    await asyncio.sleep(60)
    await _route(history, "1")
    await asyncio.sleep(80)
    await actors.rotate(history, 1)
    await asyncio.sleep(200)


async def busy_branch(history: History) -> None:
    """Pushes come faster than releases, and a person moves the traffic meanwhile."""
    _begin(history)
    history.foundry.provisioning = 20.0
    for letter in "ab":
        await _push(history, letter)
    for letter in "cdefg":
        await _push(history, letter, wait=5.0)
    await _route(history, "1")
    await asyncio.sleep(200)


async def approved_and_recreated(history: History) -> None:
    """A version is approved; the agent is deleted, and the same image pushed again."""
    _begin(history, mode="manual")
    await _push(history, "a", wait=90.0)
    await actors.approve(history)
    await asyncio.sleep(100)
    await actors.delete_agent(history, 0)
    await asyncio.sleep(100)
    await _push(history, "a")
    if history.random.random() < 0.5:
        await actors.approve(history)


async def held_rollback_version(history: History) -> None:
    """A person holds the image that a failed check would go back to."""
    _begin(history, check=True)
    for letter in "abc":
        await _push(history, letter)
    await _route(history, "2")
    await asyncio.sleep(100)
    held = history.random.choice("bc")
    history.allow("HELD", "CHECK_FAILED_NO_ROLLBACK_VERSION")
    await actors.hold(history, f"sha256:{held * 64}")
    await _push(history, "d", Behaviour.WRONG_LIVE)


async def rolled_back_twice(history: History) -> None:
    """The live image, which the next release would go back to, is held: the good one before is left."""
    _begin(history, check=True)
    for letter in "abc":
        await _push(history, letter)
    history.allow("HELD")
    await actors.hold(history, f"sha256:{'c' * 64}")
    await _push(history, "d", Behaviour.WRONG_LIVE)


async def there_and_back(history: History) -> None:
    """An image, another one, and the first one again, before any read shows the first version."""
    _begin(history)
    history.foundry.list_lag = 30.0
    history.foundry.provisioning = 20.0
    await _push(history, "a")
    for letter in "bcb":
        await _push(history, letter, wait=6.0)
    await asyncio.sleep(150)


async def wanted_again(history: History) -> None:
    """The same image under two tags, before any read shows its version."""
    _begin(history)
    history.foundry.list_lag = history.foundry.version_lag = 30.0
    await _push(history, "a")
    await _push(history, "b", wait=6.0)
    await _push(history, "b")


async def released_from_a_laptop(history: History) -> None:
    """A person releases a failing image once more from a laptop whose clock is ahead, and it is pushed again."""
    _begin(history, verify=history.random.random() < 0.5, check=True)
    history.laptop = replace(history.gateways, clock=type(history.clock)(history.random.random, 600.0))
    await _push(history, "a")
    await _push(history, "b", Behaviour.WRONG_LIVE)
    await actors.run_command(
        history, lambda: user_commands.request_release(history.agents.agents[AGENT], actors.USER, history.laptop)
    )
    await asyncio.sleep(120)
    await _push(history, "b")


async def rolled_back_then_everything(history: History) -> None:
    """A person takes an image or a configuration back; then happens whatever is neither a push nor a command for it."""
    _begin(history, mode=history.random.choice(["auto", "auto", "manual"]), provision_within="15m")
    history.dice.calm = True
    await _push(history, "a")
    await actors.approve(history)
    await asyncio.sleep(60)
    if history.random.random() < 0.6:
        await _change_variable(history)
        await asyncio.sleep(RESUME_EVERY + 90)
    else:
        await _push(history, "b")
    await actors.approve(history)
    await asyncio.sleep(60)
    history.dice.calm = False
    if history.random.random() < 0.3:
        await actors.rotate(history, 10)
        await asyncio.sleep(15 * history.random.random())
    await actors.roll_back(history)
    await asyncio.sleep(90 * history.random.choice([0.0, 0.1, 1.0]))
    for number in range(history.random.randint(2, 5)):
        act = history.random.choice([actors.rotate, actors.rotate, _deploy_again, actors.prune, _hold_another, _a_day])
        await act(history, 20 + number)
        await asyncio.sleep(history.random.choice([3, 60, RESUME_EVERY + 60]))
        await actors.approve(history)
    if history.random.random() < 0.3:
        await _push(history, "c", history.random.choice([Behaviour.GOOD, Behaviour.FAILS]))
        await actors.rotate(history, 30)
        await asyncio.sleep(60)


async def _change_variable(history: History) -> None:
    history.deploy(replace(history.scene, variable=history.scene.variable + "!"))


async def _deploy_again(history: History, number: int) -> None:
    await _change_variable(history)


async def _hold_another(history: History, number: int) -> None:
    digest = f"sha256:{number:064x}"
    await actors.hold(history, digest)
    await actors.run_command(history, lambda: user_commands.unhold(AGENT, actors.USER, history.laptop, digest))


async def _a_day(history: History, number: int) -> None:
    """The timer's next run looks for missed pushes."""
    history.state_store.markers.pop("missed-pushes", None)
    await asyncio.sleep(RESUME_EVERY)


async def deleted_and_pushed(history: History) -> None:
    """A person deletes the agent, and a push finds that."""
    _begin(history)
    await _push(history, "a")
    await asyncio.sleep(120)
    await actors.delete_agent(history, 0)
    await asyncio.sleep(60)
    await _push(history, "b")


STORIES: tuple[Story, ...] = (
    deleted_and_rotated,
    mended,
    pinned_new_agent,
    busy_branch,
    approved_and_recreated,
    held_rollback_version,
    rolled_back_twice,
    there_and_back,
    wanted_again,
    released_from_a_laptop,
    rolled_back_then_everything,
    rolled_back_then_everything,
    deleted_and_pushed,
)
