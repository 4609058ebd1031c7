"""Looks in the registry for pushes whose event never arrived: at the newest tags often, at all tags once a day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.agents_file.spec import Agents, AgentSpec, followers_of
from core.image_manifest import RegistryTag
from core.intake.events import DesiredUpdate
from core.intake.registry_check import apply_recent_tags, apply_registry, believable_tags, still_undecided
from core.reasons import Reason
from core.state.desired import DesiredState
from handlers.agent_states import AgentStates
from handlers.concurrency import gather_limited
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.daily import is_due
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog
from handlers.turns import Turns

MARKER = "missed-pushes"
"""When the last listing of all tags began."""
LEFT_MARKER = "repositories-to-list"
"""The repositories that it has still to list."""
TURN_MARKER = "repository-last"
"""The last repository of which the newest tags were read."""
MAX_REPOSITORIES = 200
"""Of one run, for either question: ACR's smallest tier takes 1,000 reads a minute."""
MAX_CONCURRENT = 8
"""Repositories at a time, and agents of one."""

Compare = Callable[[DesiredState, AgentSpec, Sequence[RegistryTag], datetime], DesiredUpdate]


async def find_missed_pushes(
    agents: Agents, states: AgentStates, decisions: DecisionLog, gateways: Gateways, *, always: bool
) -> None:
    """Compare the agents with the newest tags of their repositories, in turn, and with all tags where that is due.

    ``always``: it is due, because a changed agents.yaml may follow other repositories or tags. Each repository and
    agent is checked whatever happens to another; raises the first error at the end.
    """
    search = _Search(agents, states, decisions, gateways)
    repositories = sorted({spec.repository for spec in agents.agents.values()})
    listed = await search.list_all_tags(repositories, always=always)
    turns = Turns(TURN_MARKER, repositories, gateways.state_store)
    asked = await turns.next(MAX_REPOSITORIES)
    await search.check_recent([name for name in asked if name not in listed])
    await turns.store(asked)


@dataclass(frozen=True, slots=True)
class _Search:
    agents: Agents
    states: AgentStates
    decisions: DecisionLog
    gateways: Gateways

    async def list_all_tags(self, repositories: Sequence[str], *, always: bool) -> set[str]:
        """List all tags of the repositories that are due, of some in each run; returns those that were listed.

        A repository whose check failed is listed again in the next run, and no other because of it. The time is stored
        last, so that a crash leads to another attempt.
        """
        store, now = self.gateways.state_store, self.gateways.clock.now()
        begins = is_due(await store.read_marker(MARKER), now) or always
        left = await store.read_marker(LEFT_MARKER)
        due = repositories if begins else [name for name in left.split() if name in repositories]
        listed = set[str]()

        async def check(repository: str) -> None:
            if await self._check_all(repository):
                listed.add(repository)

        try:
            await gather_limited(MAX_CONCURRENT, map(check, due[:MAX_REPOSITORIES]))
        finally:
            if (still_left := " ".join(name for name in due if name not in listed)) != left:
                await store.write_marker(LEFT_MARKER, still_left)
            if begins:
                await store.write_marker(MARKER, now.isoformat())
        return listed

    async def check_recent(self, repositories: Sequence[str]) -> None:
        """One request for all agents of a repository; the next turn asks again where it fails.

        One line reports all failures, and none that no retry helps: the listing of all tags reports that once a day.
        """
        failed = dict[str, TransientError]()

        async def check(repository: str) -> None:
            try:
                tags = await self.gateways.registry.recent_tags(repository, "")
            except TransientError as error:
                failed[repository] = error
            except PermanentError:
                return
            else:
                await self._compare_all(repository, tags, apply_recent_tags)

        await gather_limited(MAX_CONCURRENT, map(check, repositories))
        if failed:
            repository, error = next(iter(failed.items()))
            detail = f"{len(failed)} of {len(repositories)} repositories: {error}"
            self.decisions.record(Reason.MISSED_PUSH_CHECK_FAILED, detail, repository=repository)

    async def _check_all(self, repository: str) -> bool:
        """False where a retry may help."""
        undecided = list(followers_of(self.agents, repository))

        def is_enough(page: Sequence[RegistryTag]) -> bool:
            undecided[:] = still_undecided(undecided, page)
            return not undecided

        try:
            tags = await self.gateways.registry.list_tags(repository, is_enough)
        except GatewayError as error:
            self.decisions.record(Reason.MISSED_PUSH_CHECK_FAILED, str(error), repository=repository)
            return not isinstance(error, TransientError)
        await self._compare_all(repository, tags, apply_registry)
        return True

    async def _compare_all(self, repository: str, tags: Sequence[RegistryTag], compare: Compare) -> None:
        believable = believable_tags(tags, self.gateways.clock.now())
        specs = followers_of(self.agents, repository) if tags else ()
        await gather_limited(MAX_CONCURRENT, (self._compare(spec, believable, compare) for spec in specs))

    async def _compare(self, spec: AgentSpec, tags: Sequence[RegistryTag], compare: Compare) -> None:
        def change(desired: DesiredState, now: datetime) -> DesiredUpdate:
            update = compare(desired, spec, tags, now)
            changed = replace(update.desired, traceparent=otel.current_traceparent())
            return replace(update, desired=changed) if update.enqueues else update

        if not change((await self.states.get(spec.name)).desired, self.gateways.clock.now()).enqueues:
            return
        with otel.span("missed_push", agent=spec.name) as set_attributes:
            update = await update_and_enqueue(spec.name, change, self.gateways)
            self.states.forget(spec.name)
            push = update.desired.next_push
            if not update.enqueues or push is None:
                return
            image = push.fields
            set_attributes(**image)
        fields = {**image, "generation": update.desired.generation, "step": "missed_push"}
        self.decisions.record(update.reason, update.detail, agent=spec.name, **fields)
