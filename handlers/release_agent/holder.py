"""What the one holder of an agent's lease knows and has at hand during its turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release.actions import Requeue, Stop
from core.release.inputs import Observed
from core.release_outcome import seconds_since
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers import outcome_events
from handlers.gateways.interfaces import Gateways, OutcomeEvent
from handlers.lease_keeper import LeaseKeeper
from handlers.release_agent.foundry_writer import FoundryWriter
from handlers.release_agent.observe import Observer, Prefetch
from handlers.release_agent.release_trace import ReleaseTrace
from handlers.telemetry import metrics
from handlers.telemetry.decision_log import DecisionLog

Ending = Stop | Requeue


@dataclass(slots=True)
class Holder:
    """One holder of the lease."""

    rule: AgentSpec
    gateways: Gateways
    observer: Observer
    acts: FoundryWriter
    pace: LeaseKeeper
    decisions: DecisionLog
    trail: ReleaseTrace
    desired: DesiredState = field(default_factory=DesiredState)
    """What was wanted when it last looked."""
    facts: Observed = field(default_factory=Observed)
    ahead: Prefetch | None = None
    """What the last step already read for the next turn."""
    waits_for: str = ""
    """The version that a Wait wants to be read again."""
    unanswered: int = 0
    """Acts that may or may not have taken effect."""
    events: list[OutcomeEvent] = field(default_factory=list)
    """What the world is told afterwards."""

    def still_true(self, facts: Observed, desired: DesiredState) -> Observed:
        """The facts without what an earlier wish came to, where something else is wanted by now."""
        return facts if desired == self.desired else replace(facts, desired_definition=None)

    async def poll(self) -> None:
        """Tell what there is to tell, and wait a moment."""
        await self.decisions.flush()
        await self.pace.poll()

    def told(self, ending: Ending, detail: str = "") -> Ending:
        """The ending, told."""
        self.tell(ending.reason, self.acts.record, detail or (ending.detail if isinstance(ending, Stop) else ""))
        return ending

    def ended(self, reason: Reason, release: ReleaseState, detail: str = "") -> None:
        """A release is over: the line, the measures, and what the world is told once the lease is given back."""
        self.tell(reason, release, detail)
        metrics.release_ended(self.rule.name, reason, release, self.desired.cause, self.gateways.clock.now())
        self.announce(reason, release, detail)

    def announce(self, reason: Reason, release: ReleaseState, detail: str = "") -> None:
        """Have the world told of it, where it is the world's business."""
        event = outcome_events.release_event(self.rule.name, reason, release, detail)
        self.events += [event] if event else []

    def tell(self, reason: Reason, release: ReleaseState, detail: str = "") -> None:
        """One line about a release, and the same on its span."""
        push, now = release.push, self.gateways.clock.now()
        about: dict[str, Any] = {
            "version": release.candidate or (release.last_good.version if release.last_good else None),
            "repository": push.repository if push else None,
            "tag": push.tag if push else None,
            "digest": push.digest if push else None,
        }
        self.trail.describe(reason=reason.value, failed=reason.severity == "error", **about)
        self.decisions.record(
            reason,
            detail,
            **about,
            cause=self.desired.cause.value if self.desired.cause else None,
            step=f"release.{self.trail.step}",
            from_version=release.routing_at_start.pinned if release.routing_at_start else None,
            to_version=release.candidate,
            took_s=self.trail.took,
            since_start_s=seconds_since(release.started_at, now),
            since_push_s=seconds_since(push.pushed_at if push else None, now),
            event=push.event_id if push else None,
            fingerprint=release.fingerprint,
            generation=release.observed_generation,
        )
