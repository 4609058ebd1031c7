"""The release rules where reads lag, an agent was recreated, or people act at the wrong moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.model import Routing, Status
from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    Check,
    Create,
    DeleteDuplicate,
    EndRelease,
    MoveTraffic,
    NeedsRead,
    Pin,
    Poll,
    Read,
    RollBack,
    StartRelease,
    Stop,
    UpdateState,
)
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.gates.check import after_check, rollback_versions
from core.release.inputs import DecisionInput, push_to_run
from core.state.desired import Approval, DesiredState, Hold, RollbackRequest
from core.state.release import GoodVersion, PendingWrite, Phase, ReleaseState, WriteKind
from tests.unit.core.release.test_decide import (
    ANSWERED,
    AT_1,
    CONFIRMED,
    DESIRED,
    JUST_NOW,
    LAG_AGO,
    LATEST,
    LONG_AGO,
    NOW,
    OLD_PUSH,
    PUSH,
    SERVING,
    STARTED,
    TO_1,
    TO_2,
    TRAFFIC_MOVED,
    WITH_CANDIDATE,
    agent,
    decide,
    needs_read,
    read_all,
    spec_with,
    version,
)

MADE_BEFORE = replace(STARTED, created_at={"1": LONG_AGO, "2": JUST_NOW}, fingerprints={"2": "fp-2"})
NEW_AGENT = ReleaseState(observed_generation=1, push=OLD_PUSH, reason="TIMED_OUT", created_at={"1": LONG_AGO})
ROTATED = replace(DESIRED, generation=3)
"""A secret was rotated after the last push."""
PREVIOUS = GoodVersion(OLD_PUSH, "fp-3", "3")


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=3)])
def test_a_version_that_a_lagging_read_does_not_show_is_waited_for_also_where_our_clock_is_ahead(
    ahead: timedelta,
) -> None:
    created = replace(WITH_CANDIDATE, started_at=JUST_NOW, created_at={"2": JUST_NOW - ahead})
    assert decide(created, read_all(AT_1, gone={"2": None}), ANSWERED) == Poll(Reason.CREATE, "2")


# versions that no read shows yet


def test_a_version_that_the_list_does_not_show_yet_is_adopted() -> None:
    made = version("2", created_at=JUST_NOW)
    decided = decide(MADE_BEFORE, replace(read_all(AT_1, version("1"), made), version_list=(version("1"),)))
    assert isinstance(decided, UpdateState)
    assert (decided.reason, decided.state.candidate) == (Reason.ADOPT, "2")


def test_a_version_that_no_read_shows_yet_is_waited_for() -> None:
    observed = read_all(AT_1, version("1"), gone={"2": None})
    assert decide(MADE_BEFORE, observed) == Poll(Reason.CREATE, "2")
    old = replace(MADE_BEFORE, created_at={"1": LONG_AGO, "2": LONG_AGO})
    assert decide(old, observed) == Create(1, "1", TO_1)


def test_the_versions_of_a_missing_agent_are_not_waited_for() -> None:
    deleted = replace(MADE_BEFORE, created_at={})
    assert decide(deleted, read_all(None)) == Create(0, None, None)


def test_a_deleted_duplicate_is_not_adopted() -> None:
    deleting = transitions.deleting_duplicate(replace(WITH_CANDIDATE, is_duplicate=True), version("2"), LAG_AGO)
    deleted = replace(transitions.candidate_deleted(deleting), fingerprints={"2": "fp-2"})
    assert decide(deleted, replace(read_all(AT_1, version("1")), version_list=(version("1"),))) == Create(1, "1", TO_1)


def test_the_new_version_with_the_number_of_a_deleted_duplicate_is_adopted() -> None:
    deleting = transitions.deleting_duplicate(replace(WITH_CANDIDATE, is_duplicate=True), version("2"), LAG_AGO)
    deleted = transitions.candidate_deleted(deleting)
    decided = decide(deleted, read_all(AT_1, version("1"), version("2", created_at=JUST_NOW)))
    assert isinstance(decided, UpdateState)
    assert decided.state.candidate == "2"


def test_a_candidate_that_no_read_shows_yet_is_kept_by_the_next_release_of_its_definition() -> None:
    release = replace(MADE_BEFORE, candidate="2", phase=Phase.ENDED)
    desired = replace(DESIRED, generation=3, user_generation=3)
    decided = decide(release, read_all(AT_1, version("1"), gone={"2": None}), desired)
    assert isinstance(decided, StartRelease)
    assert decided.state.candidate == "2"
    old = replace(release, created_at={"1": LONG_AGO, "2": LONG_AGO})
    decided = decide(old, read_all(AT_1, version("1"), gone={"2": None}), desired)
    assert isinstance(decided, StartRelease)
    assert decided.state.candidate is None


def test_a_new_version_is_remembered_after_another_one_went_live() -> None:
    release = replace(TRAFFIC_MOVED, created_at={"1": LONG_AGO, "2": LONG_AGO, "3": JUST_NOW}, fingerprints={"3": "x"})
    live = transitions.went_live(release, None, NOW)
    assert (set(live.created_at), live.fingerprints) == ({"2", "3"}, {"3": "x"})


# duplicates


def test_a_duplicate_whose_deletion_was_not_recorded_is_deleted_again() -> None:
    deleting = transitions.deleting_duplicate(replace(WITH_CANDIDATE, is_duplicate=True), version("2"), LAG_AGO)
    failed = read_all(AT_1, version("1"), version("2", Status.FAILED))
    decided = decide(deleting, failed, ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.WRITE_NOT_APPLIED
    assert decide(decided.state, failed, ANSWERED) == DeleteDuplicate("2", TO_1)
    returned_again = transitions.has_candidate(transitions.candidate_deleted(deleting), version("2"), highest_version=2)
    decided = decide(returned_again, failed, ANSWERED)
    assert isinstance(decided, EndRelease)


def test_nothing_is_sent_while_the_deletion_of_a_duplicate_may_still_take_effect() -> None:
    deleting = transitions.deleting_duplicate(replace(WITH_CANDIDATE, is_duplicate=True), version("2"), JUST_NOW)
    for observed in (read_all(AT_1, version("2", Status.FAILED)), read_all(AT_1, gone={"2": None})):
        assert decide(deleting, observed) == Poll(Reason.UNCLEAR_ANSWER)
    over = replace(deleting, pending_write=PendingWrite(WriteKind.DELETE_DUPLICATE, LAG_AGO))
    assert decide(over, replace(read_all(AT_1), versions={})) == NeedsRead(version="2")


def test_the_deletion_of_the_last_version_is_not_the_deletion_of_the_agent() -> None:
    only = replace(WITH_CANDIDATE, is_duplicate=True, last_good=None, created_at={"1": LONG_AGO, "2": LONG_AGO})
    deleting = transitions.deleting_duplicate(only, version("2"), LAG_AGO)
    decided = decide(deleting, read_all(None, gone={"2": None}), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decide(decided.state, read_all(None), ANSWERED) == Create(0, None, None)


# a person's routing


def test_a_pin_on_an_agent_that_no_release_pinned_yet_is_a_persons() -> None:
    assert decide(NEW_AGENT, read_all(AT_1, version("1")), replace(ROTATED, user_generation=1)) == Stop(
        Reason.ROUTING_CHANGED
    )
    follows = read_all(agent(LATEST, version("1")), version("1"))
    assert decide(NEW_AGENT, follows, replace(ROTATED, user_generation=1)) == Pin("1", LATEST)
    assert isinstance(decide(NEW_AGENT, read_all(AT_1, version("1")), ROTATED), StartRelease)


def test_a_release_that_is_finished_first_leaves_a_persons_routing_to_the_newer_push() -> None:
    open_release = replace(CONFIRMED, supersede_count=3, expected_routing=TO_1)
    newer = replace(DESIRED, generation=3, user_generation=3)
    assert decide(open_release, read_all(AT_1, version("1"), version("2")), newer) == MoveTraffic("2", TO_1)
    moved = agent(TO_2, version("2"))
    decided = decide(replace(open_release, candidate="4"), read_all(moved, version("2"), version("4")), newer)
    assert isinstance(decided, StartRelease)
    assert (decided.state.observed_generation, decided.state.routing_at_start) == (3, TO_2)
    assert decide(open_release, replace(read_all(AT_1), reads=frozenset({Read.DESIRED_DEFINITION})), newer) == (
        needs_read(Read.AGENT)
    )


def _unanswered(kind: WriteKind, routing: Routing, before: Routing) -> ReleaseState:
    """A release whose routing write had no answer, five seconds ago."""
    phase = Phase.CHECK_FAILED if kind is WriteKind.ROLL_BACK else Phase.CONFIRMED
    pending = PendingWrite(kind, JUST_NOW, routing)
    return replace(CONFIRMED, phase=phase, expected_routing=before, routed_at=LONG_AGO, pending_write=pending)


def _later(state: ReleaseState, seconds: float) -> ReleaseState:
    """The same release so much later: every time of its pending write is earlier by that."""
    pending, by = state.pending_write, timedelta(seconds=seconds)
    assert pending is not None
    seen_at = pending.seen_at and pending.seen_at - by
    return replace(state, pending_write=replace(pending, noted_at=pending.noted_at - by, seen_at=seen_at))


@pytest.mark.parametrize(
    ("kind", "to", "back", "end"),
    [
        pytest.param(WriteKind.MOVE_TRAFFIC, TO_2, TO_1, Reason.ROUTING_CHANGED, id="a move"),
        pytest.param(WriteKind.ROLL_BACK, TO_1, TO_2, Reason.CHECK_FAILED, id="a rollback"),
        pytest.param(WriteKind.PIN, TO_1, LATEST, Reason.ROUTING_CHANGED, id="a pin"),
    ],
)
def test_a_routing_that_a_read_showed_is_not_sent_again_after_a_person_undid_it(
    kind: WriteKind, to: Routing, back: Routing, end: Reason
) -> None:
    showed = read_all(agent(to, version("2")), version("1"), version("2"))
    undone = read_all(agent(back, version("2")), version("1"), version("2"))
    polled = decide(_unanswered(kind, to, back), showed, ANSWERED)
    assert isinstance(polled, Poll)
    assert polled.state is not None
    assert decide(polled.state, showed, ANSWERED) == Poll(Reason.UNCLEAR_ANSWER)  # recorded once
    assert decide(polled.state, undone, ANSWERED) == Poll(Reason.UNCLEAR_ANSWER)
    applied = decide(_later(polled.state, 80), undone, ANSWERED)
    assert isinstance(applied, UpdateState)
    assert applied.reason is not Reason.WRITE_NOT_APPLIED
    assert (applied.state.expected_routing, applied.state.pending_write) == (to, None)
    ended = decide(applied.state, undone, ANSWERED)
    assert isinstance(ended, EndRelease)
    assert ended.reason is end


def test_a_stale_read_after_the_one_that_showed_a_late_move_is_waited_out() -> None:
    late = replace(
        _unanswered(WriteKind.MOVE_TRAFFIC, TO_2, TO_1),
        pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, LAG_AGO, TO_2, seen_at=JUST_NOW),
    )
    stale = read_all(AT_1, version("2"))
    applied = decide(late, stale, ANSWERED)
    assert isinstance(applied, UpdateState)
    assert decide(applied.state, stale, ANSWERED) == Poll(Reason.TRAFFIC_MOVED)
    live = decide(applied.state, read_all(agent(TO_2, version("2")), version("2")), ANSWERED)
    assert isinstance(live, EndRelease)
    assert live.reason is Reason.LIVE


def test_a_read_that_may_be_older_than_the_move_does_not_show_the_rollback() -> None:
    """Else a version that failed its check would stay live: what the read shows is the routing before the move."""
    unanswered = replace(_unanswered(WriteKind.ROLL_BACK, TO_1, TO_2), routed_at=NOW - timedelta(seconds=20))
    assert decide(unanswered, read_all(AT_1, version("1")), ANSWERED) == Poll(Reason.UNCLEAR_ANSWER)


@pytest.mark.parametrize(
    ("kind", "created_at", "is_seen"),
    [
        pytest.param(WriteKind.MOVE_TRAFFIC, JUST_NOW, True, id="a version of this release"),
        pytest.param(WriteKind.MOVE_TRAFFIC, LONG_AGO, False, id="a version that may have served before"),
        pytest.param(WriteKind.MOVE_TRAFFIC, None, False, id="a version without a time"),
        pytest.param(WriteKind.ROLL_BACK, JUST_NOW, False, id="a rollback"),
    ],
)
def test_a_move_to_a_version_of_this_release_is_seen_also_shortly_after_another_write(
    kind: WriteKind, created_at: datetime | None, is_seen: bool
) -> None:
    """No read can show it that is older than the earlier write; so a person may undo it at once."""
    created = {"2": created_at} if created_at else {}
    recently = replace(
        _unanswered(kind, TO_2, TO_1), routed_at=NOW - timedelta(seconds=20), started_at=LAG_AGO, created_at=created
    )
    shown = version("2", created_at=created_at) if created_at else version("2")
    polled = decide(recently, read_all(agent(TO_2, shown), shown), ANSWERED)
    assert isinstance(polled, Poll)
    assert (polled.state is not None) is is_seen


def test_a_kept_candidate_may_have_served_before_although_our_clock_is_behind() -> None:
    shown = version("2", created_at=JUST_NOW)
    kept = replace(
        _unanswered(WriteKind.MOVE_TRAFFIC, TO_2, TO_1),
        routed_at=NOW - timedelta(seconds=20),
        started_at=LAG_AGO,
        created_at={"2": JUST_NOW},
        has_older_candidate=True,
    )
    assert decide(kept, read_all(agent(TO_2, shown), shown), ANSWERED) == Poll(Reason.UNCLEAR_ANSWER)


def test_a_routing_write_without_an_answer_reads_the_agent() -> None:
    unanswered = replace(_unanswered(WriteKind.MOVE_TRAFFIC, TO_2, TO_1), created_at={})
    assert decide(unanswered, replace(read_all(AT_1), reads=frozenset())) == needs_read(Read.AGENT)


@pytest.mark.parametrize("seen_at", [None, LAG_AGO])
def test_a_routing_write_to_an_agent_that_is_gone_was_not_applied(seen_at: datetime | None) -> None:
    pending = PendingWrite(WriteKind.MOVE_TRAFFIC, LAG_AGO, TO_2, seen_at=seen_at)
    decided = decide(replace(CONFIRMED, created_at={}, pending_write=pending), read_all(None), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.WRITE_NOT_APPLIED


# approvals and rollback requests


def test_an_approval_names_the_version_by_its_creation_time_too() -> None:
    observed, manual = read_all(AT_1, version("2")), spec_with(mode="manual")
    for created_at, action in (
        (LONG_AGO, MoveTraffic("2", TO_1)),
        (JUST_NOW, Stop(Reason.APPROVAL_WAITING)),
    ):
        approved = replace(ANSWERED, approval=Approval("2", "fp-2", "ann", NOW, created_at))
        assert decide(CONFIRMED, observed, approved, manual) == action


def test_a_rollback_request_names_the_version_by_its_creation_time_too() -> None:
    for created_at, candidate in ((LONG_AGO, "7"), (None, "7"), (JUST_NOW, None)):
        desired = replace(DESIRED, rollback=RollbackRequest("7", DESIRED.generation, created_at))
        decided = decide(SERVING, read_all(AT_1, version("1"), version("7")), desired)
        assert isinstance(decided, StartRelease)
        assert decided.state.candidate == candidate


# holds and rollbacks


def _hold(digest: str) -> Hold:
    return Hold("", digest, "HOLD_SET", "it lies", JUST_NOW, None, "ann")


def test_a_failed_check_never_rolls_back_to_a_held_image() -> None:
    held = replace(ANSWERED, holds=(_hold(OLD_PUSH.digest),))
    release = replace(TRAFFIC_MOVED, phase=Phase.CHECK_FAILED, previous_good=PREVIOUS)
    observed = read_all(agent(TO_2), version("1"), version("3"))
    assert decide(release, observed, ANSWERED) == RollBack(TO_1, release, TO_2)
    decided = decide(release, observed, held)
    assert isinstance(decided, RollBack)
    assert decided.to.pinned == "3"
    decided = decide(replace(release, previous_good=None), observed, held)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.CHECK_FAILED_NO_ROLLBACK_VERSION


def test_the_good_version_before_the_last_good_one_is_read_beside_the_check() -> None:
    release = replace(TRAFFIC_MOVED, previous_good=PREVIOUS)
    assert rollback_versions(release) == ("1", "1", "3")
    spec = spec_with(check={"ask": "ping", "expect": "pong"})
    assert decide(release, read_all(agent(TO_2), version("2")), ANSWERED, spec) == Check("2", ("1", "1", "3"))


def test_a_failed_check_whose_rollback_version_is_not_read_is_reported_at_its_end() -> None:
    inputs = DecisionInput(ANSWERED, TRAFFIC_MOVED, read_all(agent(TO_2)))
    noted = after_check(inputs, spec_with(), ProbeReport(ProbeOutcome.FAILED, "no"), NOW)
    assert isinstance(noted, UpdateState)
    assert noted.reported_at_end


def test_traffic_is_not_pinned_to_a_held_version_unless_it_serves_already() -> None:
    desired = replace(DESIRED, holds=(_hold(OLD_PUSH.digest),))
    follows = agent(LATEST, version("2"))
    release = replace(SERVING, expected_routing=LATEST)
    assert decide(release, read_all(follows, version("1"), version("2")), DESIRED) == Pin("1", LATEST)
    assert decide(release, read_all(follows, version("1"), version("2")), desired) == Pin("2", LATEST)
    alone = agent(LATEST, version("1"))
    other = replace(DESIRED, push=replace(PUSH, digest="sha256:" + "b" * 64), holds=(_hold(OLD_PUSH.digest),))
    assert decide(release, read_all(alone, version("1")), other) == Pin("1", LATEST)


@pytest.mark.parametrize("desired", [ROTATED, replace(ROTATED, holds=(_hold(PUSH.digest), _hold(OLD_PUSH.digest)))])
def test_a_rotation_does_not_release_a_held_image(desired: DesiredState) -> None:
    desired = replace(desired, user_generation=1, holds=(*desired.holds, _hold(OLD_PUSH.digest)))
    assert push_to_run(desired, SERVING, NOW) is None
    decided = decide(SERVING, read_all(AT_1, version("1")), desired)
    assert isinstance(decided, EndRelease)
    assert (decided.reason, decided.detail) == (Reason.HELD, "HOLD_SET by ann: it lies")


# what was reported


def test_what_was_reported_is_forgotten_with_a_newer_generation() -> None:
    state = transitions.reported(SERVING, DESIRED, Reason.PAUSED)
    state = transitions.reported(state, DESIRED, Reason.NOT_DUE)
    assert transitions.is_reported(state, DESIRED, Reason.PAUSED)
    assert not transitions.is_reported(state, replace(DESIRED, generation=3), Reason.PAUSED)
    newer = transitions.reported(state, replace(DESIRED, generation=3), Reason.PAUSED)
    assert (newer.reported, newer.known_generation) == (("3 PAUSED ",), 3)


@pytest.mark.parametrize("reason", sorted(transitions.WAITS_OF_A_CANDIDATE))
def test_what_a_candidate_waits_for_is_reported_for_each_candidate(reason: Reason) -> None:
    state = transitions.reported(WITH_CANDIDATE, DESIRED, reason)
    assert transitions.is_reported(state, DESIRED, reason)
    assert not transitions.is_reported(replace(state, candidate="9"), DESIRED, reason)


@pytest.mark.parametrize("reason", [Reason.SIGNATURE_WAITING, Reason.PAUSED, Reason.IMAGE_LAGS])
def test_what_a_change_waits_for_is_reported_once_whatever_becomes_of_the_candidate(reason: Reason) -> None:
    state = transitions.reported(WITH_CANDIDATE, DESIRED, reason)
    assert transitions.is_reported(replace(state, candidate=None), DESIRED, reason)
    assert transitions.is_reported(replace(state, candidate="9"), DESIRED, reason)


def test_what_was_reported_is_remembered_when_the_agent_is_deleted() -> None:
    state = transitions.reported(WITH_CANDIDATE, DESIRED, Reason.SIGNATURE_WAITING)
    assert transitions.is_reported(transitions.agent_deleted(state, DESIRED, NOW), DESIRED, Reason.SIGNATURE_WAITING)


def test_the_age_of_a_version_is_not_negative_for_ever() -> None:
    ahead = replace(MADE_BEFORE, created_at={"1": LONG_AGO, "2": NOW + timedelta(seconds=30)})
    assert decide(ahead, read_all(AT_1, version("1"), gone={"2": None})) == Poll(Reason.CREATE, "2")
