"""One history: an agent, two instances of the app, what happens to them, and the time until nothing changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from core.agents_file.spec import Agents
from core.model import Push
from core.reasons import Reason
from core.release.decide import RULES, Rule
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.release_queue import Message
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import (
    Foundry,
    Gateways,
    Journal,
    KeyVault,
    OutcomePublisher,
    Registry,
    ReleaseQueue,
    StateStore,
)
from handlers.release_agent.reconcile import reconcile
from handlers.resume_releases.run import resume_releases
from handlers.settings import Settings
from tests.simulation.faults import LATE_CALLS, PROCESS, FaultyGateway, Log
from tests.simulation.foundry import SimulatedFoundry
from tests.simulation.instances import Instances
from tests.simulation.report_invariants import OutcomeList, check_nothing_waits_for_the_timer, check_push_begins_anew
from tests.simulation.safety_invariants import CheckedFoundry, InvariantError, Oracle, check_one_version_each
from tests.simulation.scene import AGENT, ENVIRONMENT, REPOSITORY, SECRET, Scene, draw_scene
from tests.simulation.state_store import CheckedStateStore
from tests.simulation.virtual_time import VirtualClock

WORKERS = 2
RESUME_EVERY = 300.0
STORY_SHARE = 0.25
"""Of the histories, so many begin with a story."""
STORY_FAULTS = 0.3
"""The share of the faults that a story meets: with all of them few would come to their point."""
CALM_RUNS, MAX_RUNS = 4, 60
"""At the end: runs of the timer in which nothing may change, and how many there may be until then."""
SETTINGS = Settings.from_env(ENVIRONMENT)
WORKER_CLOCKS, LAPTOP_CLOCKS = (0.0, 0.0, 0.0, -20.0, 20.0), (0.0, 0.0, -600.0, 600.0)
"""Seconds by which the clocks of hosts are ahead."""
Rules = tuple[Rule, ...]


@dataclass(frozen=True)
class Mutant:
    """The app with a fault: in what its gateways answer, or in a rule."""

    gateways: Callable[[Gateways], Gateways] = lambda gateways: gateways
    rules: Callable[[Rules], Rules] = lambda rules: rules


Step = Callable[["History"], Awaitable[None]]
Actor = Callable[["History", int], Awaitable[None]]


class History(Instances):
    """The services, the instances of the app and what happens to them."""

    def __init__(self, seed: int, *, harsh: float = 1.0, log: Log | None = None, mutant: Mutant | None = None) -> None:
        super().__init__(seed, harsh=harsh, log=log)
        self.settings = SETTINGS
        self.state_store, self.key_vault = InMemoryStateStore(self.clock), self.make_vault()
        self.journal, self.registry = InMemoryJournal(), InMemoryRegistry()
        self.foundry = SimulatedFoundry(self.clock, self.random)
        self.scene: Scene = draw_scene(self.random)
        self.oracle = Oracle(self.foundry, self.state_store, self.key_vault, self.agents.agents[AGENT])
        self.foundry.before_create = lambda metadata: check_one_version_each(self.oracle, metadata)
        self.deployed_at = -1e9
        self.newest: Push | None = None
        self.allowed_reasons: set[str] = set()
        self.outcomes = OutcomeList(self.oracle)
        self.rules = (mutant or Mutant()).rules(RULES)
        self.gateways = (mutant or Mutant()).gateways(self._gateways())
        self.hosts = [self._host(WORKER_CLOCKS) for _ in range(WORKERS)]
        self.laptop = self._host(LAPTOP_CLOCKS)

    def make_vault(self) -> InMemoryKeyVault:
        """The vault of this history."""
        return InMemoryKeyVault()

    def expected_variables(self) -> Mapping[str, str]:
        """The variables that a live version of the newest push has at the end, with their values."""
        return {"KEY": self.key_vault.value(SECRET)}

    def new_day(self) -> None:
        """Called at each run of the timer after the last event, first once frozen processes are back."""
        self.state_store.markers.pop("secrets-check", None)

    @property
    def agents(self) -> Agents:
        """The agents file that is deployed."""
        return self.scene.agents

    def _gateways(self) -> Gateways:
        log = self.log if self._log else None

        def faulty(target: object, service: str) -> FaultyGateway:
            return FaultyGateway(target, service, self.dice, log)

        self._checked = CheckedFoundry(faulty(self.foundry, "Foundry"), self.oracle)
        return Gateways(
            foundry=cast("Foundry", self._checked),
            key_vault=cast("KeyVault", faulty(self.key_vault, "Key Vault")),
            state_store=cast("StateStore", CheckedStateStore(self.state_store, self.dice, log, self.oracle)),
            journal=cast("Journal", faulty(self.journal, "storage")),
            release_queue=cast("ReleaseQueue", faulty(self.queue, "storage")),
            clock=self.clock,
            registry=cast("Registry", faulty(self.registry, "registry")),
            outcome_publisher=cast("OutcomePublisher", faulty(self.outcomes, "Event Grid")),
        )

    def _host(self, clocks: Sequence[float]) -> Gateways:
        """The gateways of a host with a clock of its own."""
        clock = VirtualClock(self.random.random, self.random.choice(clocks))
        return replace(self.gateways, clock=clock)

    async def run(
        self, prepare: Step, actors: Sequence[tuple[Actor, float]], finish: Step, stories: Sequence[Step] = ()
    ) -> None:
        """Let actors act, or a story happen, then wait until nothing changes."""
        self.key_vault.put(SECRET, "value-0")
        for number, host in enumerate(self.hosts):
            self.spawn(self.work(f"worker {number}", partial(self._release, host)))
        self.spawn(self._resume())
        choices, weights = zip(*actors, strict=True)
        try:
            is_story = bool(stories) and self.random.random() < STORY_SHARE
            self.dice.harsh *= STORY_FAULTS if is_story else 1.0
            await (self.random.choice(stories) if is_story else prepare)(self)
            for number in range(self.random.choice([0, 0, 1]) if is_story else self.random.randint(3, 8)):
                await self.random.choices(choices, weights)[0](self, number + 1)
                await asyncio.sleep(self.random.choice([1, 20, 90, 300]) * self.random.random())
                self._raise_violation()
            self.dice.calm = True
            await finish(self)
            await self._settle()
        finally:
            await self.stop()

    async def _settle(self) -> None:
        calm_runs, last = 0, None
        for number in range(MAX_RUNS):
            await asyncio.sleep(RESUME_EVERY)
            if number == 0:  # frozen processes are back; a new day begins, so the registry is asked for missed pushes
                self.state_store.markers.pop("missed-pushes", None)
            self.new_day()
            self._raise_violation()
            agent = self.foundry.agents.get(AGENT)
            now = (self.oracle.desired, self.oracle.release, agent.routing if agent else None, self.busy)
            calm_runs, last = (calm_runs + 1 if now == last else 0), now
            if calm_runs == CALM_RUNS and not self.busy:
                return
        raise InvariantError("the loop never ends")

    def _raise_violation(self) -> None:
        self.raise_errors()
        if self.oracle.violations:
            raise InvariantError(self.oracle.violations[0])

    def after_routing(self, act: Callable[[], None]) -> None:
        """Do something each time after Slipway has moved the traffic."""
        self._checked.after_routing = act

    @property
    def digests(self) -> list[str]:
        """Every image that was pushed, oldest first."""
        return list(self.foundry.behaviours)

    def push(self, push: Push) -> None:
        """Put an image into the registry."""
        self.newest = push
        self.registry.push(REPOSITORY, push.tag, push.digest, push.pushed_at)
        self.log(f"push {push.tag} {push.digest[-4:]} {self.foundry.behaviours[push.digest]}")

    def allow(self, *reasons: str) -> None:
        """Allow a release to end with one of these reasons: a person interfered."""
        self.allowed_reasons |= set(reasons)

    def deploy(self, scene: Scene) -> None:
        """End every process, and run later ones with another agents file."""
        self.end_processes()
        self.deployed_at = self.clock.monotonic()
        self.scene, self.oracle.spec = scene, scene.agents.agents[AGENT]
        self.log(f"deployed: {scene}")

    async def _release(self, host: Gateways, _: Message) -> Reason:
        return await reconcile(self.agents.agents[AGENT], self.settings, host, rules=self.rules)

    def after_message(self, ended: Reason) -> None:
        """Check what must be true at once after a release; while a process stood still, others may have gone on."""
        process = PROCESS.get()
        if process.has_stood_still:
            return
        check_push_begins_anew(self.oracle, ended)
        is_quiet = not (self.busy or self.in_flight or LATE_CALLS or self.queue.waiting)
        if is_quiet and not process.lost_release:
            check_nothing_waits_for_the_timer(self.oracle, ended)

    async def _resume(self) -> None:
        while True:
            await asyncio.sleep(RESUME_EVERY)
            await self.run_handler("resume", lambda: resume_releases(self.agents, self.hosts[0]))
