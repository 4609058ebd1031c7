"""Histories of an agent in three stages and four projects, with the faults of each project and of the services of all.

In half of them one project alone has faults, and nobody interferes: then no other target may notice anything.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

from core.agents_file.loader import load_agents
from core.agents_file.spec import AgentSpec
from core.events import ImagePushed, SecretChanged
from core.intake.events import apply_push
from core.model import Push, Routing
from core.target import DEFAULT_PROJECT, agent_of, project_of, target_of
from handlers import user_commands
from handlers.events.image_pushed import handle_push
from handlers.events.secret_changed import handle_secret_change
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.foundry.projects import FoundryProjects, ProjectClient
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.in_memory.release_queue import Message
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.interfaces import Foundry, Gateways, Journal, KeyVault, Registry, ReleaseQueue, StateStore
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from handlers.telemetry.decision_log import DecisionLog
from tests.simulation.faults import Dice, Fault, FaultyGateway, Log
from tests.simulation.foundry import SimulatedFoundry
from tests.simulation.instances import Instances
from tests.simulation.run import RESUME_EVERY, SETTINGS, Mutant
from tests.simulation.scene import AGENT, PROBE, REPOSITORY, SECRET, Behaviour
from tests.simulation.seeds import play
from tests.simulation.stages_invariants import Onlooker
from tests.simulation.state_store import FaultyStateStore
from tests.simulation.virtual_time import VirtualClock

PROJECTS = (DEFAULT_PROJECT, "eu", "us", "ap")
AGENTS = load_agents(
    f"""
projects:
  eu: {{endpoint: "https://eu/api/projects/p"}}
  us: {{endpoint: "https://us/api/projects/p"}}
  ap: {{endpoint: "https://ap/api/projects/p"}}
agents:
  {AGENT}:
    repository: {REPOSITORY}
    env: {{KEY: {{secret: {SECRET}}}}}
    release: {{debounce: 5s, verify: {PROBE}, check: {PROBE}}}
    stages:
      - {{project: default}}
      - {{project: eu, soak: 20m, release: {{min_push_age: 2h}}}}
      - {{projects: [us, ap], soak: 10m}}
