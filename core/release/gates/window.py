"""window: traffic moves to a new version only while ``release.windows`` is open.

A rollback, an operator's release and a version that was approved while it waited here go through at any time.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release.actions import Action, Requeue, Stop
from core.release.inputs import DecisionInput, rollback_version
from core.release_outcome import awaits_window
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.timing import MAX_MESSAGE_DELAY
from core.waits import newest_old_enough

SOON = timedelta(minutes=1)
"""A message that is due so soon may be the one that is handled now: clocks differ."""


def window(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Wait for the opening; one message in the queue, whatever else asks for the release meanwhile."""
    opening = spec.release.opens_at(now)
    if opening is None or is_let_through(inputs):
        return None
    resumes_at, detail = inputs.release.resumes_at, f"opens {spec.release.describe(opening, now)}"
    if resumes_at is not None and now + SOON < resumes_at <= opening:
        return Stop(Reason.WINDOW_CLOSED, detail)
    return Requeue(Reason.WINDOW_CLOSED, min(opening, now + MAX_MESSAGE_DELAY), detail)


def is_let_through(inputs: DecisionInput) -> bool:
    """True for what an operator asked to have live now: a rollback, a release, the version that waits here."""
    desired, observed = inputs.desired, inputs.release.observed_generation
    return rollback_version(desired) is not None or desired.requested_generation == observed


def note(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> str:
    """What to record where an operator moves traffic while the window is closed."""
    is_closed = spec.release.opens_at(now) is not None and is_let_through(inputs)
    return "outside of release.windows, as a person asked" if is_closed else ""


def waits_until(desired: DesiredState, release: ReleaseState, spec: AgentSpec, now: datetime) -> datetime | None:
    """When the window of a version opens that waits for it alone; None where something else is to be done."""
    if not awaits_window(release) or release.pending_write is not None:
        return None
    has_news = desired.generation > release.observed_generation or newest_old_enough(desired, spec, now) is not None
    return None if has_news or is_let_through(DecisionInput(desired, release)) else spec.release.opens_at(now)
