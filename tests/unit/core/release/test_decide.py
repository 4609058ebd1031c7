"""The release rules: each input gives one action."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT, ResolvedDefinition, UnresolvedDefinition, plain_parts
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
from core.release.decide import RULES, Rule, next_action
from core.release.gates.answers import ProbeOutcome, ProbeReport
from core.release.gates.check import after_check
from core.release.gates.verify import after_verify
from core.release.inputs import DecisionInput, Observed, push_to_run, release_expected
from core.release.message import ReleaseMessage
from core.state import holds
from core.state.desired import Approval, Cause, DesiredState, Hold, Pause, RollbackRequest, WaitingPush
from core.state.release import DeletedVersion, GoodVersion, PendingWrite, Phase, ReleaseState, WriteKind

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=3)
JUST_NOW = NOW - timedelta(seconds=5)
IMAGE = "demo.azurecr.io/agents/hello@sha256:" + "a" * 64
OLD_IMAGE = "demo.azurecr.io/agents/hello@sha256:" + "0" * 64
SPEC = AgentSpec(name="hello-agent", repository="agents/hello")
PUSH = Push("agents/hello", "sha256:" + "a" * 64, "v2", NOW, "event-2")
OLD_PUSH = Push("agents/hello", "sha256:" + "0" * 64, "v1", LONG_AGO, "event-1")
DEFINITION = Definition(IMAGE, "1", "2Gi", (("responses", "2.0.0"),), {"MODE": "fast"})
RESOLVED = ResolvedDefinition(DEFINITION, "fp-2", {})
TO_1, TO_2 = Routing.to("1"), Routing.to("2")
LATEST = Routing()


def version(number: str, status: Status = Status.ACTIVE, fingerprint: str = "", **changes: object) -> Version:
    image = OLD_IMAGE if number in ("1", "8", "9") else IMAGE
    made = Version(number, status, LONG_AGO, image, frozenset({"MODE"}), {FINGERPRINT: fingerprint or f"fp-{number}"})
    return replace(made, **changes)  # type: ignore[arg-type]


def agent(routing: Routing, latest: Version | None = None, *, enabled: bool = True) -> Agent:
    return Agent("hello-agent", enabled, routing, latest)


DESIRED = DesiredState(generation=2, user_generation=2, push=PUSH)
ROTATED = replace(DESIRED, user_generation=1)
ANSWERED = replace(DESIRED)
NO_RELEASE = ReleaseState()
SERVING = ReleaseState(
    observed_generation=1,
    push=OLD_PUSH,
    fingerprint="fp-1",
    reason="LIVE",
    expected_routing=TO_1,
    last_good=GoodVersion(OLD_PUSH, "fp-1", "1"),
    created_at={"1": LONG_AGO},
)
STARTED = replace(
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
WITH_CANDIDATE = replace(STARTED, candidate="2", created_at={"1": LONG_AGO, "2": LONG_AGO})
CONFIRMED = replace(WITH_CANDIDATE, phase=Phase.CONFIRMED)
TRAFFIC_MOVED = replace(CONFIRMED, phase=Phase.TRAFFIC_MOVED, expected_routing=TO_2, routed_at=LONG_AGO)


def read_all(
    agent_read: Agent | None = None,
    *versions: Version,
    resolved: ResolvedDefinition | UnresolvedDefinition = RESOLVED,
    gone: Mapping[str, None] | None = None,
) -> Observed:
    single = {**{found.number: found for found in versions}, **(gone or {})}
    return Observed(frozenset(Read), agent_read, versions, resolved, resolved, single)


def read_agent(agent_read: Agent | None, *versions: Version, definition: ResolvedDefinition | None = None) -> Observed:
    """The agent was read; also the version list and the desired definition where they are given."""
    observed = Observed().with_agent(agent_read)
    if versions:
        observed = replace(observed, reads=observed.reads | {Read.VERSION_LIST}, version_list=versions)
    if definition:
        reads = observed.reads | {Read.DESIRED_DEFINITION, Read.RECENT_TAGS}
        observed = replace(observed, reads=reads, desired_definition=definition)
    return observed


def needs_read(*reads: Read) -> NeedsRead:
    return NeedsRead(frozenset(reads))


def decide(
    release: ReleaseState, observed: Observed, desired: DesiredState = DESIRED, spec: AgentSpec = SPEC
) -> Action:
    return next_action(DecisionInput(desired, release, observed), spec, NOW)


AT_1 = agent(TO_1, version("1"))
AT_2 = agent(TO_2, version("2"))

ENDS = [
    pytest.param(SERVING, read_all(None), ROTATED, Reason.AGENT_DELETED, id="the agent is gone"),
    pytest.param(
        SERVING,
        read_all(agent(TO_1, version("1", created_at=NOW))),
        ROTATED,
        Reason.AGENT_DELETED,
        id="the agent was recreated with the same version number",
    ),
    pytest.param(TRAFFIC_MOVED, read_all(AT_2), ANSWERED, Reason.LIVE, id="traffic moved and no check is configured"),
    pytest.param(
        CONFIRMED, read_all(AT_2), ANSWERED, Reason.ROUTING_CHANGED, id="a person moved the traffic during the release"
    ),
    pytest.param(
        TRAFFIC_MOVED,
        read_all(AT_1),
        ANSWERED,
        Reason.ROUTING_CHANGED,
        id="a person moved the traffic after the release did",
    ),
    pytest.param(
        NO_RELEASE,
        read_all(resolved=UnresolvedDefinition(Reason.SECRET_MISSING, "secret k of variable K")),
        DESIRED,
        Reason.SECRET_MISSING,
        id="a secret is missing",
    ),
    pytest.param(
        SERVING,
        read_all(AT_1, version("1"), resolved=replace(RESOLVED, fingerprint="fp-1")),
        DESIRED,
        Reason.ALREADY_LIVE,
        id="the last good version is live and desired",
    ),
    pytest.param(
        SERVING,
        read_all(AT_1, version("1", fingerprint="fp-2")),
        DESIRED,
        Reason.ALREADY_LIVE,
        id="the metadata of the live version has the desired fingerprint",
    ),
    pytest.param(
        SERVING,
        read_all(agent(TO_1, enabled=False), version("1")),
        DESIRED,
        Reason.AGENT_DISABLED,
        id="the agent is disabled",
    ),
    pytest.param(
        STARTED,
        read_all(AT_1, version("1"), resolved=UnresolvedDefinition(Reason.SECRET_EXPIRED, "")),
        ANSWERED,
        Reason.SECRET_EXPIRED,
        id="a secret expired before the create",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, started_at=LONG_AGO),
        read_all(AT_1, gone={"2": None}),
        ANSWERED,
        Reason.CANDIDATE_GONE,
        id="somebody deleted the candidate",
    ),
    pytest.param(
        WITH_CANDIDATE,
        read_all(AT_1, version("2", Status.DELETING)),
        ANSWERED,
        Reason.CANDIDATE_GONE,
        id="somebody is deleting the candidate",
    ),
    pytest.param(
        WITH_CANDIDATE,
        read_all(AT_1, version("2", Status.CREATING)),
        ANSWERED,
        Reason.TIMED_OUT,
        id="the candidate is creating for too long",
    ),
    pytest.param(
        WITH_CANDIDATE,
        read_all(AT_1, version("2", Status.FAILED, failure=Failure("ImageError", "no right to pull"))),
        ANSWERED,
        Reason.IMAGE_ERROR,
        id="the candidate failed with a code",
    ),
    pytest.param(
        WITH_CANDIDATE,
        read_all(AT_1, version("2", Status.FAILED)),
        ANSWERED,
        Reason.PROVISIONING_FAILED,
        id="the candidate failed without a code",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, is_duplicate=True),
        read_all(AT_2, version("2", Status.FAILED), resolved=RESOLVED),
        replace(ANSWERED, user_generation=3, generation=2),
        Reason.PROVISIONING_FAILED,
        id="a failed duplicate that is live is not deleted",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, is_duplicate=True, deleted_duplicate=DeletedVersion("9", LONG_AGO)),
        read_all(AT_1, version("2", Status.FAILED)),
        ANSWERED,
        Reason.PROVISIONING_FAILED,
        id="a duplicate is deleted once",
    ),
]


def test_a_push_that_finds_its_agent_deleted_begins_anew() -> None:
    decided = decide(SERVING, read_all(None))
    assert isinstance(decided, UpdateState)
    assert (decided.reason, decided.state.last_good, decided.state.observed_generation) == ("AGENT_DELETED", None, 1)
    assert isinstance(decide(decided.state, read_all(None)), StartRelease)


@pytest.mark.parametrize(("release", "observed", "desired", "reason"), ENDS)
def test_the_release_ends_with_one_reason(
    release: ReleaseState, observed: Observed, desired: DesiredState, reason: Reason
) -> None:
    decided = decide(release, observed, desired)
    assert isinstance(decided, EndRelease)
    assert decided.reason is reason
    assert not decided.state.is_open
    assert decided.state.reason == reason.value


PENDING_CREATE = replace(STARTED, pending_write=PendingWrite(WriteKind.CREATE, JUST_NOW, highest_version=1))
PENDING_MOVE = replace(CONFIRMED, pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, JUST_NOW, routing=TO_2))
LAG_AGO = NOW - timedelta(seconds=75)

POLLS = [
    pytest.param(
        replace(SERVING, created_at={"1": JUST_NOW}),
        read_all(None),
        DESIRED,
        "",
        id="a new agent is not visible yet",
    ),
    pytest.param(PENDING_CREATE, read_all(AT_1, version("1")), ANSWERED, "", id="a create may still be applied"),
    pytest.param(PENDING_MOVE, read_all(AT_2, version("2")), ANSWERED, "", id="a routing change may still be undone"),
    pytest.param(
        replace(TRAFFIC_MOVED, routed_at=JUST_NOW),
        read_all(AT_1),
        ANSWERED,
        "",
        id="the routing that slipway set is not visible yet",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, created_at={"2": JUST_NOW}),
        read_all(AT_1, gone={"2": None}),
        ANSWERED,
        "2",
        id="a new version is not visible yet",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, created_at={"2": JUST_NOW}),
        read_all(AT_1, version("2", Status.CREATING, created_at=JUST_NOW)),
        ANSWERED,
        "2",
        id="the candidate is creating",
    ),
    pytest.param(
        replace(WITH_CANDIDATE, created_at={"2": JUST_NOW}),
        read_all(AT_1, version("2", Status.UNKNOWN, created_at=JUST_NOW)),
        ANSWERED,
        "2",
        id="the status of the candidate is unknown",
    ),
    pytest.param(
        replace(CONFIRMED, created_at={}),
        read_all(None, version("2")),
        ANSWERED,
        "",
        id="the agent to route is not visible yet",
    ),
]


@pytest.mark.parametrize(("release", "observed", "desired", "for_version"), POLLS)
def test_a_release_polls_rather_than_guesses(
    release: ReleaseState, observed: Observed, desired: DesiredState, for_version: str
) -> None:
    decided = decide(release, observed, desired)
    assert isinstance(decided, Poll)
    assert decided.version == for_version


def test_a_create_without_an_answer_is_found_by_fingerprint_and_higher_number() -> None:
    decided = decide(PENDING_CREATE, read_all(AT_1, version("1"), version("2", Status.CREATING)), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.state.candidate == "2"
    assert decided.state.pending_write is None


def test_a_create_that_never_becomes_visible_is_recorded_as_not_applied() -> None:
    late = replace(PENDING_CREATE, pending_write=PendingWrite(WriteKind.CREATE, LAG_AGO, highest_version=1))
    decided = decide(late, read_all(AT_1, version("1")), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.WRITE_NOT_APPLIED
    assert decided.state.pending_write is None


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        pytest.param(WriteKind.MOVE_TRAFFIC, Phase.TRAFFIC_MOVED, id="move traffic"),
        pytest.param(WriteKind.PIN, Phase.CONFIRMED, id="pin"),
    ],
)
def test_a_routing_change_without_an_answer_is_recorded_once_it_is_visible(kind: WriteKind, phase: Phase) -> None:
    decided = decide(
        replace(CONFIRMED, pending_write=PendingWrite(kind, LAG_AGO, routing=TO_2)),
        read_all(AT_2, version("2")),
        ANSWERED,
    )
    assert isinstance(decided, UpdateState)
    assert decided.state.phase is phase
    assert decided.state.expected_routing == TO_2


def test_a_rollback_without_an_answer_says_where_the_traffic_went() -> None:
    pending = PendingWrite(WriteKind.ROLL_BACK, LAG_AGO, routing=TO_1)
    decided = decide(replace(TRAFFIC_MOVED, pending_write=pending), read_all(AT_1, version("2")), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert (decided.reason, decided.detail) == (Reason.ROLLBACK, "from version 2 to version 1")


def test_a_routing_change_that_never_becomes_visible_is_recorded_as_not_applied() -> None:
    decided = decide(
        replace(CONFIRMED, pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, LAG_AGO, routing=TO_2)),
        read_all(AT_1, version("2")),
        ANSWERED,
    )
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.WRITE_NOT_APPLIED


STOPS = [
    pytest.param(
        SERVING,
        read_all(AT_1),
        replace(DESIRED, pause=Pause("freeze", "ada", LONG_AGO)),
        Reason.PAUSED,
        id="a pause without an end",
    ),
    pytest.param(
        SERVING,
        read_all(AT_1),
        replace(DESIRED, pause=Pause("freeze", "ada", LONG_AGO, NOW + timedelta(1))),
        Reason.PAUSED,
        id="a pause until tomorrow",
    ),
    pytest.param(NO_RELEASE, read_all(None), DesiredState(), Reason.NO_PUSH_YET, id="no push yet"),
    pytest.param(
        SERVING,
        read_all(AT_2),
        replace(DESIRED, user_generation=1),
        Reason.ROUTING_CHANGED,
        id="a rotation after a person moved the traffic",
    ),
    pytest.param(
        SERVING,
        read_all(AT_1),
        replace(DESIRED, generation=1, user_generation=1),
        Reason.LIVE,
        id="the release has ended",
    ),
    pytest.param(
        ReleaseState(observed_generation=2),
        read_all(None),
        replace(DESIRED),
        Reason.NO_PUSH_YET,
        id="the generation is answered without a release",
    ),
]


@pytest.mark.parametrize(("release", "observed", "desired", "reason"), STOPS)
def test_a_stop_has_a_reason(release: ReleaseState, observed: Observed, desired: DesiredState, reason: Reason) -> None:
    decided = decide(release, observed, desired)
    assert isinstance(decided, Stop)
    assert decided.reason is reason


AN_HOUR_AHEAD = NOW + timedelta(hours=1)
"""The time that a host notes whose clock is an hour ahead."""


def test_a_pending_write_that_was_noted_on_a_clock_ahead_counts_from_now() -> None:
    """If it did not, the release would wait for an hour and 75 seconds."""
    ahead = replace(CONFIRMED, pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, AN_HOUR_AHEAD, routing=TO_2))
    decided = decide(ahead, read_all(AT_1, version("2")), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.state.pending_write == PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, routing=TO_2)
    assert isinstance(decide(decided.state, read_all(AT_1, version("2")), ANSWERED), Poll)


def test_a_debounce_that_began_on_a_clock_ahead_is_over() -> None:
    """If it were not, no agent would get a rotated secret for an hour."""
    debounced = replace(
        DESIRED, cause=Cause.SECRET, updated_at=AN_HOUR_AHEAD, not_before=AN_HOUR_AHEAD + timedelta(seconds=30)
    )
    assert not isinstance(decide(SERVING, read_all(AT_1), debounced), Requeue)


def test_min_push_age_counts_from_the_push_also_where_its_event_came_on_a_clock_ahead() -> None:
    waiting = replace(ANSWERED, waiting=(WaitingPush(replace(PUSH, pushed_at=JUST_NOW), AN_HOUR_AHEAD),))
    due = JUST_NOW + timedelta(minutes=1)
    aged, release = spec_with(min_push_age="1m"), replace(SERVING, observed_generation=2)
    assert decide(release, read_all(AT_1), waiting, aged) == Requeue(Reason.NOT_DUE, due)


def test_the_age_of_a_candidate_is_measured_with_the_clock_of_foundry() -> None:
    """With its own clock, a host that is an hour ahead would end every release as timed out."""
    created_at = NOW - timedelta(hours=1)
    fresh = replace(version("2", Status.CREATING), created_at=created_at, read_at=created_at + timedelta(seconds=5))
    old = replace(fresh, read_at=NOW)
    before = replace(fresh, read_at=created_at - timedelta(seconds=1))
    release = replace(CONFIRMED, phase=Phase.STARTED, created_at={"2": created_at})
    assert isinstance(decide(release, read_all(AT_1, fresh), ANSWERED), Poll)
    assert isinstance(decide(release, read_all(AT_1, before), ANSWERED), Poll), "Foundry has several clocks"
    decided = decide(release, read_all(AT_1, old), ANSWERED)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.TIMED_OUT


def test_a_clock_behind_does_not_wait_again_for_a_change_that_another_instance_answered() -> None:
    answered = replace(SERVING, observed_generation=DESIRED.generation, reason="ALREADY_LIVE")
    action = decide(answered, read_all(AT_1), replace(DESIRED, not_before=NOW + timedelta(seconds=20)))
    assert isinstance(action, Stop)
    assert action.reason is Reason.ALREADY_LIVE


def test_a_change_that_is_not_due_is_requeued_until_it_is() -> None:
    due = NOW + timedelta(seconds=30)
    quiet = replace(DESIRED, quiet_since=NOW, not_before=due)
    assert decide(SERVING, read_all(AT_1), quiet) == Requeue(Reason.NOT_DUE, due)


@pytest.mark.parametrize("year", [2099, 9999])
def test_a_wait_that_agents_yaml_does_not_ask_for_is_over(year: int) -> None:
    """A push from the future, stored by an earlier version, must not block the agent for years."""
    absurd = replace(DESIRED, cause=Cause.PUSH, updated_at=JUST_NOW, not_before=datetime(year, 1, 1, tzinfo=UTC))
    assert isinstance(decide(SERVING, read_all(AT_1, version("1")), absurd), StartRelease)


def test_a_rollback_is_not_kept_waiting_by_a_release_that_was_superseded_too_often() -> None:
    busy = replace(STARTED, candidate="2", supersede_count=3)
    rollback = RollbackRequest("1", 3, LONG_AGO, OLD_PUSH, "ann", "bad", NOW)
    back = replace(DESIRED, generation=3, user_generation=3, push=OLD_PUSH, rollback=rollback)
    existing = ResolvedDefinition(RESOLVED.definition, "fp-1", {}, copied_from="1", rollback_at=NOW)
    decided = decide(busy, read_all(AT_2, version("1"), version("2"), resolved=existing), back)
    assert isinstance(decided, StartRelease)
    assert (decided.state.candidate, decided.state.rollback_at) == ("1", NOW)


def test_a_configuration_that_waits_for_a_rollback_to_end_is_the_reason_why_nothing_happens() -> None:
    rollback = RollbackRequest("1", 1, LONG_AGO, OLD_PUSH, "ann", "bad", NOW, config_at=NOW)
    stopped = decide(SERVING, read_all(AT_1), replace(DESIRED, generation=1, user_generation=1, rollback=rollback))
    detail = "to version 1 by ann since 2026-11-24 12:00 UTC: bad"
    assert stopped == Stop(Reason.ROLLED_BACK_BY, detail, already_reported=True)


def test_a_pause_that_is_over_stops_nothing() -> None:
    over = replace(DESIRED, pause=Pause("freeze", "ada", LONG_AGO, JUST_NOW))
    assert isinstance(decide(SERVING, read_all(AT_1, version("1")), over), StartRelease)


def test_a_rotation_does_not_recreate_a_deleted_agent() -> None:
    rotation = replace(DESIRED, user_generation=1)
    ended = decide(SERVING, read_all(None), rotation)
    assert isinstance(ended, EndRelease)
    assert decide(ended.state, read_all(None), rotation) == Stop(Reason.AGENT_DELETED, already_reported=True)


def test_a_second_rotation_after_the_agent_was_deleted_does_not_create_it_again() -> None:
    first = replace(DESIRED, generation=3, user_generation=1)
    ended = decide(replace(SERVING, observed_generation=2), read_all(None), first)
    assert isinstance(ended, EndRelease)
    second = replace(first, generation=ended.state.observed_generation + 1)
    again = decide(ended.state, read_all(None), second)
    assert isinstance(again, EndRelease)
    assert again.reason is Reason.AGENT_DELETED
    assert again.state.observed_generation == second.generation
    assert isinstance(
        decide(again.state, read_all(None), replace(DESIRED, generation=9, user_generation=9)), StartRelease
    )


def test_a_new_release_of_the_same_definition_may_delete_a_duplicate_of_its_own() -> None:
    failed = replace(WITH_CANDIDATE, is_duplicate=True)
    deleted = transitions.ended(transitions.candidate_deleted(failed), Reason.IMAGE_ERROR, NOW)
    again = transitions.started(deleted, 3, PUSH, RESOLVED, TO_1, NOW)
    candidate = transitions.has_candidate(again, version("3", Status.FAILED), highest_version=3)
    desired = replace(DESIRED, generation=3, user_generation=3)
    assert decide(candidate, read_all(AT_1, version("3", Status.FAILED)), desired) == DeleteDuplicate("3", TO_1)


def test_a_routed_version_that_never_passed_a_release_is_not_already_live() -> None:
    unproven = replace(SERVING, last_good=None)
    assert isinstance(decide(unproven, read_all(AT_1, version("1", fingerprint="fp-2"))), StartRelease)


def test_a_good_version_that_is_not_active_is_not_already_live() -> None:
    observed = read_all(AT_1, version("1", Status.FAILED), resolved=replace(RESOLVED, fingerprint="fp-1"))
    assert isinstance(decide(SERVING, observed), StartRelease)


@pytest.mark.parametrize(
    ("release", "versions", "pinned"),
    [
        pytest.param(SERVING, [version("1"), version("3")], "1", id="the last good version"),
        pytest.param(
            replace(SERVING, last_good=None, candidate="3", created_at={}),
            [version("3"), version("4")],
            "3",
            id="the last candidate",
        ),
        pytest.param(
            ReleaseState(),
            [version("1"), version("2"), version("3", Status.FAILED)],
            "2",
            id="the newest active version",
        ),
    ],
)
def test_traffic_that_follows_the_latest_version_is_pinned_before_a_create(
    release: ReleaseState, versions: list[Version], pinned: str
) -> None:
    follows = agent(LATEST, versions[-1])
    decided = decide(release, read_all(follows, *versions, resolved=replace(RESOLVED, fingerprint="other")))
    assert decided == Pin(pinned, LATEST)


def test_an_agent_with_no_active_version_needs_no_pin() -> None:
    failed = version("1", Status.FAILED)
    assert isinstance(decide(ReleaseState(), read_all(agent(LATEST, failed), failed)), StartRelease)


def test_the_start_of_a_release_records_the_routing_and_the_definition() -> None:
    decided = decide(SERVING, read_all(AT_1, version("1")))
    assert isinstance(decided, StartRelease)
    assert decided.state == replace(STARTED, image=IMAGE, parts=plain_parts(DEFINITION))


def test_a_newer_push_supersedes_the_open_release() -> None:
    decided = decide(
        CONFIRMED, read_all(AT_1, version("1"), version("2")), replace(DESIRED, generation=3, user_generation=3)
    )
    assert isinstance(decided, StartRelease)
    assert decided.state.history[-1].reason == "SUPERSEDED"
    assert decided.state.candidate == "2", "the same fingerprint keeps its candidate"
    assert decided.state.supersede_count == 1


def test_a_failed_candidate_is_not_kept() -> None:
    observed = read_all(AT_1, version("1"), version("2", Status.FAILED))
    decided = decide(CONFIRMED, observed, replace(DESIRED, generation=3, user_generation=3))
    assert isinstance(decided, StartRelease)
    assert decided.state.candidate is None


def test_a_candidate_that_was_deleted_before_the_release_was_asked_for_is_created_again() -> None:
    ended = replace(WITH_CANDIDATE, phase=Phase.ENDED, reason="DEFINITION_MISMATCH", created_at={"2": NOW})
    asked = replace(ANSWERED, generation=3, user_generation=3)
    gone = read_all(AT_1, version("1"), gone={"2": None})
    started = decide(ended, gone, asked)
    assert isinstance(started, StartRelease)
    assert decide(started.state, gone, asked) == Poll(Reason.CREATE, "2"), "reads may lag"
    shown = replace(started.state, created_at={"2": LAG_AGO})
    forgotten = decide(shown, gone, asked)
    assert isinstance(forgotten, UpdateState)
    assert forgotten.already_reported
    assert isinstance(decide(forgotten.state, gone, asked), Create), "and nothing waits for the deleted version"


def test_a_candidate_of_an_earlier_release_that_passed_a_gate_of_this_one_and_is_deleted_ends_it() -> None:
    confirmed = replace(CONFIRMED, has_older_candidate=True, started_at=LONG_AGO)
    decided = decide(confirmed, read_all(AT_1, version("1"), gone={"2": None}), ANSWERED)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.CANDIDATE_GONE


@pytest.mark.parametrize("phase", [Phase.CONFIRMED, Phase.VERIFIED, Phase.EVALUATED])
def test_another_candidate_does_not_pass_a_gate_that_only_the_first_one_passed(phase: Phase) -> None:
    duplicate = replace(WITH_CANDIDATE, phase=phase, is_duplicate=True)
    forgotten = decide(duplicate, read_all(AT_1, version("1"), gone={"2": None}), ANSWERED)
    assert isinstance(forgotten, UpdateState)
    assert (forgotten.state.candidate, forgotten.state.phase) == (None, Phase.STARTED)
    assert transitions.create_again(duplicate).phase is Phase.STARTED
    assert transitions.candidate_deleted(replace(duplicate, phase=Phase.ENDED)).phase is Phase.ENDED


def test_a_release_superseded_three_times_is_finished_first() -> None:
    superseded = replace(CONFIRMED, supersede_count=3)
    decided = decide(
        superseded, read_all(AT_1, version("1"), version("2")), replace(DESIRED, generation=9, user_generation=9)
    )
    assert decided == MoveTraffic("2", TO_1)


def test_a_version_with_the_fingerprint_is_adopted() -> None:
    decided = decide(STARTED, read_all(AT_1, version("1"), version("2", Status.CREATING)), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.reason is Reason.ADOPT
    assert decided.state.candidate == "2"


def test_a_failed_version_with_the_fingerprint_is_not_adopted() -> None:
    decided = decide(STARTED, read_all(AT_1, version("1"), version("2", Status.FAILED)), ANSWERED)
    assert decided == Create(highest_version=2, live_version="1", routing_seen=TO_1)


def test_the_first_version_of_a_new_agent_is_created() -> None:
    started = replace(STARTED, expected_routing=None, routing_at_start=None, last_good=None, created_at={})
    assert decide(started, read_all(None), ANSWERED) == Create(highest_version=0, live_version=None, routing_seen=None)


def test_a_definition_that_changes_during_a_release_restarts_it() -> None:
    signed, other = replace(STARTED, signer="GitHub"), replace(RESOLVED, fingerprint="fp-9")
    decided = decide(signed, read_all(AT_1, version("1"), resolved=other), ANSWERED)
    assert isinstance(decided, StartRelease)
    assert (decided.state.fingerprint, decided.state.signer) == ("fp-9", "GitHub"), "the signature is reported once"


def test_a_failed_duplicate_is_deleted_so_that_the_push_gets_its_own_version() -> None:
    duplicate = replace(WITH_CANDIDATE, is_duplicate=True)
    assert decide(duplicate, read_all(AT_1, version("2", Status.FAILED)), ANSWERED) == DeleteDuplicate("2", TO_1)


def test_a_failed_duplicate_that_is_gone_counts_as_deleted() -> None:
    duplicate = replace(WITH_CANDIDATE, is_duplicate=True)
    decided = decide(duplicate, read_all(AT_1, gone={"2": None}), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.state.deleted_duplicate == DeletedVersion("2", LONG_AGO)
    assert "2" not in decided.state.created_at
    assert decided.state.candidate is None


def test_an_active_candidate_is_read_a_second_time() -> None:
    assert decide(WITH_CANDIDATE, read_all(AT_1, version("2")), ANSWERED) == ConfirmActive("2")


def test_a_confirmed_candidate_gets_the_traffic() -> None:
    assert decide(CONFIRMED, read_all(AT_1, version("2")), ANSWERED) == MoveTraffic("2", TO_1)


def spec_with(**release: object) -> AgentSpec:
    return AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello", "release": release})


def test_in_mode_notify_a_push_is_reported_and_not_released() -> None:
    decided = decide(SERVING, read_all(AT_1, version("1")), DESIRED, spec_with(mode="notify"))
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.WOULD_RELEASE


def test_in_mode_manual_a_confirmed_candidate_waits_for_approval() -> None:
    observed = read_all(AT_1, version("2"))
    assert decide(CONFIRMED, observed, ANSWERED, spec_with(mode="manual")) == Stop(Reason.APPROVAL_WAITING)


WITH_PROBES = spec_with(
    verify={"ask": "ping", "expect": "pong"}, check={"ask": "ping", "expect": "pong"}, hold_for="7d"
)
HOLD = Hold("fp-2", PUSH.digest, "CHECK_FAILED", "answered 500", JUST_NOW, NOW + timedelta(days=7), "slipway")


def report(outcome: ProbeOutcome, detail: str = "") -> ProbeReport:
    return ProbeReport(outcome, detail)


def test_an_open_release_ends_when_the_mode_becomes_notify() -> None:
    decided = decide(CONFIRMED, read_all(AT_1, version("2")), ANSWERED, spec_with(mode="notify"))
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.WOULD_RELEASE


def test_an_approval_is_for_one_version_with_one_fingerprint() -> None:
    observed, spec = read_all(AT_1, version("2")), spec_with(mode="manual")
    approved = replace(ANSWERED, approval=Approval("2", "fp-2", "ann", NOW))
    assert decide(CONFIRMED, observed, approved, spec) == MoveTraffic("2", TO_1)
    for approval in (Approval("2", "fp-1", "ann", NOW), Approval("1", "fp-2", "ann", NOW)):
        assert decide(CONFIRMED, observed, replace(ANSWERED, approval=approval), spec) == Stop(Reason.APPROVAL_WAITING)


def test_a_confirmed_candidate_is_verified_before_it_gets_traffic() -> None:
    assert decide(CONFIRMED, read_all(AT_1, version("2")), ANSWERED, WITH_PROBES) == Verify("2")
    verified = after_verify(DecisionInput(ANSWERED, CONFIRMED), WITH_PROBES, report(ProbeOutcome.PASSED), NOW)
    assert isinstance(verified, UpdateState)
    assert decide(verified.state, read_all(AT_1, version("2")), ANSWERED, WITH_PROBES) == MoveTraffic("2", TO_1)


NOT_VERIFIED = [
    pytest.param(ProbeOutcome.FAILED, Reason.VERIFY_FAILED, True, id="a wrong answer holds the image"),
    pytest.param(ProbeOutcome.FORBIDDEN, Reason.VERIFY_FORBIDDEN, False, id="a missing permission holds nothing"),
    pytest.param(ProbeOutcome.INCONCLUSIVE, Reason.VERIFY_INCONCLUSIVE, False, id="an exhausted quota holds nothing"),
    pytest.param(ProbeOutcome.DISABLED, Reason.AGENT_DISABLED, False, id="a disabled agent holds nothing"),
]


@pytest.mark.parametrize(("outcome", "reason", "holds"), NOT_VERIFIED)
def test_a_candidate_that_is_not_verified_gets_no_traffic(outcome: ProbeOutcome, reason: Reason, holds: bool) -> None:
    ended = after_verify(DecisionInput(ANSWERED, CONFIRMED), WITH_PROBES, report(outcome, "answered 500"), NOW)
    assert isinstance(ended, EndRelease)
    assert (ended.reason, ended.state.reason, ended.detail) == (reason, reason.value, "answered 500")
    assert [(hold.fingerprint, hold.digest, hold.until) for hold in ended.state.holds] == (
        [("fp-2", PUSH.digest, NOW + timedelta(days=7))] if holds else []
    )


def test_the_image_of_the_last_good_version_is_not_held_only_the_definition() -> None:
    rotated = replace(CONFIRMED, last_good=GoodVersion(PUSH, "fp-1", "1"))
    ended = after_verify(DecisionInput(ANSWERED, rotated), WITH_PROBES, report(ProbeOutcome.FAILED), NOW)
    assert isinstance(ended, EndRelease)
    assert [(hold.fingerprint, hold.digest) for hold in ended.state.holds] == [("fp-2", "")]


def test_a_version_with_traffic_is_checked_with_its_rollback_versions() -> None:
    assert decide(TRAFFIC_MOVED, read_all(AT_2), ANSWERED, WITH_PROBES) == Check("2", ("1", "1"))
    first = replace(TRAFFIC_MOVED, routing_at_start=None, last_good=None)
    assert decide(first, read_all(AT_2), ANSWERED, WITH_PROBES) == Check("2", ())


def test_a_passed_check_makes_the_version_live() -> None:
    decided = after_check(
        DecisionInput(ANSWERED, TRAFFIC_MOVED, read_all(AT_2)), WITH_PROBES, report(ProbeOutcome.PASSED), NOW
    )
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.LIVE
    assert decided.state.last_good == GoodVersion(PUSH, "fp-2", "2", since=NOW)


@pytest.mark.parametrize("outcome", [ProbeOutcome.FORBIDDEN, ProbeOutcome.INCONCLUSIVE, ProbeOutcome.DISABLED])
def test_an_inconclusive_check_moves_no_traffic_and_keeps_the_last_good_version(outcome: ProbeOutcome) -> None:
    decided = after_check(DecisionInput(ANSWERED, TRAFFIC_MOVED, read_all(AT_2)), WITH_PROBES, report(outcome), NOW)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.CHECK_INCONCLUSIVE
    assert decided.state.last_good == SERVING.last_good


def test_an_inconclusive_check_reads_again_whether_the_traffic_was_moved() -> None:
    inputs = DecisionInput(ANSWERED, TRAFFIC_MOVED, read_all(AT_1))
    assert after_check(inputs, WITH_PROBES, report(ProbeOutcome.INCONCLUSIVE), NOW) == Poll(Reason.TRAFFIC_MOVED)


def test_a_version_that_passed_verify_is_not_rolled_back_while_foundry_calls_it_starting() -> None:
    still_starting = ProbeReport(ProbeOutcome.FAILED, "answered 400 bad_request", still_starting=True)
    inputs = DecisionInput(ANSWERED, TRAFFIC_MOVED, read_all(AT_2, version("1")))
    decided = after_check(inputs, WITH_PROBES, still_starting, NOW)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.CHECK_INCONCLUSIVE
    never_asked = spec_with(check={"ask": "ping", "expect": "pong"})
    assert isinstance(after_check(inputs, never_asked, still_starting, NOW), RollBack)


def test_a_failed_check_rolls_back_to_the_earlier_routing() -> None:
    observed = read_all(AT_2, version("1"))
    decided = after_check(
        DecisionInput(ANSWERED, TRAFFIC_MOVED, observed), WITH_PROBES, report(ProbeOutcome.FAILED, "answered 500"), NOW
    )
    assert isinstance(decided, RollBack)
    assert (decided.to, decided.routing_seen) == (TO_1, TO_2)
    assert [hold.fingerprint for hold in decided.state.holds] == ["fp-2"]
    rolled_back = replace(decided.state, phase=Phase.ROLLED_BACK, expected_routing=TO_1)
    ended = decide(rolled_back, read_all(AT_1), ANSWERED, WITH_PROBES)
    assert isinstance(ended, EndRelease)
    assert (ended.reason, ended.detail) == (Reason.CHECK_FAILED, "answered 500")
    assert ended.state.last_good == SERVING.last_good


SPLIT = Routing((TrafficRule("1", 50), TrafficRule("3", 50)))
ROLLBACK_ROUTINGS = [
    pytest.param(TRAFFIC_MOVED, (version("1"),), TO_1, id="the routing at the start"),
    pytest.param(
        replace(TRAFFIC_MOVED, routing_at_start=SPLIT),
        (version("1"), version("3", image=OLD_IMAGE)),
        SPLIT,
        id="a split between two versions",
    ),
    pytest.param(
        replace(TRAFFIC_MOVED, routing_at_start=SPLIT),
        (version("1"),),
        TO_1,
        id="a version of the split is gone: the last good version",
    ),
    pytest.param(
        replace(TRAFFIC_MOVED, routing_at_start=None),
        (version("1"),),
        TO_1,
        id="no routing at the start: the last good version",
    ),
    pytest.param(
        replace(TRAFFIC_MOVED, routing_at_start=LATEST),
        (version("1"),),
        TO_1,
        id="the agent followed its latest version: the last good version",
    ),
    pytest.param(
        replace(TRAFFIC_MOVED, routing_at_start=TO_2),
        (version("1"),),
        TO_1,
        id="the routing at the start is the candidate: the last good version",
    ),
    pytest.param(TRAFFIC_MOVED, (version("1", Status.FAILED),), None, id="the earlier version has failed: no rollback"),
    pytest.param(
        TRAFFIC_MOVED, (version("1", fingerprint="fp-2"),), None, id="the earlier version is held: no rollback"
    ),
    pytest.param(
        replace(TRAFFIC_MOVED, routing_at_start=None, last_good=None), (), None, id="a first version: no rollback"
    ),
]


@pytest.mark.parametrize(("release", "versions", "routing"), ROLLBACK_ROUTINGS)
def test_the_routing_of_a_rollback(
    release: ReleaseState, versions: tuple[Version, ...], routing: Routing | None
) -> None:
    gone: Mapping[str, None] = {
        number: None for number in ("1", "3") if number not in {found.number for found in versions}
    }
    observed = read_all(AT_2, *versions, gone=gone)
    decided = after_check(DecisionInput(ANSWERED, release, observed), WITH_PROBES, report(ProbeOutcome.FAILED), NOW)
    if routing is None:
        assert isinstance(decided, EndRelease)
        assert decided.reason is Reason.CHECK_FAILED_NO_ROLLBACK_VERSION
        assert decided.state.holds
    else:
        assert isinstance(decided, RollBack)
        assert decided.to == routing
        to = "version 1" if routing == TO_1 else "versions 1 at 50 %, 3 at 50 %"
        assert decided.detail == f"from version 2 to {to}", "the check's report is the detail of CHECK_FAILED"


def test_a_rollback_version_is_read_before_the_rollback() -> None:
    observed = read_agent(AT_2)
    updated = after_check(
        DecisionInput(ANSWERED, TRAFFIC_MOVED, observed), WITH_PROBES, report(ProbeOutcome.FAILED), NOW
    )
    assert isinstance(updated, UpdateState)
    assert decide(updated.state, observed, ANSWERED, WITH_PROBES) == NeedsRead(version="1")
    again = decide(updated.state, read_all(AT_2, version("1")), ANSWERED, WITH_PROBES)
    assert isinstance(again, RollBack)


def test_a_failed_check_rolls_back_even_if_the_agent_is_not_visible() -> None:
    observed = read_all(None, version("1"))
    decided = after_check(
        DecisionInput(ANSWERED, TRAFFIC_MOVED, observed), WITH_PROBES, report(ProbeOutcome.FAILED), NOW
    )
    assert isinstance(decided, RollBack)
    assert decided.routing_seen is None


HELD = replace(SERVING, holds=(HOLD,), fingerprint="fp-2", push=PUSH, reason="CHECK_FAILED")


def test_while_the_desired_image_is_held_the_last_good_image_gets_rotated_secrets() -> None:
    inputs = DecisionInput(replace(DESIRED, generation=3), replace(HELD, observed_generation=2))
    assert push_to_run(inputs.desired, inputs.release, NOW) == OLD_PUSH
    rotated = replace(RESOLVED, fingerprint="fp-3")
    started = next_action(replace(inputs, observed=read_all(AT_1, version("1"), resolved=rotated)), SPEC, NOW)
    assert isinstance(started, StartRelease)
    assert (started.state.push, started.state.fingerprint) == (OLD_PUSH, "fp-3")


def test_a_rotation_that_changes_nothing_after_a_failed_push_is_about_the_image_that_is_live() -> None:
    """Else ``status`` and the commit of the failed push would say that it is live."""
    failed = replace(SERVING, observed_generation=2, push=PUSH, fingerprint="fp-2", reason="IMAGE_ERROR")
    same = replace(RESOLVED, fingerprint="fp-1")
    decided = decide(failed, read_all(AT_1, version("1"), resolved=same), replace(DESIRED, generation=3))
    assert isinstance(decided, EndRelease)
    assert (decided.reason, decided.state.push) == (Reason.ALREADY_LIVE, OLD_PUSH)
    assert (decided.state.observed_generation, decided.state.history[-1].digest) == (3, OLD_PUSH.digest)


def test_a_held_push_ends_as_held_whatever_is_live() -> None:
    same = replace(RESOLVED, fingerprint="fp-1")
    live = decide(replace(HELD, observed_generation=1), read_all(AT_1, version("1"), resolved=same), DESIRED)
    no_good_version = decide(
        replace(HELD, observed_generation=1, last_good=None, created_at={}), read_all(AT_1, version("1")), DESIRED
    )
    by_fingerprint = replace(HELD, observed_generation=1, holds=(replace(HOLD, digest=""),))
    for decided in (live, no_good_version, decide(by_fingerprint, read_all(AT_1, version("1")), DESIRED)):
        assert isinstance(decided, EndRelease)
        assert decided.reason is Reason.HELD
        assert "CHECK_FAILED by slipway until 2026-12-01" in decided.detail
        assert decided.state.observed_generation == 2


def test_a_hold_that_is_over_or_removed_holds_nothing() -> None:
    over = replace(HELD, observed_generation=1, holds=(replace(HOLD, until=NOW),))
    assert isinstance(decide(over, read_all(AT_1, version("1")), DESIRED), StartRelease)
    removed = replace(DESIRED, lifted=(holds.lift_of(HOLD),))
    assert isinstance(decide(replace(HELD, observed_generation=1), read_all(AT_1, version("1")), removed), StartRelease)
    removed_earlier = replace(DESIRED, lifted=(replace(holds.lift_of(HOLD), since=NOW + timedelta(minutes=10)),))
    assert isinstance(
        decide(replace(HELD, observed_generation=1), read_all(AT_1, version("1")), removed_earlier), EndRelease
    )


def test_a_held_push_does_not_overwrite_a_routing_changed_outside() -> None:
    moved = agent(Routing.to("3"), version("3"))
    assert decide(replace(HELD, observed_generation=1), read_all(moved), DESIRED) == Stop(Reason.ROUTING_CHANGED)


@pytest.mark.parametrize("digest", [PUSH.digest, ""])
def test_a_candidate_that_a_person_holds_gets_no_traffic(digest: str) -> None:
    held = replace(
        ANSWERED, holds=(Hold("" if digest else "fp-2", digest, "HOLD_SET", "not today", JUST_NOW, None, "ann"),)
    )
    decided = decide(CONFIRMED, read_all(AT_1, version("2")), held)
    assert isinstance(decided, EndRelease)
    assert (decided.reason, decided.detail) == (Reason.HELD, "HOLD_SET by ann: not today")


def test_a_candidate_that_has_the_traffic_already_is_recorded_as_moved() -> None:
    routed = replace(CONFIRMED, expected_routing=TO_2)
    decided = decide(routed, read_all(AT_2, version("2")), ANSWERED)
    assert isinstance(decided, UpdateState)
    assert decided.state.phase is Phase.TRAFFIC_MOVED


def test_going_live_makes_the_candidate_the_last_good_version() -> None:
    decided = decide(TRAFFIC_MOVED, read_all(AT_2), ANSWERED)
    assert isinstance(decided, EndRelease)
    assert decided.state.last_good == GoodVersion(PUSH, "fp-2", "2", since=NOW)
    assert decided.state.created_at == {"2": LONG_AGO}


READS = [
    pytest.param(SERVING, Observed(), needs_read(Read.AGENT), id="recorded creation times need the agent"),
    pytest.param(
        NO_RELEASE,
        Observed(),
        needs_read(Read.DESIRED_DEFINITION, Read.RECENT_TAGS),
        id="a first release resolves the desired definition and reads the tags before any read of Foundry",
    ),
    pytest.param(
        NO_RELEASE,
        read_agent(None),
        needs_read(Read.DESIRED_DEFINITION, Read.RECENT_TAGS),
        id="a newer change needs the desired definition and the tags",
    ),
    pytest.param(
        SERVING,
        read_agent(AT_1, definition=RESOLVED),
        NeedsRead(version="1"),
        id="an idle agent needs its live version",
    ),
    pytest.param(
        replace(STARTED, last_good=None, created_at={}),
        read_agent(AT_1),
        needs_read(Read.VERSION_LIST),
        id="adopting a version needs the version list",
    ),
]


@pytest.mark.parametrize(("release", "observed", "needed"), READS)
def test_a_rule_asks_only_for_the_reads_that_it_needs(
    release: ReleaseState, observed: Observed, needed: NeedsRead
) -> None:
    desired = ANSWERED if release.is_open else DESIRED
    assert decide(release, observed, desired) == needed


def test_a_poll_needs_one_version_and_nothing_else() -> None:
    waiting = replace(WITH_CANDIDATE, created_at={"2": JUST_NOW})
    observed = read_all(AT_1, version("2", Status.CREATING, created_at=JUST_NOW))
    assert decide(waiting, observed.without_version("2"), ANSWERED) == NeedsRead(version="2")


def test_a_release_is_expected_only_if_nothing_delays_it() -> None:
    assert release_expected(DESIRED, SERVING, SPEC, NOW)
    pause = Pause("why", "ann", NOW)
    for desired, release in (
        (ANSWERED, STARTED),
        (DesiredState(generation=3), SERVING),
        (replace(DESIRED, pause=pause), SERVING),
        (replace(DESIRED, quiet_since=NOW, not_before=NOW + timedelta(seconds=1)), SERVING),
        (replace(DESIRED, waiting=(WaitingPush(PUSH, LONG_AGO),)), SERVING),
        (replace(DESIRED, generation=3), PENDING_CREATE),
    ):
        assert not release_expected(desired, release, SPEC, NOW)


def test_metadata_in_the_version_list_spares_a_read() -> None:
    listed = read_agent(AT_1, version("1"), definition=RESOLVED)
    assert isinstance(decide(SERVING, listed, DESIRED), StartRelease)


def test_a_routing_that_slipway_just_set_needs_no_read() -> None:
    assert read_all(AT_1).with_routing(TO_2).agent == replace(AT_1, routing=TO_2)
    assert Read.AGENT not in read_all(AT_1).with_routing(None).reads


def test_a_pin_that_is_not_visible_yet_is_not_a_change_outside() -> None:
    pinned = replace(SERVING, expected_routing=TO_1, routed_at=JUST_NOW)
    started = decide(pinned, read_all(AT_1, version("1")))
    assert isinstance(started, StartRelease)
    assert decide(started.state, read_all(agent(LATEST, version("1")))) == Poll(Reason.TRAFFIC_MOVED)


def test_a_routing_accepted_from_outside_is_not_an_own_change() -> None:
    started = decide(replace(SERVING, routed_at=JUST_NOW - timedelta(3)), read_all(AT_2, version("1"), version("2")))
    assert isinstance(started, StartRelease)
    assert started.state.routed_at is None


def test_a_release_that_is_finished_first_keeps_its_generation_when_agents_yaml_changes() -> None:
    superseded = replace(STARTED, supersede_count=3, push=OLD_PUSH, fingerprint="fp-earlier")
    newer = replace(DESIRED, generation=9, user_generation=9)
    again = decide(superseded, read_all(AT_1, version("1")), newer)
    assert isinstance(again, StartRelease)
    assert (again.state.observed_generation, again.state.push, again.state.supersede_count) == (
        superseded.observed_generation,
        OLD_PUSH,
        3,
    )
    assert again.state.fingerprint == RESOLVED.fingerprint
    assert isinstance(decide(again.state, read_all(AT_1, version("1")), newer), Create)


def test_a_candidate_without_a_creation_time_is_as_old_as_its_release() -> None:
    undated = version("2", Status.CREATING, created_at=UNKNOWN_TIME)
    young = replace(WITH_CANDIDATE, created_at={"2": UNKNOWN_TIME}, started_at=NOW - timedelta(minutes=1))
    assert decide(young, read_all(AT_1, undated), ANSWERED) == Poll(Reason.CREATE, "2")
    old = replace(young, started_at=NOW - timedelta(minutes=11))
    decided = decide(old, read_all(AT_1, undated), ANSWERED)
    assert isinstance(decided, EndRelease)
    assert decided.reason is Reason.TIMED_OUT


LATE_WRITE = replace(CONFIRMED, pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, LAG_AGO, routing=TO_2))
JUST_ROUTED = replace(CONFIRMED, routed_at=JUST_NOW)
STATES = (
    *(NO_RELEASE, SERVING, STARTED, WITH_CANDIDATE, CONFIRMED, TRAFFIC_MOVED, HELD, PENDING_CREATE),
    *(LATE_WRITE, JUST_ROUTED),
)
NEAR_LIMIT = AgentSpec.model_validate({"name": "a", "repository": "a", "keep": {"limit": 2}})


def every_case() -> list[tuple[ReleaseState, Observed, DesiredState, AgentSpec]]:
    cases: list[Any] = [(*case.values[:3], SPEC) for case in (*ENDS, *POLLS, *STOPS)]
    more = [
        (state, read_all(known_agent, version("1"), version("2")), desired, spec)
        for state in (
            NO_RELEASE,
            SERVING,
            STARTED,
            WITH_CANDIDATE,
            CONFIRMED,
            TRAFFIC_MOVED,
            HELD,
            PENDING_CREATE,
            LATE_WRITE,
            JUST_ROUTED,
        )
        for known_agent in (None, AT_1, AT_2, agent(LATEST, version("2")))
        for desired in (
            DESIRED,
            ANSWERED,
            replace(DESIRED, generation=3),
            replace(DESIRED, generation=3, user_generation=3),
        )
        for spec in (SPEC, WITH_PROBES, NEAR_LIMIT, spec_with(mode="notify"), spec_with(mode="manual"))
    ]
    return cases + more


def with_a_read_missing(observed: Observed) -> list[Observed]:
    """The same reads, each time with one of them missing."""
    without = [observed.without(read) for read in Read]
    return [*without, *(observed.without_version(number) for number in observed.versions), Observed()]


def rules_asked(inputs: DecisionInput, spec: AgentSpec) -> Iterator[tuple[Rule, Action | None]]:
    """Every rule up to the one that decides, with its answer."""
    for rule in RULES:
        answer = rule(inputs, spec, NOW)
        yield rule, answer
        if answer is not None:
            return


def test_a_rule_never_decides_on_a_missing_read() -> None:
    decisions = 0
    for state, observed, desired, spec in every_case():
        inputs = DecisionInput(desired, state, observed)
        for rule, full in rules_asked(inputs, spec):
            for part in with_a_read_missing(observed):
                less = replace(inputs, observed=part)
                partial = rule(less, spec, NOW)
                asks = isinstance(partial, NeedsRead) or isinstance(next_action(less, spec, NOW), NeedsRead)
                assert asks or partial == full, (rule, state, part, desired)
                decisions += not asks
    assert decisions, "some decisions need no read"


def test_a_rollback_to_a_version_that_is_gone_starts_without_a_candidate() -> None:
    desired = replace(DESIRED, rollback=RollbackRequest("7", DESIRED.generation))
    action = decide(SERVING, read_all(AT_1, version("1"), gone={"7": None}), desired)
    assert isinstance(action, StartRelease)
    assert action.state.candidate is None


def test_a_message_is_read_back_as_it_was_written() -> None:
    message = ReleaseMessage("hello-agent", "00-1-2-01")
    assert ReleaseMessage.from_json(message.to_json()) == message


def test_an_image_that_is_gone_before_its_create_is_waited_for_while_it_is_fresh() -> None:
    gone = UnresolvedDefinition(Reason.IMAGE_GONE, PUSH.digest)
    observed = replace(read_all(AT_1, version("1")), release_definition=gone)
    action = decide(STARTED, observed, ANSWERED)
    assert isinstance(action, Requeue)
    assert (action.reason, action.until > NOW) == (Reason.IMAGE_LAGS, True)
    old = replace(STARTED, push=OLD_PUSH)
    assert isinstance(decide(old, observed, ANSWERED), EndRelease)
