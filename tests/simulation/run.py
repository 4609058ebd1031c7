"""One seeded history: a world, its workers, what happens to it, and how it settles."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, cast

from core.agents_file.spec import Agents
from core.image_manifest import RegistryTag
from core.model import Push
from handlers.gateways.errors import GatewayError
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Foundry, Gateways, Journal, KeyVault, Registry, ReleaseQueue, StateStore
from handlers.release_agent.reconcile import reconcile
from handlers.resume_releases.run import resume_releases
from handlers.settings import Settings
from tests.simulation import scene
from tests.simulation.faults import LATE, PROCESS, Crash, Dice, Faulty, Process, Tell
from tests.simulation.foundry import SimulatedFoundry
from tests.simulation.release_queue import WaitingQueue
from tests.simulation.safety_invariants import BrokenError, Watch, WatchedFoundry, one_version_each
from tests.simulation.scene import AGENT, ENVIRONMENT, REPOSITORY, SECRET, Scene
from tests.simulation.state_store import FaultyLedger
from tests.simulation.virtual_time import VirtualClock

WORKERS = 2
RESUME_EVERY = 300.0
CALM, LONGEST = 4, 60
"""Runs of the timer in which nothing may change at the end, and how many it may take to come to that."""
SETTINGS = Settings.from_env(ENVIRONMENT)
Plant = Callable[[Gateways], Gateways]
Act = Callable[["History"], Awaitable[None]]
Happening = Callable[["History", int], Awaitable[None]]


class History:
    """A world, its workers and what happens to it."""

    def __init__(self, seed: int, *, harsh: float = 1.0, tell: Tell | None = None, plant: Plant | None = None) -> None:
        self.dice = Dice(seed, harsh=harsh)
        self.random = self.dice.random
        self.clock, self.settings, self._tell = VirtualClock(self.random.random), SETTINGS, tell
        self.ledger, self.vault, self.journal = InMemoryStateStore(self.clock), InMemoryKeyVault(), InMemoryJournal()
        self.queue, self.images = WaitingQueue(self.clock), InMemoryRegistry()
        self.foundry = SimulatedFoundry(self.clock, self.random)
        self.scene: Scene = scene.scene(self.random)
        self.watch = Watch(self.foundry, self.ledger, self.vault, self.agents.agents[AGENT])
        self.foundry.before_create = lambda metadata: one_version_each(self.watch, metadata)
        self.crashes, self.busy, self.deployed_at = 0, 0, -1e9
        self.newest: Push | None = None
        self.excused: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._alive: set[Process] = set()
        self.outside = (plant or (lambda whole: whole))(self._gateways())

    @property
    def agents(self) -> Agents:
        """The rule that is deployed now."""
        return self.scene.agents

    def _gateways(self) -> Gateways:
        say = self.say if self._tell else None

        def faulty(target: object, service: str) -> Faulty:
            return Faulty(target, service, self.dice, say)

        return Gateways(
            foundry=cast("Foundry", WatchedFoundry(faulty(self.foundry, "Foundry"), self.watch)),
            key_vault=cast("KeyVault", faulty(self.vault, "Key Vault")),
            state_store=cast("StateStore", FaultyLedger(self.ledger, self.dice, say, self.watch)),
            journal=cast("Journal", faulty(self.journal, "storage")),
            release_queue=cast("ReleaseQueue", faulty(self.queue, "storage")),
            clock=self.clock,
            registry=cast("Registry", faulty(self.images, "registry")),
        )

    async def run(self, beginning: Act, happenings: Sequence[tuple[Happening, float]], tidy: Act) -> None:
        """Live through it, then let everything settle."""
        self.vault.put(SECRET, "value-0")
        workers = [asyncio.create_task(self._work(f"worker {one}")) for one in range(WORKERS)]
        timer = asyncio.create_task(self._resume())
        self._tasks |= {*workers, timer}
        choices, weights = zip(*happenings, strict=True)
        try:
            await beginning(self)
            for number in range(self.random.randint(3, 9)):
                await self.random.choices(choices, weights)[0](self, number + 1)
                await asyncio.sleep(self.random.choice([1, 20, 90, 300]) * self.random.random())
                self._fail_if_broken()
            self.dice.still = True
            await tidy(self)
            await self._settle()
        finally:
            for task in (*self._tasks, *LATE):
                task.cancel()
            await asyncio.gather(*self._tasks, *LATE, return_exceptions=True)

    async def _settle(self) -> None:
        calm, last = 0, None
        for attempt in range(LONGEST):
            await asyncio.sleep(RESUME_EVERY)
            if attempt == 0:  # whoever hung is back, and a day has passed: the registry is asked what was missed
                self.ledger.markers.pop("catch-up", None)
            self._fail_if_broken()
            agent = self.foundry.agents.get(AGENT)
            now = (self.watch.wanted, self.watch.record, agent.routing if agent else None, self.busy)
            calm, last = (calm + 1 if now == last else 0), now
            if calm == CALM and not self.busy:
                return
        raise BrokenError("it never comes to an end")

    def _fail_if_broken(self) -> None:
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()
        if self.watch.findings:
            raise BrokenError(self.watch.findings[0])

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on beside the rest."""
        self._tasks.add(asyncio.create_task(work))

    def say(self, line: str) -> None:
        """One line of a replay."""
        if self._tell is not None:
            self._tell(f"{self.clock.now():%H:%M:%S} {line}")

    def pushed(self, push: Push, tagged: RegistryTag) -> None:
        """An image is in the registry."""
        self.newest = push
        self.images.tags.setdefault(REPOSITORY, []).append(tagged)
        self.say(f"push {push.tag} {push.digest[-4:]} {self.foundry.images[push.digest]}")

    def disturbed(self, *reasons: str) -> None:
        """A person did what may end a release with one of these."""
        self.excused |= set(reasons)

    def deploy(self, scene: Scene) -> None:
        """Every process ends, and the next ones have another rule."""
        for process in self._alive:
            process.dead = True
        self.deployed_at = self.clock.monotonic()
        self.scene, self.watch.rule = scene, scene.agents.agents[AGENT]
        self.say(f"deployed: {scene}")

    async def until_done(self, name: str, act: Callable[[], Awaitable[Any]]) -> None:
        """As Event Grid does: again, until it was answered."""
        while not await self._once(name, act):
            await asyncio.sleep(10)

    async def _once(self, name: str, act: Callable[[], Awaitable[Any]]) -> bool:
        process = Process(name)
        PROCESS.set(process)
        self._alive.add(process)
        try:
            await act()
        except Crash:
            self.crashes += 1
            self.say(f"{name} crashed")
            return False
        except GatewayError as error:
            self.say(f"{name}: {error}")
            return False
        finally:
            self._alive.discard(process)
        return True

    async def _work(self, name: str) -> None:
        """One instance of the app: takes messages, dies, comes back."""
        while True:
            message = await self.queue.receive()
            self.busy += 1
            before = self.crashes
            done = await self._once(name, lambda: reconcile(self.agents.agents[AGENT], self.settings, self.outside))
            self.busy -= 1
            if not done:  # the host's own figure for a worker that died
                self.queue.retry(message, 600 if self.crashes > before else 60)

    async def _resume(self) -> None:
        while True:
            await asyncio.sleep(RESUME_EVERY)
            await self._once("resume", lambda: resume_releases(self.agents, self.outside))
