"""Records the decisions of one release: a line each, the same on its span, and metrics and an event at its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from core.agents_file.spec import AgentSpec
from core.commit_status import state_of_end, state_of_step
from core.definition import Note
from core.model import Push
from core.reasons import Reason
from core.release import transitions
from core.release.actions import ReplaceDesiredPush, Requeue, Stop
from core.release.inputs import DecisionInput
from core.release_outcome import seconds_since
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers import outcome_events
from handlers.concurrency import gather_two
from handlers.gateways.interfaces import Gateways, Lease, OutcomeEvent
from handlers.release_agent.commit_reporter import CommitReporter
from handlers.release_agent.release_trace import ReleaseTrace
from handlers.release_agent.stages import target_fields
from handlers.telemetry import metrics
from handlers.telemetry.decision_log import DecisionLog

FAILED_GATE = frozenset(
    {
        Reason.VERIFY_FAILED,
        Reason.EVALUATION_FAILED,
        Reason.CHECK_FAILED,
        Reason.CHECK_FAILED_NO_ROLLBACK_VERSION,
    }
)
"""The reasons whose line has the container's log."""

EVALUATED = frozenset({Reason.EVALUATION_PASSED, Reason.EVALUATION_FAILED})
"""The reasons whose line has the scores."""


def _scores(reason: Reason, state: ReleaseState) -> str | None:
    """The scores beside their thresholds, as JSON: numbers alone."""
    if state.evaluation is None or reason not in EVALUATED:
        return None
    return json.dumps([asdict(result) for result in state.evaluation.results])