""".encode()
)
TARGETS = tuple(AGENTS.agents)
WORKERS, CLOCKS = 4, (0.0, 0.0, 0.0, -20.0, 20.0)
TROUBLES: tuple[GatewayError, ...] = (
    TransientError("Foundry", "timeout", "no answer", unclear=True),
    TransientError("Foundry", "503", "unavailable"),
    TransientError("Foundry", "429", "too many requests", retry_after=20.0, throttled=True),
    PermanentError("Foundry", "403", "forbidden", status=403),
)
"""What every call of a project answers for a while."""
LASTS = (60.0, 600.0, 2400.0)
MAX_RUNS = 48
"""Of the timer, until the last push must be everywhere."""


class Project:
    """Foundry in one project, with faults of its own."""

    def __init__(self, name: str, seed: int, clock: VirtualClock, *, harsh: float, log: Log | None) -> None:
        self.name, self.limiter = name, FoundryRateLimiter()
        self.dice = Dice(seed * len(PROJECTS) + PROJECTS.index(name), harsh=harsh)
        self.foundry = SimulatedFoundry(clock, self.dice.random)
        self.trouble: GatewayError | None = None
        self.client = cast("ProjectClient", _Client(self, log))


class _Client(FaultyGateway):
    """The client of a project, which reports what it refuses to the rate limiter of that project."""

    def __init__(self, project: Project, log: Log | None) -> None:
        super().__init__(project.foundry, f"Foundry in {project.name}", project.dice, log)
        self._project = project

    async def _run(self, fault: Fault | None, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            if trouble := self._project.trouble:
                await asyncio.sleep(1.0)
                raise trouble
            return await super()._run(fault, call)
        except TransientError as error:
            if error.code == "429":
                clock = self._project.foundry.clock
                self._project.limiter.record_refusal(clock.monotonic(), error.retry_after)
            raise


class StagesHistory(Instances):
    """The services, the projects, and what happens in them."""

    def __init__(self, seed: int, *, log: Log | None = None, mutant: Mutant | None = None) -> None:
        super().__init__(seed, harsh=0.5 * (seed % 2), log=log)
        self.faulty = self.random.choice(PROJECTS) if seed % 2 == 0 else ""
        """The only project with faults, in histories in which nobody interferes."""
        harsh = {name: float(self.faulty in ("", name)) for name in PROJECTS}
        self.projects = {name: Project(name, seed, self.clock, harsh=harsh[name], log=log) for name in PROJECTS}
        self.state_store, self.journal = InMemoryStateStore(self.clock), InMemoryJournal()
        self.key_vault, self.registry = InMemoryKeyVault(), InMemoryRegistry()
        self.key_vault.put(SECRET, "value-0")
        self.onlooker = Onlooker(self, AGENTS)
        self.pushes: list[Push] = []
        for target in TARGETS:
            self.projects[project_of(target)].foundry.before_create = partial(self.onlooker.check_create, target)
        self.gateways = (mutant or Mutant()).gateways(self._gateways())
        for name, project in self.projects.items():
            project.limiter = self.gateways.limiter_of(target_of(AGENT, name))
        self.hosts = [self._host() for _ in range(WORKERS)]

    def _gateways(self) -> Gateways:
        log = self.log if self._log else None

        def faulty(target: object, service: str) -> FaultyGateway:
            return FaultyGateway(target, service, self.dice, log)

        projects, store = self.projects, FaultyStateStore(self.state_store, self.dice, log)
        default = projects[DEFAULT_PROJECT].client
        router = FoundryProjects(default, lambda: AGENTS.projects, lambda name, _: projects[name].client)
        return Gateways(
            foundry=cast("Foundry", router),
            key_vault=cast("KeyVault", faulty(self.key_vault, "Key Vault")),
            state_store=cast("StateStore", store),
            journal=cast("Journal", faulty(self.journal, "storage")),
            release_queue=cast("ReleaseQueue", faulty(self.queue, "storage")),
            clock=self.clock,
            registry=cast("Registry", faulty(self.registry, "registry")),
            project_limiter=cache(lambda _: FoundryRateLimiter()),
        )

    def _host(self) -> Gateways:
        return replace(self.gateways, clock=VirtualClock(self.random.random, self.random.choice(CLOCKS)))

    async def release(self, host: Gateways, message: Message) -> None:
        """Handle a message of the queue ``releases``."""
        await handle_message(json.dumps({"target": message.agent}), AGENTS, SETTINGS, host)

    async def resume(self) -> None:
        """The timer."""
        while True:
            await asyncio.sleep(RESUME_EVERY)
            await self.run_handler("resume", lambda: resume_releases(AGENTS, self.hosts[0]))

    def push(self, number: int, behaviour: Behaviour) -> None:
        """Push a new image; its event comes once, twice or late."""
        digest, now = f"sha256:{number:064x}", self.clock.now()
        for project in self.projects.values():
            project.foundry.behaviours[digest] = behaviour
        pushed = Push(REPOSITORY, digest, f"v{number}", now, f"event-{number}")
        self.registry.push(REPOSITORY, pushed.tag, digest, now)
        self.onlooker.push(digest, behaviour)
        self.pushes.append(pushed)
        self.log(f"push {pushed.tag} {behaviour}")
        for copy in range(self.random.choice([1, 1, 2])):
            self.spawn(self._deliver(pushed, self.random.choice([0.0, 5.0, 90.0]) * copy))

    async def _deliver(self, pushed: Push, delay: float) -> None:
        await asyncio.sleep(delay)
        await self._event("image_pushed", lambda log: handle_push(ImagePushed(pushed), AGENTS, log, self.gateways))

    def rotate(self, number: int) -> None:
        """A new version of the secret."""
        secret = self.key_vault.put(SECRET, f"value-{number}")
        changed = SecretChanged("vault", SECRET, secret.version, f"secret-{number}")
        handle = self._event("secret_changed", lambda log: handle_secret_change(changed, AGENTS, log, self.gateways))
        self.spawn(handle)

    async def _event(self, name: str, handle: Callable[[DecisionLog], Awaitable[None]]) -> None:
        await self.until_done(name, lambda: handle(DecisionLog(self.gateways.journal, self.clock, {})))

    async def trouble(self, project: Project, lasts: float) -> None:
        """A project refuses every call for a while."""
        project.trouble = self.random.choice(TROUBLES)
        self.log(f"{project.name}: {project.trouble.code} for {lasts:.0f} s")
        await asyncio.sleep(lasts)
        project.trouble = None

    def interfere(self) -> None:
        """A person holds an image somewhere, rolls back or asks for an image, or a program makes one desired."""
        target, gateways = self.random.choice(TARGETS), self.gateways
        spec, push = AGENTS.agents[target], self.random.choice(self.pushes[-2:])
        commands: tuple[Callable[[], Awaitable[Any]], ...] = (
            lambda: user_commands.hold(target, "odd", "ana", gateways, push.digest),
            lambda: user_commands.request_rollback(target, "odd", "ana", gateways),
            lambda: user_commands.request_release(spec, "ana", gateways, push if spec.place.upstream else None),
            lambda: self._make_desired(spec, push),
        )
        self.log(f"a person interferes at {target}")
        self.spawn(self.until_done("person", self.random.choice(commands)))

    async def _make_desired(self, spec: AgentSpec, push: Push) -> None:
        """What a program does that knows nothing of stages."""
        now = self.clock.now()
        await self.gateways.state_store.update_desired(
            spec.name, lambda desired: apply_push(desired, spec, push, None, now).desired
        )
        await self.gateways.release_queue.enqueue(spec.name)

    def move_traffic(self, target: str) -> None:
        """A person sends the traffic to any version, in the portal."""
        foundry = self.projects[project_of(target)].foundry
        agent = foundry.agents.get(agent_of(target))
        if agent and agent.versions:
            foundry.change_routing(agent_of(target), Routing.to(self.random.choice(sorted(agent.versions))))

    async def run(self) -> None:
        """Let things happen, and then push a last image, which must get everywhere."""
        for number, host in enumerate(self.hosts):
            self.spawn(self.work(f"worker {number}", partial(self.release, host)))
        self.spawn(self.resume())
        self.spawn(self.onlooker.watch())
        try:
            for number in range(1, self.random.randint(4, 9)):
                self._act(number)
                await asyncio.sleep(self.random.choice([60, 600, 1200, 2400]) * self.random.random())
                self.raise_errors()
            await self._finish()
        finally:
            await self.stop()

    def _act(self, number: int) -> None:
        random = self.random
        if number == 1 or random.random() < 0.6:
            kinds = [Behaviour.GOOD, Behaviour.FAILS] if self.faulty else list(Behaviour)
            self.push(number, Behaviour.GOOD if random.random() < 0.5 else random.choice(kinds))
        if random.random() < 0.2:
            self.rotate(number)
        if random.random() < 0.5:
            name = self.faulty or random.choice(PROJECTS)
            self.spawn(self.trouble(self.projects[name], random.choice(LASTS)))
        if random.random() < 0.3:
            self.lose_messages()
        if not self.faulty and random.random() < 0.7:
            self.interfere()
        if not self.faulty and random.random() < 0.4:
            self.move_traffic(random.choice(TARGETS[:2]))

    def lose_messages(self) -> None:
        """Every message that waits is lost."""
        self.log("messages are lost")
        self.queue.waiting.clear()

    async def _finish(self) -> None:
        await asyncio.sleep(max(LASTS))
        for dice in (self.dice, *(project.dice for project in self.projects.values())):
            dice.calm = True
        self.push(99, Behaviour.GOOD)
        for _ in range(MAX_RUNS):
            await asyncio.sleep(RESUME_EVERY)
            self.raise_errors()
            if self.onlooker.is_everywhere(self.onlooker.pushed[-1], self.live()) and not self.queue.waiting:
                return
        self.onlooker.fail(f"a stage starves: {self.live()}")

    def live(self) -> dict[str, str]:
        """Target -> the digest that its traffic goes to."""
        return {target: self._live_at(target) for target in TARGETS}

    def answers(self, target: str) -> bool:
        """False while the target's project refuses every call."""
        return self.projects[project_of(target)].trouble is None

    def _live_at(self, target: str) -> str:
        agent = self.projects[project_of(target)].foundry.agents.get(agent_of(target))
        version = agent.versions.get(agent.routing.pinned or "") if agent else None
        return version.image.rpartition("@")[2] if version else ""


def simulate(seed: int, *, log: Log | None = None, mutant: Mutant | None = None) -> StagesHistory:
    """Run a history; raise InvariantError where an invariant does not hold."""
    return play(StagesHistory(seed, log=log, mutant=mutant), StagesHistory.run)
