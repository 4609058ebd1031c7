"""The summary beside a desired state: what people are shown from it is what the whole state would show."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.release_status import release_status
from core.agents_file.loader import load_agents
from core.model import Push, Routing
from core.state.desired import (
    Approval,
    Cause,
    DesiredState,
    Hold,
    KeptTag,
    LiftedHold,
    NamedVersion,
    Pause,
    PreviousPush,
    RejectedDigest,
    RejectedPush,
    Restored,
    RollbackRequest,
    StageWait,
    WaitingPush,
)
from core.state.release import GoodVersion, HistoryEntry, Phase, ReleaseState
from core.state.summary import NOT_SHOWN, DesiredSummary, shown_state, summarise

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
OTHER = Push("agents/hello", f"sha256:{'b' * 64}", "v2", NOW, "event-2")
PLAIN = DesiredState(3, push=PUSH)
FULL = DesiredState(
    generation=3,
    user_generation=3,
    push=PUSH,
    cause=Cause.SECRET,
    updated_at=NOW,
    not_before=LATER,
    quiet_since=NOW,
    due_generation=2,
    waiting=(WaitingPush(OTHER, NOW),),
    kept_tags=(KeptTag(PUSH.digest, "stable"),),
    pause=Pause("lunch", "a", NOW),
    approval=Approval("1", "f" * 64, "a", NOW),
    holds=(Hold("f" * 64, "", "HELD", "bad", NOW),),
    lifted=(LiftedHold("f" * 64, "", NOW),),
    newest_push=OTHER,
    runtime_hash="0" * 64,
    traceparent="00-1-2-01",
    rollback=RollbackRequest("1", 3),
    push_generation=3,
    previous_pushes=(PreviousPush(OTHER),),
    rejected=(RejectedDigest(OTHER.digest, "WRONG_PLATFORM"),),
    last_rejection=RejectedPush(OTHER, "WRONG_PLATFORM", "arm64", NOW),
    restored=Restored(3, 2),
    unconfirmed=OTHER,
    named_secrets={"key": NamedVersion("1", NOW, NOW)},
    requested_generation=3,
    stage_wait=StageWait(OTHER, NOW, LATER, "STAGE_WAITING"),
    passed_digests=(PUSH.digest,),
    past_stage=PUSH.digest,
    withdrawn_digest=PUSH.digest,
)
LIVE = ReleaseState(
    observed_generation=3,
    push=PUSH,
    reason="LIVE",
    candidate="1",
    expected_routing=Routing.to("1"),
    last_good=GoodVersion(PUSH, "f" * 64, "1"),
    history=(HistoryEntry(NOW, "LIVE", PUSH.digest, "1"),),
)
FAILED = replace(
    LIVE, reason="VERIFY_FAILED", detail="no answer", holds=(Hold("f" * 64, "", "VERIFY_FAILED", "", NOW),)
)
OPEN = replace(LIVE, phase=Phase.CONFIRMED, started_at=NOW)
FIELDS = [item.name for item in fields(DesiredState)]
(SPEC,) = load_agents(b"agents: {hello: {repository: agents/hello}}").agents.values()


@pytest.mark.parametrize("release", [LIVE, FAILED, OPEN], ids=["live", "failed", "open"])
@pytest.mark.parametrize("field", sorted(NOT_SHOWN))
def test_a_state_that_need_not_be_read_shows_the_same(field: str, release: ReleaseState) -> None:
    desired = replace(PLAIN, **{field: getattr(FULL, field)})
    shown = shown_state(summarise(desired), release)
    assert shown is not None
    assert release_status(shown, release, SPEC, NOW) == release_status(desired, release, SPEC, NOW)


@pytest.mark.parametrize("field", sorted(set(FIELDS) - NOT_SHOWN))
def test_a_state_that_shows_more_than_its_push_is_read(field: str) -> None:
    assert shown_state(summarise(replace(PLAIN, **{field: getattr(FULL, field)})), LIVE) is None


@pytest.mark.parametrize(
    "release",
    [
        replace(LIVE, observed_generation=2),
        replace(LIVE, observed_generation=4),
        replace(LIVE, push=OTHER),
        replace(LIVE, push=None),
        replace(LIVE, push=replace(PUSH, tag="v2")),
        ReleaseState(),
    ],
)
def test_a_state_that_the_release_does_not_answer_is_read(release: ReleaseState) -> None:
    assert shown_state(summarise(PLAIN), release) is None


def test_a_state_without_a_push_and_one_that_nobody_summarised_are_read() -> None:
    assert shown_state(summarise(DesiredState()), ReleaseState()) is None
    assert shown_state(DesiredSummary(), ReleaseState()) is None
    assert shown_state(DesiredSummary(3), LIVE) is None


def test_a_name_that_no_header_can_hold_is_left_out() -> None:
    assert summarise(replace(PLAIN, push=replace(PUSH, tag="vé"))) == DesiredSummary(3)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_tried(field: str) -> None:
    assert getattr(FULL, field) != getattr(DesiredState(), field)
