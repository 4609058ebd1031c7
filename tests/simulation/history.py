"""One seeded history: pushes, rotations, a person's hand, crashes and lost answers, and the rules that must hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from core.definition import FINGERPRINT
from core.events import Pushed, SecretChanged
from core.model import Failure, Push, Routing, Status
from core.record import Record
from core.rules import Agents
from core.rules_file import read_rules
from handlers import image_pushed, prune, release, secret_changed
from handlers.config import Settings
from handlers.decisions import Decisions
from handlers.gateways import Foundry, Gateways, Ledger, TransientError, Vault
from tests.fakes.foundry import FakeFoundry
from tests.fakes.images import FakeImages
from tests.fakes.storage import FakeJournal, FakeLedger
from tests.fakes.vault import FakeVault
from tests.simulation.chaos import Crash, Dice, Faulty
from tests.simulation.virtual_time import START, VirtualClock

AGENT, REPOSITORY, SECRET = "hello-agent", "agents/hello", "hello-key"
RULES = b"""
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    release: {settle: 5s}
    keep: {newest: 1, min_age: 1m, failed: 1m, max_deletes: 3}
"""
ENVIRONMENT = {
    "FOUNDRY_PROJECT_ENDPOINT": "https://local/api/projects/demo",
    "KEY_VAULT_URL": "https://vault.local",
    "REGISTRY_NAME": "demo",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    "PRUNE_SCHEDULE": "0 0 3 * * *",
    "RESUME_SCHEDULE": "0 */5 * * * *",
}
WORKERS = 2
RESUME_EVERY = 300.0
INSTANT = 1e-6
"""Seconds below which a loop does not tell times apart."""
QUIET = 3 * 3600.0
"""Seconds of a well-behaved world at the end: everything must be settled in them."""


class BrokenError(AssertionError):
    """An invariant does not hold."""


@dataclass
class SimulatedQueue:
    """Messages that come back until they were handled; what fails five times is poison."""

    clock: VirtualClock
    waiting: list[tuple[float, int]] = field(default_factory=list)
    poisoned: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        self._put(delay, 0)

    async def take(self) -> int:
        """The tries of the next message, once it is due."""
        while True:
            due, tries = min(self.waiting, default=(float("inf"), 0))
            if due <= self.clock.monotonic() + INSTANT:
                self.waiting.remove((due, tries))
                return tries + 1
            self.came.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.came.wait(), min(due - self.clock.monotonic(), RESUME_EVERY))

    def back(self, tries: int, delay: float) -> None:
        if tries >= 5:
            self.poisoned += 1
        else:
            self._put(delay, tries)

    def _put(self, delay: float, tries: int) -> None:
        self.waiting.append((self.clock.monotonic() + delay, tries))
        self.came.set()


class WatchedFoundry(FakeFoundry):
    """Foundry with an eye on everything that must never happen."""

    def __init__(self, clock: VirtualClock, ledger: FakeLedger, dice: Dice) -> None:
        super().__init__(clock, provisioning=20, list_lag=dice.random.choice([0.0, 10.0, 30.0]))
        self._ledger = ledger
        self.routed_by_person: tuple[int, str] | None = None
        """The serial that a release had answered when a person moved the traffic, and where to."""

    async def route(self, agent: str, to: Routing) -> Routing:
        found, version = self.agents[agent], to.pinned or ""
        state = await self.version(agent, version)
        if len(found.versions) > 1 and (state is None or state.status.value != "active"):
            raise BrokenError(f"traffic moved to version {version}, which is {state.status if state else 'gone'}")
        if self.routed_by_person and self._ledger.wishes[agent].by_people <= self.routed_by_person[0]:
            raise BrokenError("a person's routing was overwritten without a newer push")
        self.routed_by_person = None
        return await super().route(agent, to)

    async def delete(self, agent: str, number: str) -> Any:
        found = self.agents[agent]
        record = self._ledger.releases[agent].record
        if found.routing.names(number) or (record.good and record.good.version == number):
            raise BrokenError(f"version {number} was deleted while it served")
        if record.candidate == number and record.open and not record.twin:
            raise BrokenError(f"the candidate {number} was deleted")
        return await super().delete(agent, number)


class History:
    """A world, its workers and what happens to it."""

    def __init__(self, seed: int, *, harsh: float = 1.0, tell: Callable[[str], None] | None = None) -> None:
        self.dice = Dice(seed, harsh=harsh)
        self.clock = VirtualClock()
        self.ledger, self.vault, self.journal = FakeLedger(self.clock), FakeVault(), FakeJournal()
        self.queue = SimulatedQueue(self.clock)
        self.foundry = WatchedFoundry(self.clock, self.ledger, self.dice)
        self.agents: Agents = read_rules(RULES)
        self.settings = Settings.from_env(ENVIRONMENT)
        self.crashes = 0
        self.newest: Push | None = None
        told = (lambda line: tell(f"{self.clock.now():%H:%M:%S} {line}")) if tell else None
        self.outside = Gateways(
            foundry=cast("Foundry", Faulty(self.foundry, "Foundry", self.dice, told)),
            vault=cast("Vault", Faulty(self.vault, "Key Vault", self.dice, told)),
            ledger=cast("Ledger", FaultyLedger(self.ledger, "storage", self.dice, told)),
            journal=self.journal,
            queue=self.queue,
            clock=self.clock,
            images=FakeImages(),
        )

    async def run(self) -> None:
        """Live through it, then let everything settle, then look."""
        self.vault.put(SECRET, "value-0")
        workers = [asyncio.create_task(self._work()) for _ in range(WORKERS)]
        timer = asyncio.create_task(self._resume())
        try:
            for number in range(self.dice.random.randint(3, 8)):
                await self._something(number)
                await asyncio.sleep(self.dice.random.random() * 90)
                self._fail_if_broken(workers)
            self.dice.still = True
            await asyncio.sleep(QUIET)
            self._fail_if_broken(workers)
        finally:
            for task in (*workers, timer):
                task.cancel()
            await asyncio.gather(*workers, timer, return_exceptions=True)
        await self._judge()

    def _fail_if_broken(self, workers: list[asyncio.Task[None]]) -> None:
        for worker in workers:
            if worker.done():
                worker.result()

    async def _something(self, number: int) -> None:
        await self.dice.random.choices(
            [self._push, self._push_that_fails, self._rotate, self._person, self._prune], [6, 2, 2, 1, 1]
        )[0](number)

    async def _push(self, number: int) -> None:
        digest = f"sha256:{number:064x}"
        if self.dice.random.random() < 0.2 and self.newest:
            digest = self.newest.digest  # the same image under another tag
        push = Push(REPOSITORY, digest, f"v{number}", self.clock.now(), f"event-{number}")
        self.newest = push
        for _ in range(self.dice.random.choice([1, 1, 2, 3])):
            await self._until_done(lambda: self._deliver(push))
        if self.dice.random.random() < 0.2:
            await self._until_done(lambda: self._deliver(Push(REPOSITORY, f"sha256:{0:064x}", "late", START, "late")))

    async def _push_that_fails(self, number: int) -> None:
        self.foundry.failing[f"{number:064x}"] = Failure("ImageError", "cannot start")
        await self._push(number)

    async def _rotate(self, number: int) -> None:
        secret = self.vault.put(SECRET, f"value-{number}")
        changed = SecretChanged("vault", SECRET, secret.version, f"secret-{number}")

        async def deliver() -> None:
            await secret_changed.handle(changed, self.agents, self._decisions(), self.outside)

        await self._until_done(deliver)

    async def _person(self, number: int) -> None:
        """A person moves the traffic by hand, to an active version that no release is about to move it to."""
        agent = self.foundry.agents.get(AGENT)
        if agent is None:
            return
        record = await self.ledger.record(AGENT)
        shown = await self.foundry.versions(AGENT)
        active = [
            one.number
            for one in shown
            if one.status is Status.ACTIVE
            and one.number != agent.routing.pinned
            and one.metadata.get(FINGERPRINT) != record.fingerprint
        ]
        if active:
            agent.routing = Routing.to(self.dice.random.choice(active))
            self.foundry.routed_by_person = (record.seen, agent.routing.pinned or "")

    async def _prune(self, number: int) -> None:
        async def once() -> None:
            await prune.handle(self.agents, self.settings, self.outside)

        await self._until_done(once)

    async def _deliver(self, push: Push) -> None:
        await image_pushed.handle(Pushed(push), self.agents, self._decisions(), self.outside)

    def _decisions(self) -> Decisions:
        return Decisions(self.journal, self.clock, {})

    async def _until_done(self, act: Callable[[], Awaitable[None]]) -> None:
        """As Event Grid does: again, until it was answered."""
        while True:
            try:
                return await act()
            except (Crash, TransientError):
                self.crashes += 1
                await asyncio.sleep(10)

    async def _work(self) -> None:
        """One instance of the app: takes messages, dies, comes back."""
        while True:
            tries = await self.queue.take()
            try:
                await release.handle(AGENT, self.agents.agents[AGENT], self.settings, self.outside)
            except Crash:
                self.crashes += 1
                self.queue.back(tries, 600)  # the host's own figure for a worker that died
            except TransientError:
                self.queue.back(tries, 60)

    async def _resume(self) -> None:
        while True:
            await asyncio.sleep(RESUME_EVERY)
            if AGENT in await self.ledger.agents(frozenset({"open", "due"})):
                await self.queue.send(AGENT)

    async def _judge(self) -> None:
        """What must be true once everything has settled."""
        record = await self.ledger.record(AGENT)
        wanted = await self.ledger.wanted(AGENT)
        if self.newest is None or wanted.push is None:
            return
        self._expect(wanted.push == self.newest, "the newest push is what is wanted")
        moved = self.foundry.routed_by_person is not None
        self._expect(
            not record.open or moved, f"the release ended, not {record.stage} after {self.journal.reasons()[-5:]}"
        )
        self._expect(record.seen == wanted.serial or moved, f"serial {wanted.serial} was answered, not {record.seen}")
        self._once_each()
        if moved or record.reason in ("AGENT_DELETED", "CANDIDATE_GONE"):
            return
        failing = any(part in self.newest.digest for part in self.foundry.failing)
        if failing:
            self._expect(record.reason == "IMAGE_ERROR", f"the failed image ended as {record.reason}")
            return
        self._live(record)

    def _live(self, record: Record) -> None:
        agent, newest = self.foundry.agents[AGENT], cast("Push", self.newest)
        live = agent.versions[agent.routing.pinned or ""]
        self._expect(newest.digest in live.image, f"the newest push serves, not {live.metadata} after {record.reason}")
        value = self.foundry.values[AGENT, live.number]["KEY"]
        newest_value = self.vault._kept[SECRET][-1].secret.value.reveal()
        self._expect(value == newest_value, f"the newest secret serves, not {value} for {newest_value}")

    def _once_each(self) -> None:
        """At most one version a fingerprint, unless a list lagged behind a lost answer or a failed twin was cleared."""
        prints = [one.metadata.get(FINGERPRINT, "") for one in self.foundry.agents[AGENT].versions.values()]
        self._expect(len(prints) == len(set(prints)), "one version for each fingerprint")
        ends = [line for line in self.journal.lines if line["reason"] in ("LIVE", "ALREADY_LIVE", "IMAGE_ERROR")]
        told = [(line.get("serial"), line["reason"]) for line in ends if "serial" in line]
        self._expect(len(told) == len(set(told)), f"no end told twice for one serial: {told}")

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise BrokenError(what)


class FaultyLedger(Faulty):
    """A ledger whose leases meet chance too."""

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name != "lease":
            return found

        async def lease(agent: str) -> Any:
            taken = await found(agent)
            return Faulty(taken, "storage", self._dice, self._tell) if taken is not None else None

        return lease
