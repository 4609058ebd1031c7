"""The desired state after a push, a rotation or a changed agents.yaml."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.spec import AgentSpec
from core.intake.events import apply_config, apply_push, apply_rotation, runtime_hash
from core.model import Push
from core.reasons import Reason
from core.state.desired import MAX_KEPT_TAGS, Cause, DesiredState, KeptTag, PreviousPush, RejectedDigest, WaitingPush

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
DESIRED = DesiredState(4, 3, PUSH, Cause.PUSH, NOW)


def agent_spec(**keys: Any) -> AgentSpec:
    return AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello"} | keys)


def test_a_newer_push_becomes_the_desired_push() -> None:
    later = replace(PUSH, tag="v2", digest=f"sha256:{'b' * 64}", pushed_at=NOW + timedelta(seconds=1))
    update = apply_push(DESIRED, agent_spec(), later, "trace", NOW + timedelta(seconds=1))
    assert (update.reason, update.enqueues) == (Reason.ACCEPTED, True)
    assert update.desired == DesiredState(
        5,
        5,
        later,
        Cause.PUSH,
        NOW + timedelta(seconds=1),
        runtime_hash=runtime_hash(agent_spec()),
        traceparent="trace",
        push_generation=5,
        previous_pushes=(PreviousPush(PUSH, 0, 4, 3),),
    )


@pytest.mark.parametrize(
    ("keys", "push", "reason", "enqueues"),
    [
        pytest.param({}, PUSH, Reason.SAME_PUSH, True, id="the same push enqueues again"),
        pytest.param({}, replace(PUSH, tag="v0", pushed_at=NOW - timedelta(1)), Reason.NOT_NEWER, False, id="late"),
        pytest.param({"tags": {"allow": ["^x"]}}, PUSH, Reason.TAG_NOT_ALLOWED, False, id="not allowed"),
    ],
)
def test_any_other_push_leaves_the_desired_state_unchanged(
    keys: dict[str, Any], push: Push, reason: Reason, enqueues: bool
) -> None:
    update = apply_push(DESIRED, agent_spec(**keys), push, None, NOW)
    assert (update.desired, update.reason, update.enqueues) == (DESIRED, reason, enqueues)


@pytest.mark.parametrize(("inspect", "reason"), [("best-effort", Reason.WRONG_PLATFORM), ("never", Reason.ACCEPTED)])
def test_a_rejected_digest_counts_again_once_the_registry_is_not_asked(inspect: str, reason: Reason) -> None:
    rejected = replace(DESIRED, push=None, rejected=(RejectedDigest(PUSH.digest, "WRONG_PLATFORM"),))
    assert apply_push(rejected, agent_spec(inspect=inspect), PUSH, None, NOW).reason is reason


def test_a_push_is_due_after_min_push_age() -> None:
    update = apply_push(DesiredState(), agent_spec(release={"min_push_age": "1h"}), PUSH, None, NOW)
    assert update.due == NOW + timedelta(hours=1)
    assert (update.desired.push, update.desired.waiting) == (None, (WaitingPush(PUSH, NOW),))


def test_a_rotation_requests_the_same_push_after_debounce() -> None:
    update = apply_rotation(DESIRED, agent_spec(release={"debounce": "20s"}), "trace", NOW)
    assert (update.reason, update.enqueues) == (Reason.ACCEPTED, True)
    due = NOW + timedelta(seconds=20)
    assert update.desired == replace(
        DESIRED,
        generation=5,
        cause=Cause.SECRET,
        not_before=due,
        quiet_since=NOW,
        due_generation=4,
        traceparent="trace",
    )


def test_a_rotation_is_not_a_user_change() -> None:
    assert apply_rotation(DESIRED, agent_spec(), None, NOW).desired.user_generation == DESIRED.user_generation


def test_a_rotation_before_the_first_push_or_with_ignore_changes_nothing() -> None:
    assert apply_rotation(DesiredState(), agent_spec(), None, NOW).reason is Reason.NO_PUSH_YET
    ignored = apply_rotation(DESIRED, agent_spec(release={"on_secret_change": "ignore"}), None, NOW)
    assert (ignored.desired, ignored.reason) == (DESIRED, Reason.SECRET_CHANGE_IGNORED)


def test_a_rotation_with_notify_is_reported_and_changes_nothing() -> None:
    reported = apply_rotation(DESIRED, agent_spec(release={"on_secret_change": "notify"}), None, NOW)
    assert (reported.desired, reported.reason, reported.enqueues) == (DESIRED, Reason.SECRET_CHANGE_REPORTED, False)


@pytest.mark.parametrize("year", [2099, 9999])
def test_a_stored_push_from_the_future_does_not_block_later_pushes(year: int) -> None:
    assert DESIRED.push is not None
    future = replace(DESIRED.push, pushed_at=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC))
    stored = replace(DESIRED, push=future, updated_at=NOW - timedelta(days=1))
    later = replace(DESIRED.push, digest=f"sha256:{'b' * 64}", pushed_at=NOW)
    assert apply_push(stored, agent_spec(), later, None, NOW).reason is Reason.ACCEPTED
    earlier = replace(later, pushed_at=NOW - timedelta(days=2))
    assert apply_push(stored, agent_spec(), earlier, None, NOW).reason is Reason.NOT_NEWER
    assert apply_push(replace(stored, updated_at=None), agent_spec(), later, None, NOW).reason in Reason


def test_no_age_of_a_push_overflows() -> None:
    assert DESIRED.push is not None
    push = replace(DESIRED.push, digest=f"sha256:{'b' * 64}", pushed_at=datetime(9999, 12, 31, tzinfo=UTC))
    update = apply_push(DESIRED, agent_spec(release={"min_push_age": "3650d"}), push, None, NOW)
    assert update.reason is Reason.ACCEPTED


def test_a_changed_spec_requests_the_same_push_and_is_a_user_change() -> None:
    update = apply_config(
        replace(DESIRED, runtime_hash=runtime_hash(agent_spec())), agent_spec(cpu="2", memory="4Gi"), NOW
    )
    assert (update.reason, update.enqueues) == (Reason.CONFIG_CHANGED, True)
    assert (update.desired.generation, update.desired.user_generation, update.desired.push) == (5, 5, PUSH)
    assert (update.desired.cause, update.desired.not_before) == (Cause.CONFIGURATION, NOW + timedelta(seconds=30))
    assert apply_config(update.desired, agent_spec(cpu="2", memory="4Gi"), NOW).reason is Reason.NO_PUSH_YET


@pytest.mark.parametrize(
    "keys",
    [{"keep": {"newest": 1}}, {"release": {"mode": "manual"}}, {"tags": {"ignore": ["x"]}}, {"inspect": "never"}],
)
def test_a_change_of_other_keys_does_not_change_the_runtime_hash(keys: dict[str, Any]) -> None:
    assert runtime_hash(agent_spec(**keys)) == runtime_hash(agent_spec())


def test_a_push_in_mode_notify_is_released_once_the_mode_changes() -> None:
    notified = replace(DESIRED, runtime_hash=runtime_hash(agent_spec(release={"mode": "notify"})))
    assert apply_config(notified, agent_spec(), NOW).reason is Reason.CONFIG_CHANGED


def test_an_agent_with_a_new_repository_waits_for_its_next_push() -> None:
    moved = agent_spec(repository="agents/new")
    update = apply_config(replace(DESIRED, runtime_hash=runtime_hash(agent_spec())), moved, NOW)
    assert (update.enqueues, update.desired.generation, update.desired.runtime_hash) == (False, 4, runtime_hash(moved))
    older = replace(PUSH, repository="agents/new", pushed_at=NOW - timedelta(days=9))
    assert apply_push(update.desired, moved, older, None, NOW).reason is Reason.ACCEPTED


def test_a_changed_spec_before_the_first_push_changes_nothing() -> None:
    assert apply_config(DesiredState(), agent_spec(), NOW).desired == DesiredState()


def test_a_tag_that_keeps_versions_is_remembered_also_where_the_agent_does_not_follow_it() -> None:
    spec = agent_spec(keep={"tags": ["^release-"]}, tags={"ignore": ["^release-"]})
    ignored = apply_push(DESIRED, spec, replace(PUSH, tag="release-1"), None, NOW)
    assert (ignored.reason, ignored.desired.push) == (Reason.TAG_IGNORED, PUSH)
    assert ignored.desired.kept_tags == (KeptTag(PUSH.digest, "release-1"),)
    assert apply_push(ignored.desired, spec, replace(PUSH, tag="release-1"), None, NOW).desired == ignored.desired
    many = ignored.desired
    for number in range(200):
        push = replace(PUSH, tag=f"release-{number}", digest=f"sha256:{number:064x}")
        many = apply_push(many, spec, push, None, NOW).desired
    assert len(many.kept_tags) == MAX_KEPT_TAGS
    assert many.kept_tags[-1] == KeptTag(f"sha256:{199:064x}", "release-199")