class ReleaseLog:
    """What a release records; ``publish`` sends the events once the lease is released.

    A line about a state that is not stored yet waits until it is: if the lease is lost before, the next holder decides
    the same again and records it.
    """

    lease: Lease | None = None
    container_log: str = ""
    """What the container of the version that was asked printed; for the journal alone."""

    def __init__(self, spec: AgentSpec, gateways: Gateways, trace: ReleaseTrace, commits: CommitReporter) -> None:
        self.decisions = DecisionLog(gateways.journal, gateways.clock, target_fields(spec))
        self.trace = trace
        self.commits = commits
        self._agent = spec.name
        self._gateways = gateways
        self._events: list[OutcomeEvent] = []
        self._waiting: list[tuple[ReleaseState | None, Callable[[], None]]] = []
        """What to record once the stored state is another than this one."""

    def record(
        self,
        reason: Reason,
        state: ReleaseState,
        desired: DesiredState,
        detail: str = "",
        *,
        generation: int = 0,
        stored_with: ReleaseState | None = None,
    ) -> None:
        """One decision about the release; ``generation`` where it is about another one than the state's.

        ``stored_with``: the state by which the decision is stored, where that is not the state that it is about.
        """
        is_newer = generation > state.observed_generation and desired.push is not None
        push, now = desired.push if is_newer else state.push, self._gateways.clock.now()
        about: dict[str, Any] = {
            "version": _version_of(push, state),
            "repository": push.repository if push else None,
            "tag": push.tag if push else None,
            "digest": push.digest if push else None,
        }
        self.trace.set_attributes(reason=reason.value, failed=reason.severity == "error", **about)
        line = self.decisions.prepare(
            reason,
            detail,
            **about,
            cause=desired.cause.value if desired.cause else None,
            step=f"release.{self.trace.step}",
            from_version=state.routing_at_start.pinned if state.routing_at_start else None,
            to_version=state.candidate,
            took_s=self.trace.step_seconds,
            since_start_s=seconds_since(state.started_at, now),
            since_push_s=seconds_since(push.pushed_at if push else None, now),
            event=push.event_id if push else None,
            fingerprint=state.fingerprint,
            signer=state.signer,
            generation=generation or state.observed_generation,
            scores=_scores(reason, state),
            journal_only=self._evidence(reason, state),
        )

        def record() -> None:
            line()
            self.commits.add(state_of_step(reason), reason, state)

        self._when_stored(stored_with or state, record)

    def _evidence(self, reason: Reason, state: ReleaseState) -> dict[str, object]:
        """For people alone; the address of a report names subscription, account and project."""
        log = self.container_log if reason in FAILED_GATE else ""
        report = state.evaluation.report_url if state.evaluation and reason in EVALUATED else ""
        return {name: text for name, text in (("container_log", log), ("report", report)) if text}

    def record_notes(self, notes: Iterable[Note], state: ReleaseState, desired: DesiredState) -> None:
        """What people must know about a definition."""
        for note in notes:
            self.record(note.reason, state, desired, note.detail)

    def _when_stored(self, state: ReleaseState, record: Callable[[], None]) -> None:
        stored = self.lease.state if self.lease else None
        self._waiting.append((None if state == stored else stored, record))
        self._record_stored()

    def _record_stored(self) -> None:
        """Record what is stored by now, in order."""
        stored = self.lease.state if self.lease else None
        while self._waiting and (self._waiting[0][0] is None or self._waiting[0][0] is not stored):
            self._waiting.pop(0)[1]()

    def stopped(
        self, ended: Stop | Requeue, state: ReleaseState, desired: DesiredState, detail: str = ""
    ) -> Stop | Requeue:
        """The loop ended without a release that ended; returns ``ended``."""
        observed = state.observed_generation
        # what follows a release that waits for an approval or a window has a report of its own
        waits = ended.reason in transitions.WAITS_OF_A_CANDIDATE
        generation = observed if waits else max(observed, desired.generation)
        self.record(ended.reason, state, desired, detail or ended.detail, generation=generation)
        return ended

    async def lease_taken(self) -> None:
        """Another instance works on the release: that is recorded at once."""
        self.trace.lease_taken()
        self.decisions.record(Reason.LEASE_TAKEN, step="release.read")
        await self.flush()

    def lease_lost(self, desired: DesiredState) -> Stop:
        """Another process may hold the lease: what is not stored was not decided."""
        self._waiting.clear()
        state = self.lease.state if self.lease else ReleaseState()
        ended = Stop(Reason.LEASE_LOST)
        self.stopped(ended, state, desired)
        return ended

    def release_ended(
        self,
        reason: Reason,
        state: ReleaseState,
        desired: DesiredState,
        detail: str = "",
        *,
        stored_with: ReleaseState | None = None,
    ) -> None:
        """A release is over."""
        self.record(reason, state, desired, detail, stored_with=stored_with)
        now = self._gateways.clock.now()

        def count() -> None:
            metrics.release_ended(self._agent, reason, state, desired.cause, now)
            self.announce(reason, state, detail)
            self.commits.add(state_of_end(reason), reason, state)

        self._when_stored(stored_with or state, count)

    def push_replaced(self, action: ReplaceDesiredPush, inputs: DecisionInput, desired: DesiredState) -> None:
        """The registry corrected the desired push, or rejected it: then its release is over before it began."""
        if action.push is None:
            good = inputs.release.last_good
            rejected = ReleaseState(observed_generation=action.generation, push=inputs.desired.push, last_good=good)
            self.release_ended(action.reason, rejected, inputs.desired, action.detail)
            return
        image = action.push.fields
        step = f"release.{self.trace.step}"
        self.decisions.record(action.reason, action.detail, generation=desired.generation, step=step, **image)

    def announce(self, reason: Reason, state: ReleaseState, detail: str = "") -> None:
        """Publish an outcome event, where the reason has one."""
        event = outcome_events.release_event(self._agent, reason, state, detail)
        self._events += [event] if event else []

    async def flush(self) -> None:
        """Write the lines so far to the journal."""
        self._record_stored()
        await self.decisions.flush()

    async def publish(self) -> None:
        """Publish the outcome events, and send the statuses of the commit."""
        publishing = outcome_events.publish(self._events, self.decisions, self._gateways)
        _, problem = await gather_two(publishing, self.commits.send())
        if problem:
            self.decisions.record(Reason.COMMIT_STATUS_LOST, problem, step="commit_status")


def _version_of(push: Push | None, state: ReleaseState) -> str | None:
    """The version that runs the image, or will; None where none was made: what serves is another image's."""
    if push is not None and not push.is_same(state.push):
        return None
    good = state.last_good
    serves = good is not None and (push is None or push.is_same(good.push))
    return state.candidate or (good.version if good and serves else None)
