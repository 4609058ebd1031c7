"""What one listing says of every desired state, so that commands need not read most of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from core.model import Push
from core.state.desired import DesiredState
from core.state.release import ReleaseState

NOT_SHOWN = frozenset(
    {
        *("generation", "user_generation", "push", "cause", "updated_at", "not_before", "quiet_since"),
        *("due_generation", "kept_tags", "approval", "newest_push", "runtime_hash", "traceparent", "push_generation"),
        *("previous_pushes", "rejected", "unconfirmed", "named_secrets", "requested_generation"),
        *("passed_digests", "past_stage"),
    }
)
"""The fields of which people are shown nothing once a release has answered the generation; a new field is shown."""
EMPTY = DesiredState()
SHOWN = tuple(item.name for item in fields(DesiredState) if item.name not in NOT_SHOWN)


@dataclass(frozen=True, slots=True)
class DesiredSummary:
    """Of one desired state."""

    generation: int = 0
    push: str = ""
    """``repository:tag@digest``; empty without a push, and where people are shown more of the state than that."""


def summarise(desired: DesiredState) -> DesiredSummary:
    """The summary that is stored beside a desired state."""
    has_more = any(getattr(desired, name) != getattr(EMPTY, name) for name in SHOWN)
    return DesiredSummary(desired.generation, "" if has_more else _text(desired.push))


def shown_state(summary: DesiredSummary, release: ReleaseState) -> DesiredState | None:
    """What people are shown of the desired state, where the release answers it; None where it must be read."""
    is_answered = summary.generation == release.observed_generation and summary.push == _text(release.push)
    return DesiredState(summary.generation, push=release.push) if is_answered and summary.push else None


def _text(push: Push | None) -> str:
    text = f"{push.reference}@{push.digest}" if push else ""
    return text if text.isascii() else ""  # a header holds nothing else
