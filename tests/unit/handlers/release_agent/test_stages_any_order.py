"""Random pushes, failures, holds, rollbacks, lost messages and waits: what comes to a later stage was good before."""

from __future__ import annotations

import random

import pytest

from core.model import Failure
from core.state import holds
from handlers import user_commands
from handlers.resume_releases.run import resume_releases
from tests.support.projects_app import ProjectsApp

FILE = """
agents:
  hello-agent:
    repository: agents/hello
    release: {debounce: 0s}
    stages:
      - {project: default}
      - {project: eu, soak: 1h}
      - {project: us, soak: 30m}
"""
CHAIN = (("hello-agent", "default", 0), ("hello-agent@eu", "eu", 3600), ("hello-agent@us", "us", 1800))
STEPS = 25
LETTERS, LAST = "abcdef012345678", "9"


class Walk:
    """One history: after each step the versions of each stage are compared with what the stage before had."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.app = ProjectsApp(FILE)
        self.letters = iter(LETTERS)
        self.pushed: list[str] = []
        self.good_since: dict[str, tuple[str, float]] = {}
        """Target -> the image that is good there, and since when, as an onlooker sees it."""
        self.was_good: dict[str, dict[str, float]] = {target: {} for target, _, _ in CHAIN}
        """Target -> image -> for how long it was good at most, without interruption."""
        self.made: dict[str, set[str]] = {target: set() for target, _, _ in CHAIN}

    async def step(self) -> None:
        actions = (
            self.push,
            self.push,
            self.wait,
            self.wait,
            self.wait,
            self.hold,
            self.roll_back,
            self.lose,
            self.sweep,
        )
        await self.random.choice(actions)()
        await self.handle()

    async def push(self) -> None:
        letter = next(self.letters, "")
        if letter:
            self.pushed.append(letter)
            if self.random.random() < 0.25:
                self.app.foundries["default"].failures[letter * 64] = Failure("CodeError", "exited with 1")
            await self.app.pushed(f"v{len(self.pushed)}", letter)

    async def wait(self) -> None:
        for _ in range(self.random.randint(1, 6)):
            await self.app.clock.sleep(600)
            await self.handle()

    async def hold(self) -> None:
        target = self.random.choice(CHAIN)[0]
        if self.pushed:
            digest = f"sha256:{self.random.choice(self.pushed) * 64}"
            await user_commands.hold(target, "odd", "ana", self.app.gateways, digest)

    async def roll_back(self) -> None:
        await user_commands.request_rollback(self.random.choice(CHAIN)[0], "odd", "ana", self.app.gateways)

    async def lose(self) -> None:
        self.app.release_queue.waiting.clear()

    async def sweep(self) -> None:
        await resume_releases(self.app.agents, self.app.gateways)

    async def handle(self) -> None:
        """Handle what is due, one message after another, and look at the stages after each."""
        while message := self.app.release_queue.take():
            before = {target: await self.held(target) for target, _, _ in CHAIN}
            await self.app.released(message.agent)
            await self.look(before)

    async def held(self, target: str) -> set[str]:
        store, now = self.app.state_store, self.app.clock.now()
        active = holds.active(await store.get_desired(target), await store.get_release(target), now)
        return {hold.digest.removeprefix("sha256:")[:1] for hold in active if hold.digest}

    async def look(self, held: dict[str, set[str]]) -> None:
        now = self.app.clock.monotonic()
        for number, (target, project, soak) in enumerate(CHAIN):
            for letter in set(await self.app.images_in(project)) - self.made[target]:
                self.made[target].add(letter)
                if number:
                    upstream = CHAIN[number - 1][0]
                    assert self.was_good[upstream].get(letter, -1.0) >= soak - 60, (
                        f"{letter} came to {target} too early"
                    )
                    assert not any(letter in held[earlier] for earlier, _, _ in CHAIN[:number])
            release = await self.app.state_store.get_release(target)
            letter = release.last_good.push.digest.removeprefix("sha256:")[:1] if release.last_good else ""
            known, since = self.good_since.get(target, ("", now))
            since = since if letter == known else now
            self.good_since[target] = letter, since
            self.was_good[target][letter] = max(now - since, self.was_good[target].get(letter, 0.0))


@pytest.mark.parametrize("seed", range(15))
async def test_nothing_comes_to_a_stage_that_was_not_good_before_for_its_time_and_the_last_push_gets_everywhere(
    seed: int,
) -> None:
    walk = Walk(seed)
    for _ in range(STEPS):
        await walk.step()
    await walk.app.pushed("last", LAST)
    for _ in range(18):
        await walk.sweep()
        await walk.handle()
        await walk.app.clock.sleep(600)
    for target, project, _ in CHAIN:
        release = await walk.app.state_store.get_release(target)
        assert release.last_good is not None
        assert release.last_good.push.digest == f"sha256:{LAST * 64}"
        assert (await walk.app.images_in(project))[-1] == LAST
