"""The release rules, one by one: an input goes in, one action comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT, ResolvedDefinition, UnresolvedDefinition
from core.model import UNKNOWN_TIME, Agent, Definition, Failure, Push, Routing, Status, TrafficRule, Version
from core.reasons import Reason
from core.release import transitions
from core.release.actions import (
    Action,
    Check,
    ConfirmActive,
    Create,
    DeleteDuplicate,
    EndRelease,
    MoveTraffic,
    NeedsRead,
    Pin,
    Poll,
    Read,
    Requeue,
    RollBack,
    StartRelease,
    Stop,
    UpdateState,
    Verify,
)
from core.release.decide import next_action
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.gates.check import after_check
from core.release.gates.verify import after_verify
from core.release.inputs import DecisionInput, Observed, push_to_run, release_expected
from core.state.desired import Approval, Cause, DesiredState, Hold, Pause
from core.state.release import GoodVersion, PendingWrite, Phase, ReleaseState, WriteKind

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
JUST_NOW = NOW - timedelta(seconds=5)
IMAGE = "demo.azurecr.io/agents/hello@sha256:" + "a" * 64
RULE = AgentSpec(name="hello-agent", repository="agents/hello")
PUSH = Push("agents/hello", "sha256:" + "a" * 64, "v2", NOW, "event-2")
OLD_PUSH = Push("agents/hello", "sha256:" + "0" * 64, "v1", LONG_AGO, "event-1")
DEFINITION = Definition(IMAGE, "1", "2Gi", (("responses", "2.0.0"),), {"MODE": "fast"})
RESOLVED = ResolvedDefinition(DEFINITION, "fp-2", {})
TO_1, TO_2 = Routing.to("1"), Routing.to("2")
LATEST = Routing()


def version(number: str, status: Status = Status.ACTIVE, fingerprint: str = "", **changes: object) -> Version:
    made = Version(number, status, LONG_AGO, IMAGE, frozenset({"MODE"}), {FINGERPRINT: fingerprint or f"fp-{number}"})
    return replace(made, **changes)  # type: ignore[arg-type]


def agent(routing: Routing, latest: Version | None = None, *, enabled: bool = True) -> Agent:
    return Agent("hello-agent", enabled, routing, latest)


WANTED = DesiredState(generation=2, user_generation=2, push=PUSH)
SEEN = replace(WANTED)
FIRST = ReleaseState()
SERVING = ReleaseState(
    observed_generation=1,
    push=OLD_PUSH,
    fingerprint="fp-1",
    reason="LIVE",
    expected_routing=TO_1,
    last_good=GoodVersion(OLD_PUSH, "fp-1", "1"),
    created_at={"1": LONG_AGO},
)
UNDER_WAY = replace(
    SERVING,
    observed_generation=2,
    push=PUSH,
    fingerprint="fp-2",
    image=IMAGE,
    variables=frozenset({"MODE"}),
    phase=Phase.STARTED,
    reason="",
    started_at=NOW,
    routing_at_start=TO_1,
)
WITH_CANDIDATE = replace(UNDER_WAY, candidate="2", created_at={"1": LONG_AGO, "2": LONG_AGO})
CONFIRMED = replace(WITH_CANDIDATE, phase=Phase.CONFIRMED)
PROMOTED = replace(CONFIRMED, phase=Phase.TRAFFIC_MOVED, expected_routing=TO_2, routed_at=LONG_AGO)


def facts(
    now_agent: Agent | None = None,
    *versions: Version,
    resolved: ResolvedDefinition | UnresolvedDefinition = RESOLVED,
    gone: Mapping[str, None] | None = None,
) -> Observed:
    single = {**{item.number: item for item in versions}, **(gone or {})}
    return Observed(frozenset(Read), now_agent, versions, resolved, resolved, single)


def seen(now_agent: Agent | None, *versions: Version, definition: ResolvedDefinition | None = None) -> Observed:
    """The agent was read; where they are given, also the list and the desired definition."""
    known = Observed().with_agent(now_agent)
    if versions:
        known = replace(known, reads=known.reads | {Read.VERSION_LIST}, version_list=versions)
    if definition:
        known = replace(known, reads=known.reads | {Read.DESIRED_DEFINITION}, desired_definition=definition)
    return known


def needs(*reads: Read) -> NeedsRead:
    return NeedsRead(frozenset(reads))


def step(release: ReleaseState, known: Observed, desired: DesiredState = WANTED, spec: AgentSpec = RULE) -> Action:
    return next_action(DecisionInput(desired, release, known), spec, NOW)


AT_1 = agent(TO_1, version("1"))
AT_2 = agent(TO_2, version("2"))

ENDS = [
    pytest.param(SERVING, facts(None), WANTED, Reason.AGENT_DELETED, id="the agent is gone"),
    pytest.param(
        SERVING,
        facts(agent(TO_1, version("1", created_at=NOW))),
        WANTED,
        Reason.AGENT_DELETED,
        id="a number was born again",
    ),
    pytest.param(PROMOTED, facts(AT_2), SEEN, Reason.LIVE, id="promoted and nothing to check"),
    pytest.param(CONFIRMED, facts(AT_2), SEEN, Reason.ROUTING_CHANGED, id="moved by a person while under way"),
    pytest.param(PROMOTED, facts(AT_1), SEEN, Reason.ROUTING_CHANGED, id="promoted, then moved by a person"),
    pytest.param(
        FIRST,
        facts(resolved=UnresolvedDefinition(Reason.SECRET_MISSING, "secret k of variable K")),
        WANTED,
        Reason.SECRET_MISSING,
        id="a secret is missing",
    ),
    pytest.param(
        SERVING,
        facts(AT_1, version("1"), resolved=replace(RESOLVED, fingerprint="fp-1")),
        WANTED,
        Reason.ALREADY_LIVE,
        id="the good version serves and is what is wanted",
    ),
    pytest.param(
        SERVING,
        facts(AT_1, version("1", fingerprint="fp-2")),
        WANTED,
        Reason.ALREADY_LIVE,
        id="as its metadata says",
    ),
    pytest.param(
        SERVING, facts(agent(TO_1, enabled=False), version("1")), WANTED, Reason.AGENT_DISABLED, id="disabled"
    ),
    pytest.param(
        UNDER_WAY,
        facts(AT_1, version("1"), resolved=UnresolvedDefinition(Reason.SECRET_EXPIRED, "")),
        SEEN,
        Reason.SECRET_EXPIRED,
        id="a secret went away before the create",
    ),
    pytest.param(
        WITH_CANDIDATE,
        facts(AT_1, gone={"2": None}),
        SEEN,
        Reason.CANDIDATE_GONE,
        id="somebody deleted the candidate",
    ),
    pytest.param(
        WITH_CANDIDATE,
        facts(AT_1, version("2", Status.DELETING)),
        SEEN,
        Reason.CANDIDATE_GONE,
        id="somebody is deleting the candidate",
    ),
    pytest.param(
        WITH_CANDIDATE,
        facts(AT_1, version("2", Status.CREATING)),
        SEEN,
        Reason.TIMED_OUT,
        id="creating for too long",
    ),
    pytest.param(
        WITH_CANDIDATE,
        facts(AT_1, version("2", Status.FAILED, failure=Failure("ImageError", "no such manifest"))),
        SEEN,
        Reason.IMAGE_ERROR,
        id="failed with a code",
    ),
    pytest.param(
        WITH_CANDIDATE,
        facts(AT_1, version("2", Status.FAILED)),
        SEEN,
        Reason.PROVISIONING_FAILED,
        id="failed without a word",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, is_duplicate=True),
        facts(AT_2, version("2", Status.FAILED), resolved=RESOLVED),
        replace(SEEN, user_generation=3, generation=2),
        Reason.PROVISIONING_FAILED,
        id="a failed twin that serves is not cleared",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, is_duplicate=True, deleted_duplicate="9"),
        facts(AT_1, version("2", Status.FAILED)),
        SEEN,
        Reason.PROVISIONING_FAILED,
        id="a twin is cleared once",
    ),
]


@pytest.mark.parametrize(("release", "known", "desired", "reason"), ENDS)
def test_the_release_ends_with_one_reason(
    release: ReleaseState, known: Observed, desired: DesiredState, reason: Reason
) -> None:
    decided = step(release, known, desired)
    assert isinstance(decided, EndRelease)
    assert decided.reason is reason
    assert not decided.state.is_open
    assert decided.state.reason == reason.value


DOING_CREATE = replace(UNDER_WAY, pending_write=PendingWrite(WriteKind.CREATE, JUST_NOW, highest_version=1))
DOING_PROMOTE = replace(CONFIRMED, pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, JUST_NOW, routing=TO_2))
SETTLED = NOW - timedelta(seconds=75)

WAITS = [
    pytest.param(
        replace(SERVING, created_at={"1": JUST_NOW}),
        facts(None),
        WANTED,
        "",
        id="an agent of seconds ago is not visible yet",
    ),
    pytest.param(DOING_CREATE, facts(AT_1, version("1")), SEEN, "", id="a create that may still land"),
    pytest.param(DOING_PROMOTE, facts(AT_2, version("2")), SEEN, "", id="a selector change that may still be undone"),
    pytest.param(replace(PROMOTED, routed_at=JUST_NOW), facts(AT_1), SEEN, "", id="our own change is not visible yet"),
    pytest.param(
        replace(WITH_CANDIDATE, created_at={"2": JUST_NOW}),
        facts(AT_1, gone={"2": None}),
        SEEN,
        "2",
        id="a version of seconds ago is not visible yet",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, created_at={"2": JUST_NOW}),
        facts(AT_1, version("2", Status.CREATING, created_at=JUST_NOW)),
        SEEN,
        "2",
        id="creating",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, created_at={"2": JUST_NOW}),
        facts(AT_1, version("2", Status.UNKNOWN, created_at=JUST_NOW)),
        SEEN,
        "2",
        id="a status that nobody knows",
    ),
    pytest.param(
        replace(CONFIRMED, created_at={}),
        facts(None, version("2")),
        SEEN,
        "",
        id="nothing to route while the agent is not visible",
    ),
]


@pytest.mark.parametrize(("release", "known", "desired", "for_version"), WAITS)
def test_it_waits_rather_than_guesses(
    release: ReleaseState, known: Observed, desired: DesiredState, for_version: str
) -> None:
    decided = step(release, known, desired)
    assert isinstance(decided, Poll)
    assert decided.version == for_version


def test_a_create_without_an_answer_is_found_by_its_fingerprint_and_a_higher_number() -> None:
    decided = step(DOING_CREATE, facts(AT_1, version("1"), version("2", Status.CREATING)), SEEN)
    assert isinstance(decided, UpdateState)
    assert decided.state.candidate == "2"
    assert decided.state.pending_write is None


def test_a_create_that_never_showed_is_noted_as_not_landed() -> None:
    late = replace(DOING_CREATE, pending_write=PendingWrite(WriteKind.CREATE, SETTLED, highest_version=1))
    decided = step(late, facts(AT_1, version("1")), SEEN)
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.WRITE_NOT_APPLIED
    assert decided.state.pending_write is None


@pytest.mark.parametrize(
    ("act", "stage"),
    [
        pytest.param(WriteKind.MOVE_TRAFFIC, Phase.TRAFFIC_MOVED, id="promote"),
        pytest.param(WriteKind.PIN, Phase.CONFIRMED, id="pin"),
    ],
)
def test_a_selector_change_without_an_answer_is_noted_when_it_shows(act: WriteKind, stage: Phase) -> None:
    decided = step(
        replace(CONFIRMED, pending_write=PendingWrite(act, SETTLED, routing=TO_2)), facts(AT_2, version("2")), SEEN
    )
    assert isinstance(decided, UpdateState)
    assert decided.state.phase is stage
    assert decided.state.expected_routing == TO_2


def test_a_selector_change_that_never_showed_is_noted_as_not_landed() -> None:
    decided = step(
        replace(CONFIRMED, pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, SETTLED, routing=TO_2)),
        facts(AT_1, version("2")),
        SEEN,
    )
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.WRITE_NOT_APPLIED


DONES = [
    pytest.param(
        SERVING,
        facts(AT_1),
        replace(WANTED, pause=Pause("freeze", "ada", LONG_AGO)),
        Reason.PAUSED,
        id="paused without an end",
    ),
    pytest.param(
        SERVING,
        facts(AT_1),
        replace(WANTED, pause=Pause("freeze", "ada", LONG_AGO, NOW + timedelta(1))),
        Reason.PAUSED,
        id="paused until tomorrow",
    ),
    pytest.param(FIRST, facts(None), DesiredState(), Reason.NO_PUSH_YET, id="nobody pushed yet"),
    pytest.param(
        SERVING,
        facts(AT_2),
        replace(WANTED, user_generation=1),
        Reason.ROUTING_CHANGED,
        id="a rotation after a person's hand",
    ),
    pytest.param(
        SERVING, facts(AT_1), replace(WANTED, generation=1, user_generation=1), Reason.LIVE, id="ended stays ended"
    ),
    pytest.param(
        ReleaseState(observed_generation=2),
        facts(None),
        replace(WANTED),
        Reason.NO_PUSH_YET,
        id="ended without ever having begun",
    ),
]


@pytest.mark.parametrize(("release", "known", "desired", "reason"), DONES)
def test_doing_nothing_has_a_reason(
    release: ReleaseState, known: Observed, desired: DesiredState, reason: Reason
) -> None:
    decided = step(release, known, desired)
    assert isinstance(decided, Stop)
    assert decided.reason is reason


AN_HOUR_AHEAD = NOW + timedelta(hours=1)
"""By the clock of another host, which was set, and of nobody else."""


def test_an_act_that_another_host_noted_with_its_clock_ahead_counts_from_now() -> None:
    """Or the release would wait for an hour and 75 seconds."""
    noted = replace(CONFIRMED, pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, AN_HOUR_AHEAD, routing=TO_2))
    decided = step(noted, facts(AT_1, version("2")), SEEN)
    assert isinstance(decided, UpdateState)
    assert decided.state.pending_write == PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, routing=TO_2)
    assert isinstance(step(decided.state, facts(AT_1, version("2")), SEEN), Poll)


def test_a_quiet_time_that_began_with_a_clock_ahead_is_over() -> None:
    """Or a rotated secret would reach nobody for an hour."""
    settling = replace(
        WANTED, cause=Cause.SECRET, updated_at=AN_HOUR_AHEAD, not_before=AN_HOUR_AHEAD + timedelta(seconds=30)
    )
    assert not isinstance(step(SERVING, facts(AT_1), settling), Requeue)


def test_a_soak_is_waited_for_whatever_the_clock_that_noted_the_push() -> None:
    soaking = replace(WANTED, cause=Cause.PUSH, updated_at=AN_HOUR_AHEAD, not_before=NOW + timedelta(seconds=30))
    assert isinstance(step(SERVING, facts(AT_1), soaking), Requeue)


def test_how_long_a_version_is_creating_is_told_by_the_clock_that_wrote_when_it_was_created() -> None:
    """A host whose clock is an hour ahead would end every release as timed out."""
    made = NOW - timedelta(hours=1)
    fresh = replace(version("2", Status.CREATING), created_at=made, read_at=made + timedelta(seconds=5))
    old = replace(fresh, read_at=NOW)
    release = replace(CONFIRMED, phase=Phase.STARTED, created_at={"2": made})
    assert isinstance(step(release, facts(AT_1, fresh), SEEN), Poll)
    decided = step(release, facts(AT_1, old), SEEN)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.TIMED_OUT


def test_what_is_not_due_is_yielded_until_then() -> None:
    due = NOW + timedelta(seconds=30)
    assert step(SERVING, facts(AT_1), replace(WANTED, not_before=due)) == Requeue(Reason.NOT_DUE, due)


def test_a_pause_that_is_over_stops_nothing() -> None:
    over = replace(WANTED, pause=Pause("freeze", "ada", LONG_AGO, JUST_NOW))
    assert isinstance(step(SERVING, facts(AT_1, version("1")), over), StartRelease)


def test_an_agent_that_people_push_again_after_its_deletion_begins_again() -> None:
    ended = step(SERVING, facts(None))
    assert isinstance(ended, EndRelease)
    assert isinstance(step(ended.state, facts(None)), StartRelease)


def test_a_rotation_does_not_bring_a_deleted_agent_back() -> None:
    rotation = replace(WANTED, user_generation=1)
    ended = step(SERVING, facts(None), rotation)
    assert isinstance(ended, EndRelease)
    assert step(ended.state, facts(None), rotation) == Stop(Reason.AGENT_DELETED, already_reported=True)


def test_a_second_rotation_after_the_agent_was_deleted_does_not_create_it_again() -> None:
    first = replace(WANTED, generation=3, user_generation=1)
    ended = step(replace(SERVING, observed_generation=2), facts(None), first)
    assert isinstance(ended, EndRelease)
    second = replace(first, generation=ended.state.observed_generation + 1)
    again = step(ended.state, facts(None), second)
    assert isinstance(again, EndRelease)
    assert again.reason is Reason.AGENT_DELETED
    assert again.state.observed_generation == second.generation
    assert isinstance(step(again.state, facts(None), replace(WANTED, generation=9, user_generation=9)), StartRelease)


def test_a_new_release_of_the_same_definition_may_delete_a_duplicate_of_its_own() -> None:
    failed = replace(WITH_CANDIDATE, is_duplicate=True)
    deleted = transitions.ended(transitions.duplicate_deleted(failed), Reason.IMAGE_ERROR, NOW)
    again = transitions.started(deleted, 3, PUSH, RESOLVED, TO_1, NOW)
    candidate = transitions.has_candidate(again, version("3", Status.FAILED), highest_version=3)
    desired = replace(WANTED, generation=3, user_generation=3)
    assert step(candidate, facts(AT_1, version("3", Status.FAILED)), desired) == DeleteDuplicate("3")


def test_a_version_that_serves_but_was_never_proven_is_not_already_live() -> None:
    unproven = replace(SERVING, last_good=None)
    assert isinstance(step(unproven, facts(AT_1, version("1", fingerprint="fp-2"))), StartRelease)


def test_a_good_version_that_is_not_active_is_not_already_live() -> None:
    known = facts(AT_1, version("1", Status.FAILED), resolved=replace(RESOLVED, fingerprint="fp-1"))
    assert isinstance(step(SERVING, known), StartRelease)


@pytest.mark.parametrize(
    ("release", "versions", "pinned"),
    [
        pytest.param(SERVING, [version("1"), version("3")], "1", id="the good one"),
        pytest.param(
            replace(SERVING, last_good=None, candidate="3", created_at={}),
            [version("3"), version("4")],
            "3",
            id="the last noted",
        ),
        pytest.param(
            ReleaseState(),
            [version("1"), version("2"), version("3", Status.FAILED)],
            "2",
            id="the newest that is really active",
        ),
    ],
)
def test_the_traffic_is_held_where_it_is_before_a_version_is_made(
    release: ReleaseState, versions: list[Version], pinned: str
) -> None:
    follows = agent(LATEST, versions[-1])
    decided = step(release, facts(follows, *versions, resolved=replace(RESOLVED, fingerprint="other")))
    assert decided == Pin(pinned, LATEST)


def test_an_agent_with_no_active_version_needs_no_pin() -> None:
    failed = version("1", Status.FAILED)
    assert isinstance(step(ReleaseState(), facts(agent(LATEST, failed), failed)), StartRelease)


def test_begin_notes_what_served_and_what_is_released() -> None:
    decided = step(SERVING, facts(AT_1, version("1")))
    assert isinstance(decided, StartRelease)
    assert decided.state == replace(UNDER_WAY, image=IMAGE)


def test_a_newer_push_ends_the_release_under_way() -> None:
    decided = step(CONFIRMED, facts(AT_1, version("1"), version("2")), replace(WANTED, generation=3, user_generation=3))
    assert isinstance(decided, StartRelease)
    assert decided.state.history[-1].reason == "SUPERSEDED"
    assert decided.state.candidate == "2", "the same fingerprint keeps its candidate"
    assert decided.state.supersede_count == 1


def test_a_candidate_that_died_is_not_kept() -> None:
    known = facts(AT_1, version("1"), version("2", Status.FAILED))
    decided = step(CONFIRMED, known, replace(WANTED, generation=3, user_generation=3))
    assert isinstance(decided, StartRelease)
    assert decided.state.candidate is None


def test_a_release_overtaken_three_times_is_finished_first() -> None:
    starving = replace(CONFIRMED, supersede_count=3)
    decided = step(starving, facts(AT_1, version("1"), version("2")), replace(WANTED, generation=9, user_generation=9))
    assert decided == MoveTraffic("2", TO_1)


def test_a_version_with_the_fingerprint_is_adopted() -> None:
    decided = step(UNDER_WAY, facts(AT_1, version("1"), version("2", Status.CREATING)), SEEN)
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.ADOPT
    assert decided.state.candidate == "2"


def test_a_failed_version_with_the_fingerprint_is_not_adopted() -> None:
    decided = step(UNDER_WAY, facts(AT_1, version("1"), version("2", Status.FAILED)), SEEN)
    assert decided == Create(highest_version=2, live_version="1", routing_seen=TO_1)


def test_the_first_version_of_a_new_agent_is_simply_created() -> None:
    begun = replace(UNDER_WAY, expected_routing=None, routing_at_start=None, last_good=None, created_at={})
    assert step(begun, facts(None), SEEN) == Create(highest_version=0, live_version=None, routing_seen=None)


def test_a_definition_that_moved_under_the_release_begins_it_again() -> None:
    decided = step(UNDER_WAY, facts(AT_1, version("1"), resolved=replace(RESOLVED, fingerprint="fp-9")), SEEN)
    assert isinstance(decided, StartRelease)
    assert decided.state.fingerprint == "fp-9"


def test_a_failed_twin_of_earlier_is_cleared_so_that_this_push_gets_its_own_try() -> None:
    twin = replace(WITH_CANDIDATE, is_duplicate=True)
    assert step(twin, facts(AT_1, version("2", Status.FAILED)), SEEN) == DeleteDuplicate("2")


def test_a_failed_twin_that_is_gone_counts_as_cleared() -> None:
    twin = replace(WITH_CANDIDATE, is_duplicate=True)
    decided = step(twin, facts(AT_1, gone={"2": None}), SEEN)
    assert isinstance(decided, UpdateState)
    assert decided.state.deleted_duplicate == "2"
    assert decided.state.candidate is None


def test_an_active_candidate_is_read_a_second_time() -> None:
    assert step(WITH_CANDIDATE, facts(AT_1, version("2")), SEEN) == ConfirmActive("2")


def test_a_confirmed_candidate_is_promoted() -> None:
    assert step(CONFIRMED, facts(AT_1, version("2")), SEEN) == MoveTraffic("2", TO_1)


def mode(**release: object) -> AgentSpec:
    return AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello", "release": release})


def test_in_mode_notify_a_push_is_told_and_not_released() -> None:
    decided = step(SERVING, facts(AT_1, version("1")), WANTED, mode(mode="notify"))
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.WOULD_RELEASE


def test_in_mode_manual_a_confirmed_candidate_waits_for_a_person() -> None:
    known = facts(AT_1, version("2"))
    assert step(CONFIRMED, known, SEEN, mode(mode="manual")) == Stop(Reason.APPROVAL_WAITING)


PROVEN = mode(verify={"ask": "ping", "expect": "pong"}, check={"ask": "ping", "expect": "pong"}, hold_for="7d")
HOLD = Hold("fp-2", PUSH.digest, "CHECK_FAILED", "answered 500", JUST_NOW, NOW + timedelta(days=7), "slipway")


def proved(outcome: ProbeOutcome, detail: str = "") -> ProbeReport:
    return ProbeReport(outcome, detail)


def test_a_release_under_way_ends_where_the_mode_became_notify() -> None:
    found = step(CONFIRMED, facts(AT_1, version("2")), SEEN, mode(mode="notify"))
    assert isinstance(found, EndRelease)
    assert found.reason is Reason.WOULD_RELEASE


def test_an_approval_is_for_one_version_with_one_fingerprint() -> None:
    known, rule = facts(AT_1, version("2")), mode(mode="manual")
    approved = replace(SEEN, approval=Approval("2", "fp-2", "ann", NOW))
    assert step(CONFIRMED, known, approved, rule) == MoveTraffic("2", TO_1)
    for other in (Approval("2", "fp-1", "ann", NOW), Approval("1", "fp-2", "ann", NOW)):
        assert step(CONFIRMED, known, replace(SEEN, approval=other), rule) == Stop(Reason.APPROVAL_WAITING)


def test_a_confirmed_candidate_is_verified_before_it_gets_traffic() -> None:
    assert step(CONFIRMED, facts(AT_1, version("2")), SEEN, PROVEN) == Verify("2")
    verified = after_verify(DecisionInput(SEEN, CONFIRMED), PROVEN, proved(ProbeOutcome.PASSED), NOW)
    assert isinstance(verified, UpdateState)
    assert step(verified.state, facts(AT_1, version("2")), SEEN, PROVEN) == MoveTraffic("2", TO_1)


NOT_VERIFIED = [
    pytest.param(ProbeOutcome.FAILED, Reason.VERIFY_FAILED, True, id="a wrong answer holds the image"),
    pytest.param(ProbeOutcome.FORBIDDEN, Reason.VERIFY_FORBIDDEN, False, id="a missing right holds nothing"),
    pytest.param(ProbeOutcome.INCONCLUSIVE, Reason.VERIFY_INCONCLUSIVE, False, id="a quota holds nothing"),
    pytest.param(ProbeOutcome.DISABLED, Reason.AGENT_DISABLED, False, id="a disabled agent holds nothing"),
]


@pytest.mark.parametrize(("outcome", "reason", "holds"), NOT_VERIFIED)
def test_what_is_not_verified_ends_without_traffic(outcome: ProbeOutcome, reason: Reason, holds: bool) -> None:
    ended = after_verify(DecisionInput(SEEN, CONFIRMED), PROVEN, proved(outcome, "answered 500"), NOW)
    assert isinstance(ended, EndRelease)
    assert (ended.reason, ended.state.reason, ended.detail) == (reason, reason.value, "answered 500")
    assert [(one.fingerprint, one.digest, one.until) for one in ended.state.holds] == (
        [("fp-2", PUSH.digest, NOW + timedelta(days=7))] if holds else []
    )


def test_an_image_that_also_serves_is_not_held_only_what_was_made_of_it() -> None:
    rotated = replace(CONFIRMED, last_good=GoodVersion(PUSH, "fp-1", "1"))
    ended = after_verify(DecisionInput(SEEN, rotated), PROVEN, proved(ProbeOutcome.FAILED), NOW)
    assert isinstance(ended, EndRelease)
    assert [(one.fingerprint, one.digest) for one in ended.state.holds] == [("fp-2", "")]


def test_a_promoted_version_is_checked_with_what_it_may_go_back_to() -> None:
    assert step(PROMOTED, facts(AT_2), SEEN, PROVEN) == Check("2", ("1", "1"))
    first = replace(PROMOTED, routing_at_start=None, last_good=None)
    assert step(first, facts(AT_2), SEEN, PROVEN) == Check("2", ())


def test_a_passed_check_makes_it_live() -> None:
    decided = after_check(DecisionInput(SEEN, PROMOTED, facts(AT_2)), PROVEN, proved(ProbeOutcome.PASSED), NOW)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.LIVE
    assert decided.state.last_good == GoodVersion(PUSH, "fp-2", "2")


@pytest.mark.parametrize("outcome", [ProbeOutcome.FORBIDDEN, ProbeOutcome.INCONCLUSIVE, ProbeOutcome.DISABLED])
def test_a_check_that_could_not_be_made_moves_nothing_and_proves_nothing(outcome: ProbeOutcome) -> None:
    decided = after_check(DecisionInput(SEEN, PROMOTED, facts(AT_2)), PROVEN, proved(outcome), NOW)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.CHECK_INCONCLUSIVE
    assert decided.state.last_good == SERVING.last_good


def test_a_failed_check_goes_back_to_what_served_before() -> None:
    known = facts(AT_2, version("1"))
    decided = after_check(
        DecisionInput(SEEN, PROMOTED, known), PROVEN, proved(ProbeOutcome.FAILED, "answered 500"), NOW
    )
    assert isinstance(decided, RollBack)
    assert (decided.to, decided.routing_seen) == (TO_1, TO_2)
    assert [one.fingerprint for one in decided.state.holds] == ["fp-2"]
    back = replace(decided.state, phase=Phase.ROLLED_BACK, expected_routing=TO_1)
    ended = step(back, facts(AT_1), SEEN, PROVEN)
    assert isinstance(ended, EndRelease)
    assert (ended.reason, ended.detail) == (Reason.CHECK_FAILED, "answered 500")
    assert ended.state.last_good == SERVING.last_good


SPLIT = Routing((TrafficRule("1", 50), TrafficRule("3", 50)))
WAYS = [
    pytest.param(PROMOTED, (version("1"),), TO_1, id="what served"),
    pytest.param(
        replace(PROMOTED, routing_at_start=SPLIT), (version("1"), version("3")), SPLIT, id="two rules of a person"
    ),
    pytest.param(
        replace(PROMOTED, routing_at_start=SPLIT), (version("1"),), TO_1, id="one of two is gone: the good one"
    ),
    pytest.param(replace(PROMOTED, routing_at_start=None), (version("1"),), TO_1, id="nothing served: the good one"),
    pytest.param(
        replace(PROMOTED, routing_at_start=LATEST), (version("1"),), TO_1, id="it followed latest: the good one"
    ),
    pytest.param(replace(PROMOTED, routing_at_start=TO_2), (version("1"),), TO_1, id="never to the candidate itself"),
    pytest.param(PROMOTED, (version("1", Status.FAILED),), None, id="what served has failed"),
    pytest.param(PROMOTED, (version("1", fingerprint="fp-2"),), None, id="what served is held itself"),
    pytest.param(
        replace(PROMOTED, routing_at_start=None, last_good=None), (), None, id="a first version has no way back"
    ),
]


@pytest.mark.parametrize(("release", "versions", "way"), WAYS)
def test_the_way_back(release: ReleaseState, versions: tuple[Version, ...], way: Routing | None) -> None:
    gone: Mapping[str, None] = {n: None for n in ("1", "3") if n not in {one.number for one in versions}}
    known = facts(AT_2, *versions, gone=gone)
    decided = after_check(DecisionInput(SEEN, release, known), PROVEN, proved(ProbeOutcome.FAILED), NOW)
    if way is None:
        assert isinstance(decided, EndRelease)
        assert decided.reason is Reason.CHECK_FAILED_NO_ROLLBACK_VERSION
        assert decided.state.holds
    else:
        assert isinstance(decided, RollBack)
        assert decided.to == way


def test_a_way_back_that_nobody_read_is_read_first() -> None:
    known = seen(AT_2)
    noted = after_check(DecisionInput(SEEN, PROMOTED, known), PROVEN, proved(ProbeOutcome.FAILED), NOW)
    assert isinstance(noted, UpdateState)
    assert step(noted.state, known, SEEN, PROVEN) == NeedsRead(version="1")
    again = step(noted.state, facts(AT_2, version("1")), SEEN, PROVEN)
    assert isinstance(again, RollBack)


def test_a_way_back_is_found_without_an_agent_to_compare_with() -> None:
    known = facts(None, version("1"))
    decided = after_check(DecisionInput(SEEN, PROMOTED, known), PROVEN, proved(ProbeOutcome.FAILED), NOW)
    assert isinstance(decided, RollBack)
    assert decided.routing_seen is None


HELD_RECORD = replace(SERVING, holds=(HOLD,), fingerprint="fp-2", push=PUSH, reason="CHECK_FAILED")


def test_while_the_desired_image_is_held_what_is_good_runs_with_todays_secrets() -> None:
    world = DecisionInput(replace(WANTED, generation=3), replace(HELD_RECORD, observed_generation=2))
    assert push_to_run(world.desired, world.release, NOW) == OLD_PUSH
    rotated = replace(RESOLVED, fingerprint="fp-3")
    begun = next_action(replace(world, observed=facts(AT_1, version("1"), resolved=rotated)), RULE, NOW)
    assert isinstance(begun, StartRelease)
    assert (begun.state.push, begun.state.fingerprint) == (OLD_PUSH, "fp-3")


def test_a_held_push_ends_as_held_whatever_runs() -> None:
    same = replace(RESOLVED, fingerprint="fp-1")
    live = step(replace(HELD_RECORD, observed_generation=1), facts(AT_1, version("1"), resolved=same), WANTED)
    nothing_good = step(
        replace(HELD_RECORD, observed_generation=1, last_good=None, created_at={}), facts(AT_1, version("1")), WANTED
    )
    by_fingerprint = replace(HELD_RECORD, observed_generation=1, holds=(replace(HOLD, digest=""),))
    for decided in (live, nothing_good, step(by_fingerprint, facts(AT_1, version("1")), WANTED)):
        assert isinstance(decided, EndRelease)
        assert decided.reason is Reason.HELD
        assert "CHECK_FAILED by slipway until 2026-12-01" in decided.detail
        assert decided.state.observed_generation == 2


def test_a_hold_that_is_over_or_lifted_holds_nothing() -> None:
    over = replace(HELD_RECORD, observed_generation=1, holds=(replace(HOLD, until=NOW),))
    assert isinstance(step(over, facts(AT_1, version("1")), WANTED), StartRelease)
    lifted = replace(WANTED, lifted_at={PUSH.digest: NOW})
    assert isinstance(
        step(replace(HELD_RECORD, observed_generation=1), facts(AT_1, version("1")), lifted), StartRelease
    )
    earlier = replace(WANTED, lifted_at={PUSH.digest: LONG_AGO})
    assert isinstance(step(replace(HELD_RECORD, observed_generation=1), facts(AT_1, version("1")), earlier), EndRelease)


def test_a_held_push_never_overwrites_a_persons_routing() -> None:
    moved = agent(Routing.to("3"), version("3"))
    assert step(replace(HELD_RECORD, observed_generation=1), facts(moved), WANTED) == Stop(Reason.ROUTING_CHANGED)


@pytest.mark.parametrize("digest", [PUSH.digest, ""])
def test_what_a_person_holds_while_it_is_made_is_not_promoted(digest: str) -> None:
    held = replace(
        SEEN, holds=(Hold("" if digest else "fp-2", digest, "HOLD_SET", "not today", JUST_NOW, None, "ann"),)
    )
    decided = step(CONFIRMED, facts(AT_1, version("2")), held)
    assert isinstance(decided, EndRelease)
    assert (decided.reason, decided.detail) == (Reason.HELD, "HOLD_SET by ann: not today")


def test_a_candidate_that_serves_already_is_noted_as_promoted() -> None:
    accepted = replace(CONFIRMED, expected_routing=TO_2)
    decided = step(accepted, facts(AT_2, version("2")), SEEN)
    assert isinstance(decided, UpdateState)
    assert decided.state.phase is Phase.TRAFFIC_MOVED


def test_going_live_makes_the_candidate_the_good_one() -> None:
    decided = step(PROMOTED, facts(AT_2), SEEN)
    assert isinstance(decided, EndRelease)
    assert decided.state.last_good == GoodVersion(PUSH, "fp-2", "2")
    assert decided.state.created_at == {"2": LONG_AGO}


LOOKS = [
    pytest.param(SERVING, Observed(), needs(Read.AGENT), id="born numbers need the agent"),
    pytest.param(
        FIRST,
        Observed(),
        needs(Read.DESIRED_DEFINITION),
        id="a first wish is resolved before anything is asked of Foundry",
    ),
    pytest.param(FIRST, seen(None), needs(Read.DESIRED_DEFINITION), id="a newer wish is resolved"),
    pytest.param(
        SERVING,
        seen(AT_1, definition=RESOLVED),
        NeedsRead(version="1"),
        id="what serves is asked for itself",
    ),
    pytest.param(
        replace(UNDER_WAY, last_good=None, created_at={}),
        seen(AT_1),
        needs(Read.VERSION_LIST),
        id="adopting needs the list",
    ),
]


@pytest.mark.parametrize(("release", "known", "look"), LOOKS)
def test_a_row_asks_for_what_it_needs_and_nothing_else(release: ReleaseState, known: Observed, look: NeedsRead) -> None:
    desired = SEEN if release.is_open else WANTED
    assert step(release, known, desired) == look


def test_a_wait_turn_needs_one_version_and_nothing_else() -> None:
    waiting = replace(WITH_CANDIDATE, created_at={"2": JUST_NOW})
    known = facts(AT_1, version("2", Status.CREATING, created_at=JUST_NOW))
    assert step(waiting, known.without_version("2"), SEEN) == NeedsRead(version="2")


def test_a_release_is_expected_only_where_nothing_holds_it_up() -> None:
    assert release_expected(WANTED, SERVING, NOW)
    pause = Pause("why", "ann", NOW)
    for desired, release in (
        (SEEN, UNDER_WAY),
        (DesiredState(generation=3), SERVING),
        (replace(WANTED, pause=pause), SERVING),
        (replace(WANTED, not_before=NOW + timedelta(seconds=1)), SERVING),
        (replace(WANTED, generation=3), DOING_CREATE),
    ):
        assert not release_expected(desired, release, NOW)


def test_what_a_list_says_of_metadata_spares_a_read() -> None:
    listed = seen(AT_1, version("1"), definition=RESOLVED)
    assert isinstance(step(SERVING, listed, WANTED), StartRelease)


def test_routing_that_we_just_gave_is_known_without_a_read() -> None:
    assert facts(AT_1).with_routing(TO_2).agent == replace(AT_1, routing=TO_2)
    assert Read.AGENT not in facts(AT_1).with_routing(None).reads


def test_a_pin_that_reads_do_not_show_yet_is_no_persons_hand() -> None:
    pinned = replace(SERVING, expected_routing=TO_1, routed_at=JUST_NOW)
    begun = step(pinned, facts(AT_1, version("1")))
    assert isinstance(begun, StartRelease)
    assert step(begun.state, facts(agent(LATEST, version("1")))) == Poll(Reason.TRAFFIC_MOVED)


def test_a_routing_that_was_accepted_as_found_is_not_a_change_of_ours() -> None:
    begun = step(replace(SERVING, routed_at=JUST_NOW - timedelta(3)), facts(AT_2, version("1"), version("2")))
    assert isinstance(begun, StartRelease)
    assert begun.state.routed_at is None


def test_a_release_that_is_finished_first_answers_no_newer_wish_when_agents_yaml_changed() -> None:
    starving = replace(UNDER_WAY, supersede_count=3, push=OLD_PUSH, fingerprint="fp-of-yesterday")
    newer = replace(WANTED, generation=9, user_generation=9)
    again = step(starving, facts(AT_1, version("1")), newer)
    assert isinstance(again, StartRelease)
    assert (again.state.observed_generation, again.state.push, again.state.supersede_count) == (
        starving.observed_generation,
        OLD_PUSH,
        3,
    )
    assert again.state.fingerprint == RESOLVED.fingerprint
    assert isinstance(step(again.state, facts(AT_1, version("1")), newer), Create)


def test_a_version_that_nobody_dates_is_waited_for_since_its_release_began() -> None:
    undated = version("2", Status.CREATING, created_at=UNKNOWN_TIME)
    young = replace(WITH_CANDIDATE, created_at={"2": UNKNOWN_TIME}, started_at=NOW - timedelta(minutes=1))
    assert step(young, facts(AT_1, undated), SEEN) == Poll(Reason.CREATE, "2")
    old = replace(young, started_at=NOW - timedelta(minutes=11))
    decided = step(old, facts(AT_1, undated), SEEN)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.TIMED_OUT


def every_case() -> list[tuple[ReleaseState, Observed, DesiredState, AgentSpec]]:
    cases: list[Any] = [(*case.values[:3], RULE) for case in (*ENDS, *WAITS, *DONES)]
    more = [
        (state, facts(known_agent, version("1"), version("2")), desired, spec)
        for state in (FIRST, SERVING, UNDER_WAY, WITH_CANDIDATE, CONFIRMED, PROMOTED, HELD_RECORD, DOING_CREATE)
        for known_agent in (None, AT_1, AT_2, agent(LATEST, version("2")))
        for desired in (WANTED, SEEN, replace(WANTED, generation=3), replace(WANTED, generation=3, user_generation=3))
        for spec in (RULE, PROVEN, mode(mode="notify"), mode(mode="manual"))
    ]
    return cases + more


def parts_of(known: Observed) -> list[Observed]:
    """What is left of the reads where one of them was not made."""
    without = [known.without(read) for read in Read]
    return [*without, *(known.without_version(number) for number in known.versions), Observed()]


def test_a_rule_never_decides_on_what_it_has_not_read() -> None:
    decided = 0
    for state, known, desired, spec in every_case():
        full = step(state, known, desired, spec)
        for part in parts_of(known):
            partial = step(state, part, desired, spec)
            assert isinstance(partial, NeedsRead) or partial == full, (state, part, desired, spec.release.mode)
            decided += not isinstance(partial, NeedsRead)
    assert decided, "some decisions need no read"
