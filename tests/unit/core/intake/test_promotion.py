"""Which image a target of a later stage takes, and which it never takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.loader import load_agents
from core.agents_file.spec import AgentSpec
from core.intake.promotion import Promotion, UpstreamTarget, promote, with_upstream_holds
from core.model import Push, Routing
from core.reasons import Reason
from core.state.desired import DesiredState, Hold, RollbackRequest, StageWait
from core.state.release import GoodVersion, HistoryEntry, ReleaseState

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FILE = """
projects: {{eu: {{endpoint: "https://eu/api/projects/p"}}}}
agents:
  hello:
    repository: agents/hello
    stages: [{{project: default}}, {{project: eu, soak: 1h{more}}}]
"""


def spec(more: str = "") -> AgentSpec:
    return load_agents(FILE.format(more=more).encode()).agents["hello@eu"]


SPEC, NOTHING = spec(), DesiredState()


def push(letter: str, age: timedelta = 3 * HOUR, tag: str = "") -> Push:
    return Push("agents/hello", f"sha256:{letter * 64}", tag or f"v-{letter}", NOW - age, f"event-{letter}")


def good(
    letter: str = "a", since: datetime | None = NOW - 2 * HOUR, name: str = "hello", **release: Any
) -> UpstreamTarget:
    state = ReleaseState(last_good=GoodVersion(push(letter), "f", "1", since=since), **release)
    return UpstreamTarget(name, DesiredState(push=push(letter), traceparent="trace"), state)


def held(target: UpstreamTarget, letter: str, until: datetime | None = None) -> UpstreamTarget:
    hold = Hold("", push(letter).digest, "HOLD_SET", "odd answers", NOW, until, "ana")
    return replace(target, desired=replace(target.desired, holds=(hold,)))


def look(*upstream: UpstreamTarget, desired: DesiredState = NOTHING, of: AgentSpec = SPEC) -> Promotion:
    return promote(desired, of, upstream, NOW)


def test_an_image_that_was_good_for_long_enough_is_taken_by_digest() -> None:
    taken = look(good())
    assert (taken.reason, taken.desired.push, taken.due) == (Reason.ACCEPTED, push("a"), None)
    assert (taken.desired.generation, taken.desired.traceparent) == (1, "trace")
    assert taken.detail == "good at hello since 2026-11-29 10:00:00 UTC"


def test_an_image_waits_until_it_was_good_for_long_enough_and_that_is_recorded_once() -> None:
    upstream = good(since=NOW - timedelta(minutes=20))
    waits = look(upstream)
    wait = StageWait(push("a"), NOW - timedelta(minutes=20), NOW + timedelta(minutes=40), "STAGE_WAITING")
    assert (waits.reason, waits.due, waits.desired) == (Reason.STAGE_WAITING, wait.until, DesiredState(stage_wait=wait))
    assert waits.detail == (
        "v-a for stage 2: good at hello since 2026-11-29 11:40:00 UTC; goes on at 2026-11-29 12:40:00 UTC"
    )
    again = look(upstream, desired=waits.desired)
    assert again == Promotion(waits.desired)
    later = promote(waits.desired, SPEC, [upstream], wait.until)
    assert (later.reason, later.desired.push, later.desired.stage_wait) == (Reason.ACCEPTED, push("a"), None)


def test_a_newer_good_image_takes_the_place_of_the_one_that_waits() -> None:
    waits = look(good("a", NOW - timedelta(minutes=20)))
    newer = UpstreamTarget(
        "hello", DesiredState(), ReleaseState(last_good=GoodVersion(push("b", HOUR), "f", "2", since=NOW))
    )
    replaced = look(newer, desired=waits.desired)
    assert replaced.reason is Reason.STAGE_WAITING
    assert replaced.detail.endswith("goes on at 2026-11-29 13:00:00 UTC, instead of v-a")


@pytest.mark.parametrize(
    ("upstream", "why"),
    [
        ([UpstreamTarget("hello", DesiredState(), ReleaseState())], "hello has no good version"),
        ([held(good(), "a")], "at hello it is held: HOLD_SET by ana: odd answers"),
        ([good(), good("b", name="hello@us")], "hello@us and hello run different images"),
        ([good(reason="ROUTING_CHANGED")], "somebody moved the traffic of hello"),
        ([good(reported_drift=("disabled", "routing 3 at 100 %"))], "somebody moved the traffic of hello"),
        ([good(expected_routing=Routing.to("3"))], "the traffic of hello does not go to v-a"),
    ],
)
def test_what_is_not_good_at_every_target_never_comes_and_ends_a_wait(upstream: list[UpstreamTarget], why: str) -> None:
    assert look(*upstream) == Promotion(DesiredState())
    waits = look(good(since=NOW)).desired
    cancelled = look(*upstream, desired=waits)
    assert (cancelled.reason, cancelled.detail, cancelled.push) == (Reason.STAGE_CANCELLED, f"v-a: {why}", push("a"))
    assert cancelled.desired == DesiredState()


def test_a_hold_that_is_over_and_a_hold_on_another_image_do_not_count() -> None:
    assert look(held(good(), "b")).reason is Reason.ACCEPTED
    assert look(held(good(), "a", NOW)).reason is Reason.ACCEPTED


def test_the_last_of_several_targets_decides_since_when_an_image_is_good() -> None:
    taken = look(good(), good(since=NOW - HOUR, name="hello@us"))
    assert taken.detail == "good at hello, hello@us since 2026-11-29 11:00:00 UTC"
    assert look(good(), good(since=NOW - HOUR + timedelta(seconds=1), name="hello@us")).reason is Reason.STAGE_WAITING


def test_an_image_that_the_target_has_or_is_past_of_is_not_taken_again() -> None:
    for desired in (DesiredState(push=push("a")), DesiredState(push=push("b", HOUR))):
        assert look(good(), desired=desired) == Promotion(desired)
    rolled_back = DesiredState(push=push("b", 5 * HOUR), newest_push=push("a"))
    assert look(good(), desired=rolled_back) == Promotion(rolled_back)
    waited = replace(rolled_back, stage_wait=StageWait(push("a"), NOW, NOW, "STAGE_WAITING"))
    assert look(good(), desired=waited) == Promotion(rolled_back)
    waits_for_another = replace(rolled_back, stage_wait=StageWait(push("c"), NOW, NOW, "STAGE_WAITING"))
    cancelled = look(good(), desired=waits_for_another)
    assert (cancelled.reason, cancelled.detail) == (Reason.STAGE_CANCELLED, "v-c: hello went back to v-a")
    assert cancelled.desired == rolled_back


def test_an_image_that_an_operator_sent_past_the_stage_does_not_wait_for_it() -> None:
    sent = DesiredState(push=push("b", HOUR), newest_push=push("a"))
    upstream = UpstreamTarget("hello", NOTHING, ReleaseState(last_good=GoodVersion(push("b"), "f", "2", since=NOW)))
    assert look(upstream, desired=sent) == Promotion(sent)


def test_a_tag_that_the_stage_does_not_allow_is_reported_once() -> None:
    strict = spec(", tags: {allow: ['^1']}")
    refused = look(good(), of=strict)
    assert (refused.reason, refused.due) == (Reason.TAG_NOT_ALLOWED, None)
    assert refused.desired.push is None
    assert look(good(), desired=refused.desired, of=strict) == Promotion(refused.desired)
    gone = look(UpstreamTarget("hello", DesiredState(), ReleaseState()), desired=refused.desired, of=strict)
    assert gone == Promotion(DesiredState())


def test_a_stage_s_minimum_age_counts_too() -> None:
    aged = look(good(), of=spec(", release: {min_push_age: 5h}"))
    assert (aged.reason, aged.due) == (Reason.ACCEPTED, NOW + 2 * HOUR)
    assert [item.push for item in aged.desired.waiting] == [push("a")]


@pytest.mark.parametrize(
    ("history", "since"),
    [
        (
            (HistoryEntry(NOW - 3 * HOUR, "LIVE", push("a").digest), HistoryEntry(NOW, "HELD", push("b").digest)),
            3 * HOUR,
        ),
        ((HistoryEntry(NOW - 2 * HOUR, "FORBIDDEN", push("b").digest),), 2 * HOUR),
    ],
)
def test_a_state_without_the_time_has_it_from_its_history(history: tuple[HistoryEntry, ...], since: timedelta) -> None:
    taken = look(good(since=None, history=history))
    assert taken.detail == f"good at hello since {NOW - since:%Y-%m-%d %H:%M:%S} UTC"


def test_a_state_without_time_and_history_counts_as_good_for_ever() -> None:
    assert look(good(since=None)).reason is Reason.ACCEPTED


def test_the_newest_tag_of_the_good_image_counts() -> None:
    upstream = good()
    tagged = push("a", HOUR, "release-1")
    upstream = replace(upstream, desired=replace(upstream.desired, push=tagged))
    assert look(upstream).desired.push == tagged
    newer = replace(upstream, desired=replace(upstream.desired, push=push("b", HOUR)))
    assert look(newer).desired.push == push("a")


def test_holds_of_earlier_stages_count_here() -> None:
    upstream = held(good(), "a")
    merged = with_upstream_holds(DesiredState(), [upstream], NOW)
    assert [(hold.digest, hold.detail, hold.by) for hold in merged.holds] == [
        (push("a").digest, "at hello: odd answers", "ana")
    ]
    desired = DesiredState(push=push("b"))
    assert with_upstream_holds(desired, [good()], NOW) is desired


@pytest.mark.parametrize(
    "desired",
    [DesiredState(past_stage=push("a").digest), DesiredState(rollback=RollbackRequest("1", 1, push=push("a")))],
)
def test_holds_of_earlier_stages_do_not_stop_what_an_operator_chose_here(desired: DesiredState) -> None:
    assert with_upstream_holds(desired, [held(good(), "a")], NOW) == desired


def test_a_rollback_without_an_image_is_no_exception() -> None:
    desired = DesiredState(rollback=RollbackRequest("1", 1))
    assert with_upstream_holds(desired, [held(good(), "a")], NOW).holds
