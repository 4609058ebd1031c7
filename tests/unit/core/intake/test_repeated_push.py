"""A second push of the image that is desired."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.spec import AgentSpec
from core.intake.repeated_push import apply_repeated_push
from core.model import Push
from core.reasons import Reason
from core.state.desired import Cause, DesiredState, Hold, WaitingPush
from core.state.release import Phase, ReleaseState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DIGEST = f"sha256:{'a' * 64}"
PUSH = Push("agents/hello", DIGEST, "v1", NOW - timedelta(hours=1), "event-1")
AGAIN = replace(PUSH, pushed_at=NOW, event_id="event-2")
SPEC = AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello"})
DESIRED = DesiredState(4, 4, PUSH, Cause.PUSH, NOW, not_before=NOW)
OF_V1_TAG = replace(PUSH, tag="v1-again")
GOOD = Push("agents/hello", f"sha256:{'b' * 64}", "v0", NOW - timedelta(days=1), "event-0")
RELEASE = ReleaseState(observed_generation=4, push=PUSH, fingerprint="abc", reason="FORBIDDEN")


@pytest.mark.parametrize(
    "reason",
    ["FORBIDDEN", "IMAGE_ERROR", "SECRET_DISABLED", "AGENT_DELETED", "CANDIDATE_GONE", "HELD", "CHECK_INCONCLUSIVE"],
)
def test_it_releases_again_what_failed(reason: str) -> None:
    update = apply_repeated_push(DESIRED, replace(RELEASE, reason=reason), SPEC, AGAIN, "trace", NOW)
    assert (update.reason, update.detail, update.enqueues) == (Reason.ACCEPTED, f"pushed again after {reason}", True)
    desired = update.desired
    assert (desired.generation, desired.user_generation, desired.push, desired.traceparent) == (5, 5, AGAIN, "trace")
    assert desired.not_before is None
    assert apply_repeated_push(desired, RELEASE, SPEC, AGAIN, None, NOW).reason is Reason.SAME_PUSH  # redelivered


@pytest.mark.parametrize(
    "release",
    [
        pytest.param(replace(RELEASE, reason="LIVE"), id="live"),
        pytest.param(replace(RELEASE, reason="ALREADY_LIVE", push=OF_V1_TAG), id="live under another tag"),
        pytest.param(replace(RELEASE, reason="ROUTING_CHANGED"), id="somebody moved the traffic"),
        pytest.param(replace(RELEASE, phase=Phase.STARTED), id="under way"),
        pytest.param(replace(RELEASE, observed_generation=3), id="not begun"),
        pytest.param(ReleaseState(observed_generation=4), id="never released"),
    ],
)
def test_it_changes_nothing_where_nothing_failed(release: ReleaseState) -> None:
    update = apply_repeated_push(DESIRED, release, SPEC, AGAIN, None, NOW)
    assert (update.desired, update.reason) == (DESIRED, Reason.SAME_PUSH)


@pytest.mark.parametrize(
    "push",
    [
        pytest.param(PUSH, id="redelivered"),
        pytest.param(
            replace(PUSH, pushed_at=NOW + timedelta(days=9)), id="redelivered, and its time in the future was corrected"
        ),
        pytest.param(replace(AGAIN, pushed_at=PUSH.pushed_at + timedelta(seconds=1)), id="the registry's time of it"),
        pytest.param(replace(AGAIN, tag="v2"), id="another push came meanwhile"),
    ],
)
def test_only_a_later_push_of_the_desired_image_counts(push: Push) -> None:
    assert apply_repeated_push(DESIRED, RELEASE, SPEC, push, None, NOW).reason is Reason.SAME_PUSH


def test_a_time_in_the_future_counts_as_now() -> None:
    push = apply_repeated_push(
        DESIRED, RELEASE, SPEC, replace(AGAIN, pushed_at=NOW + timedelta(days=9)), None, NOW
    ).desired.push
    assert push == AGAIN


@pytest.mark.parametrize(
    ("desired", "release"),
    [
        pytest.param(DESIRED, ReleaseState(4, GOOD, reason="LIVE"), id="a rotation released the good image"),
        pytest.param(
            replace(DESIRED, generation=5), ReleaseState(5, GOOD, phase=Phase.STARTED), id="a rotation releases it now"
        ),
        pytest.param(replace(DESIRED, generation=5), RELEASE, id="a rotation waits for its quiet time"),
    ],
)
def test_it_releases_a_failed_image_whatever_a_rotation_does(desired: DesiredState, release: ReleaseState) -> None:
    update = apply_repeated_push(desired, release, SPEC, AGAIN, None, NOW)
    assert update.reason is Reason.ACCEPTED
    assert (update.desired.push, update.desired.user_generation) == (AGAIN, desired.generation + 1)


def test_it_replaces_what_a_person_chose_before() -> None:
    chosen = replace(DESIRED, push=GOOD, newest_push=PUSH, updated_at=NOW - timedelta(minutes=1))
    update = apply_repeated_push(chosen, ReleaseState(4, GOOD, reason="LIVE"), SPEC, AGAIN, None, NOW)
    assert (update.reason, update.detail) == (Reason.ACCEPTED, "pushed again after a person chose v0")
    assert (update.desired.push, update.desired.newest_push) == (AGAIN, None)
    late = replace(chosen, updated_at=NOW)
    assert apply_repeated_push(late, RELEASE, SPEC, AGAIN, None, NOW).reason is Reason.SAME_PUSH


def test_it_waits_with_the_pushes_that_are_not_old_enough() -> None:
    waiting = replace(DESIRED, waiting=(WaitingPush(PUSH, NOW),))
    assert apply_repeated_push(waiting, RELEASE, SPEC, AGAIN, None, NOW).reason is Reason.SAME_PUSH


@pytest.mark.parametrize(
    ("hold", "detail"),
    [
        (Hold("", DIGEST, "HOLD_SET", "broken", NOW, None, "ann"), "HOLD_SET by ann: broken"),
        (
            Hold("abc", "", "VERIFY_FAILED", "no pong", NOW, NOW + timedelta(days=1)),
            "VERIFY_FAILED by Slipway until 2026-11-25 12:00 UTC: no pong",
        ),
    ],
    ids=["the image", "the definition"],
)
def test_a_held_image_stays_held(hold: Hold, detail: str) -> None:
    update = apply_repeated_push(replace(DESIRED, holds=(hold,)), RELEASE, SPEC, AGAIN, None, NOW)
    assert (update.reason, update.detail, update.enqueues) == (Reason.HELD, detail, False)
    of_another = replace(RELEASE, push=replace(PUSH, digest=f"sha256:{'c' * 64}"), fingerprint="")
    other = apply_repeated_push(replace(DESIRED, holds=(replace(hold, digest=""),)), of_another, SPEC, AGAIN, None, NOW)
    assert other.reason is Reason.ACCEPTED
