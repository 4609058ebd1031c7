"""``image_pushed``: offers a push to every agent that follows its repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.agents_file.spec import Agents, AgentSpec, followers_of
from core.events import ImagePushed
from core.intake.events import DesiredUpdate, apply_push
from core.intake.repeated_push import apply_repeated_push, is_repeated
from core.reasons import Reason
from core.release_outcome import seconds_since
from core.state.desired import Cause, DesiredState
from handlers.concurrency import gather_limited
from handlers.events.update_desired import step_fields, update_and_enqueue
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

STEP = "push"
"""The first span of a release's trace, below the function's own."""
MAX_CONCURRENT = 8
"""Agents at a time."""


async def handle_push(pushed: ImagePushed, agents: Agents, decisions: DecisionLog, gateways: Gateways) -> None:
    """Update each agent's desired state; Foundry is never called: Event Grid waits 30 s at most."""
    repository, offering = pushed.push.repository, _Offering(pushed, decisions, gateways)
    followers = followers_of(agents, repository)
    if not followers:
        decisions.record(Reason.NOT_FOLLOWED, **offering.fields)
    # an error of one agent stops none of the others
    if any(await gather_limited(MAX_CONCURRENT, map(offering.offer, followers))):
        await gather_limited(MAX_CONCURRENT, map(offering.offer_again, _in_later_stages(agents, repository)))


def _in_later_stages(agents: Agents, repository: str) -> Iterator[AgentSpec]:
    """The targets of later stages whose images come from a repository."""
    return (spec for spec in agents.agents.values() if spec.repository == repository and spec.place.upstream)


@dataclass(frozen=True)
class _Offering:
    """One push, as it is offered to each agent."""

    pushed: ImagePushed
    decisions: DecisionLog
    gateways: Gateways

    @property
    def fields(self) -> dict[str, Any]:
        """What each line of the push has."""
        push = self.pushed.push
        step = step_fields(STEP, self.pushed.dry_run)
        return {**push.fields, "event": push.event_id, "cause": Cause.PUSH.value, **step}

    async def offer(self, spec: AgentSpec) -> bool:
        """Return whether the push is of the agent's newest image already, also where its event is delivered again."""
        push = self.pushed.push
        with otel.span(STEP, parent=self.pushed.traceparent, agent=spec.name, **push.fields) as set_attributes:
            traceparent = self._traceparent

            def apply(desired: DesiredState, now: datetime) -> DesiredUpdate:
                return apply_push(desired, spec, push, traceparent, now)

            update = await update_and_enqueue(spec.name, apply, self.gateways, dry_run=self.pushed.dry_run)
            is_same = update.reason is Reason.SAME_PUSH
            if is_repeated(update, push, self.gateways.clock.now()):
                update = await self._repeat(spec, update)
            set_attributes(reason=update.reason.value)
            self._record(spec, update)
            return is_same

    async def offer_again(self, spec: AgentSpec) -> None:
        """Repeat what failed in a later stage, which takes its images from the stage before and not from pushes."""
        desired = await self.gateways.state_store.get_desired(spec.name)
        same = DesiredUpdate(desired, Reason.SAME_PUSH)
        if self.pushed.push.is_same(desired.push) and is_repeated(same, self.pushed.push, self.gateways.clock.now()):
            update = await self._repeat(spec, same)
            if update.reason is not Reason.SAME_PUSH:
                self._record(spec, update)

    async def _repeat(self, spec: AgentSpec, same: DesiredUpdate) -> DesiredUpdate:
        """Answer a later push of the newest image."""
        release, traceparent = await self.gateways.state_store.get_release(spec.name), self._traceparent

        def repeat(desired: DesiredState, now: datetime) -> DesiredUpdate:
            return apply_repeated_push(desired, release, spec, self.pushed.push, traceparent, now)

        repeated = repeat(same.desired, self.gateways.clock.now())  # decided first: what changes nothing is queued once
        if repeated.reason is not Reason.ACCEPTED:
            return repeated
        return await update_and_enqueue(spec.name, repeat, self.gateways, dry_run=self.pushed.dry_run)

    @property
    def _traceparent(self) -> str | None:
        return otel.current_traceparent() or self.pushed.traceparent

    def _record(self, spec: AgentSpec, update: DesiredUpdate) -> None:
        generation = None if self.pushed.dry_run else update.desired.generation
        took = seconds_since(self.pushed.push.pushed_at, self.gateways.clock.now())
        fields = {**self.fields, "generation": generation, "since_push_s": took}
        self.decisions.record(update.reason, update.detail, agent=spec.name, **fields)
