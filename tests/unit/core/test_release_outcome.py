"""Outcomes of releases, as the owners of agents count them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core import release_outcome
from core.reasons import Reason
from core.release_outcome import ReleaseOutcome, outcome_of, seconds_since
from core.state.desired import DesiredState, Pause
from core.state.release import HistoryEntry, Phase, ReleaseState

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

OUTCOMES = [
    (Reason.LIVE, ReleaseOutcome.LIVE),
    (Reason.CHECK_INCONCLUSIVE, ReleaseOutcome.LIVE),
    (Reason.CHECK_FAILED, ReleaseOutcome.ROLLED_BACK),
    (Reason.CHECK_FAILED_NO_ROLLBACK_VERSION, ReleaseOutcome.FAILED),
    (Reason.IMAGE_ERROR, ReleaseOutcome.FAILED),
    (Reason.SUPERSEDED, ReleaseOutcome.SUPERSEDED),
    (Reason.ALREADY_LIVE, ReleaseOutcome.SKIPPED),
    (Reason.HELD, ReleaseOutcome.SKIPPED),
]


@pytest.mark.parametrize(("reason", "outcome"), OUTCOMES)
def test_a_reason_has_an_outcome(reason: Reason, outcome: ReleaseOutcome) -> None:
    assert outcome_of(reason) is outcome


def history(*reasons: str) -> tuple[HistoryEntry, ...]:
    """One entry a minute."""
    return tuple(HistoryEntry(NOW + timedelta(minutes=number), reason, "") for number, reason in enumerate(reasons))


TIMES_TO_RESTORE = [
    (("LIVE",), None),
    (("LIVE", "LIVE"), None),
    (("LIVE", "CHECK_FAILED", "LIVE"), 1),
    (("IMAGE_ERROR", "LIVE", "CHECK_FAILED", "ALREADY_LIVE", "SUPERSEDED", "IMAGE_ERROR", "LIVE"), 4),
    (("SUPERSEDED", "LIVE"), None),
]


@pytest.mark.parametrize(("reasons", "minutes"), TIMES_TO_RESTORE)
def test_time_to_restore_counts_from_the_first_failure_since_the_last_live_release(
    reasons: tuple[str, ...], minutes: int | None
) -> None:
    expected = None if minutes is None else timedelta(minutes=minutes)
    assert release_outcome.time_to_restore(history(*reasons)) == expected


def test_a_clock_ahead_of_ours_gives_no_negative_time() -> None:
    assert seconds_since(NOW + timedelta(seconds=5), NOW) == 0.0
    assert seconds_since(NOW - timedelta(seconds=5), NOW) == 5.0
    assert seconds_since(None, NOW) is None


STARTED_AT = NOW - timedelta(minutes=40)
OPEN = ReleaseState(observed_generation=1, phase=Phase.STARTED, started_at=STARTED_AT)
NEWER = DesiredState(generation=2, updated_at=STARTED_AT)
UNFINISHED = [
    pytest.param(DesiredState(generation=1), OPEN, STARTED_AT, id="under way"),
    pytest.param(DesiredState(generation=1), ReleaseState(observed_generation=1), None, id="ended"),
    pytest.param(NEWER, ReleaseState(observed_generation=1), STARTED_AT, id="not started yet"),
    pytest.param(
        DesiredState(2, updated_at=STARTED_AT, not_before=NOW + timedelta(1)),
        ReleaseState(observed_generation=1),
        None,
        id="not due",
    ),
    pytest.param(
        DesiredState(2, updated_at=STARTED_AT, not_before=NOW - timedelta(1)),
        ReleaseState(observed_generation=1),
        NOW - timedelta(1),
        id="was due",
    ),
    pytest.param(DesiredState(2), ReleaseState(observed_generation=1), None, id="unknown time"),
    pytest.param(DesiredState(1, pause=Pause("why", "me", STARTED_AT)), OPEN, None, id="paused"),
    pytest.param(DesiredState(1, pause=Pause("why", "me", STARTED_AT, NOW)), OPEN, STARTED_AT, id="was paused"),
    pytest.param(
        DesiredState(generation=1),
        ReleaseState(
            observed_generation=1,
            phase=Phase.CONFIRMED,
            started_at=STARTED_AT,
            candidate="7",
            reported=("1 APPROVAL_WAITING 7", "1 PAUSED 7"),
        ),
        None,
        id="waits for a person",
    ),
]


@pytest.mark.parametrize(("desired", "release", "since"), UNFINISHED)
def test_a_release_is_unfinished_unless_it_waits_for_a_person_or_a_time(
    desired: DesiredState, release: ReleaseState, since: datetime | None
) -> None:
    assert release_outcome.unfinished_since(desired, release, NOW) == since
