"""The desired state after each user command."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.spec import AgentSpec
from core.intake import user_commands
from core.intake.events import DesiredUpdate, apply_push
from core.intake.user_commands import request_release, unhold, unpause
from core.model import Push
from core.reasons import Reason
from core.state import holds
from core.state.desired import Cause, DesiredState, Hold, LiftedHold, Pause, StageWait
from core.state.release import Phase, ReleaseState

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", EARLIER, "event-1")
DESIRED = DesiredState(generation=4, user_generation=3, push=PUSH, not_before=NOW + timedelta(hours=1))
WAITING = ReleaseState(observed_generation=4, push=PUSH, fingerprint="fp-2", phase=Phase.VERIFIED, candidate="2")
HELD = ReleaseState(push=PUSH, fingerprint="fp-2", holds=(Hold("fp-2", PUSH.digest, "CHECK_FAILED", "no", EARLIER),))


def test_an_approval_is_for_the_waiting_version() -> None:
    update = user_commands.approve(DESIRED, WAITING, None, "ann", NOW)
    assert (update.reason, update.enqueues) == (Reason.APPROVED, True)
    assert update.desired.approval is not None
    assert (update.desired.approval.version, update.desired.approval.fingerprint) == ("2", "fp-2")
    assert update.desired.generation == DESIRED.generation


@pytest.mark.parametrize(
    ("release", "version", "detail"),
    [
        pytest.param(WAITING, "1", f"version 2 waits: v1 {PUSH.digest}", id="another version waits"),
        pytest.param(replace(WAITING, push=None), "2", "no version waits", id="a release without an image"),
        pytest.param(replace(WAITING, phase=Phase.STARTED), None, "no version waits", id="not confirmed yet"),
        pytest.param(replace(WAITING, phase=Phase.ENDED), "2", "no version waits", id="over"),
    ],
)
def test_a_version_that_does_not_wait_cannot_be_approved(
    release: ReleaseState, version: str | None, detail: str
) -> None:
    assert user_commands.approve(DESIRED, release, version, "ann", NOW) == DesiredUpdate(
        DESIRED, Reason.NOTHING_TO_APPROVE, detail
    )


def test_an_approval_names_the_image_and_another_image_is_refused() -> None:
    update = user_commands.approve(DESIRED, WAITING, None, "ann", NOW, PUSH.digest)
    assert (update.reason, update.detail) == (Reason.APPROVED, f"version 2 (v1 {PUSH.digest}) by ann")
    pushed_meanwhile = replace(WAITING, candidate="3", push=replace(PUSH, tag="v2", digest=f"sha256:{'b' * 64}"))
    refused = user_commands.approve(DESIRED, pushed_meanwhile, None, "ann", NOW, PUSH.digest)
    assert refused.reason is Reason.NOTHING_TO_APPROVE
    assert refused.detail == f"version 3 waits: v2 sha256:{'b' * 64}"


def test_a_hold_is_on_the_desired_or_the_named_image() -> None:
    update = user_commands.hold(DESIRED, None, "not today", "ann", None, NOW)
    assert update.reason is Reason.HOLD_SET
    assert not update.enqueues
    assert [hold.digest for hold in update.desired.holds] == [PUSH.digest]
    again = user_commands.hold(update.desired, PUSH.digest, "still not", "bob", NOW, NOW)
    assert [(hold.detail, hold.by) for hold in again.desired.holds] == [("still not", "bob")]
    assert user_commands.hold(DesiredState(), None, "why", "ann", None, NOW).reason is Reason.NO_PUSH_YET


@pytest.mark.parametrize("digest", [None, PUSH.digest])
def test_lifting_a_hold_requests_the_desired_push(digest: str | None) -> None:
    update = unhold(DESIRED, HELD, digest, "ann", NOW)
    assert (update.reason, update.enqueues) == (Reason.HOLD_REMOVED, True)
    assert (update.desired.generation, update.desired.user_generation, update.desired.cause) == (5, 5, Cause.PERSON)
    assert update.desired.lifted == (LiftedHold("fp-2", PUSH.digest, EARLIER),)
    assert unhold(update.desired, HELD, digest, "ann", NOW).reason is Reason.NOTHING_HELD


def test_only_the_newest_lifts_are_remembered() -> None:
    many = tuple(LiftedHold("fp", "sha256:old", EARLIER + timedelta(seconds=number)) for number in range(100))
    lifted = unhold(replace(DESIRED, lifted=many), HELD, None, "ann", NOW).desired.lifted
    assert lifted == (*many[1:], LiftedHold("fp-2", PUSH.digest, EARLIER))


def test_a_lift_by_a_clock_ahead_does_not_lift_a_later_hold() -> None:
    ahead = NOW + timedelta(minutes=10)
    lifted = request_release(DESIRED, HELD, None, "ann", ahead).desired
    again = replace(HELD, holds=(replace(HELD.holds[0], since=NOW + timedelta(seconds=30)),))
    assert not holds.active(lifted, HELD, ahead)
    assert holds.active(lifted, again, ahead) == again.holds


def test_a_laptop_ahead_lifts_a_hold_that_is_over_by_its_clock_only() -> None:
    ends = replace(HELD, holds=(replace(HELD.holds[0], until=NOW + timedelta(minutes=5)),))
    ahead = NOW + timedelta(minutes=10)
    for update in (request_release(DESIRED, ends, None, "ann", ahead), unhold(DESIRED, ends, None, "ann", ahead)):
        assert not holds.active(update.desired, ends, NOW)
    assert unhold(DESIRED, ends, None, "ann", NOW + timedelta(hours=2)).reason is Reason.NOTHING_HELD


def test_an_operators_hold_is_removed_and_can_be_set_again_at_once() -> None:
    held = user_commands.hold(DESIRED, None, "not today", "ann", None, NOW).desired
    removed = unhold(held, ReleaseState(), None, "bob", NOW + timedelta(minutes=10)).desired
    assert (removed.holds, removed.lifted) == ((), ())
    again = user_commands.hold(removed, None, "still not", "ann", None, NOW).desired
    assert holds.active(again, ReleaseState(), NOW) == again.holds != ()


def test_a_pause_records_why_by_whom_and_until_when() -> None:
    update = user_commands.pause(DESIRED, "release freeze", "ann", NOW + timedelta(days=1), NOW)
    assert update.reason is Reason.PAUSED
    assert not update.enqueues
    assert update.desired.pause == Pause("release freeze", "ann", NOW, NOW + timedelta(days=1))
    resumed = unpause(update.desired, "bob")
    assert (resumed.reason, resumed.enqueues, resumed.desired.pause) == (Reason.UNPAUSED, True, None)
    assert unpause(DESIRED, "bob") == DesiredUpdate(DESIRED, Reason.NOTHING_PAUSED)


def test_a_requested_release_is_due_now_and_not_held() -> None:
    other = replace(PUSH, digest=f"sha256:{'b' * 64}", tag="v2")
    update = request_release(DESIRED, HELD, other, "ann", NOW)
    assert (update.reason, update.enqueues) == (Reason.RELEASE_REQUESTED, True)
    assert (update.desired.push, update.desired.not_before, update.desired.generation) == (other, None, 5)
    assert update.desired.lifted == ()
    again = request_release(DESIRED, HELD, None, "ann", NOW)
    assert again.desired.push == PUSH
    assert again.desired.lifted == (LiftedHold("fp-2", PUSH.digest, EARLIER),)
    only_fingerprint = replace(HELD, holds=(replace(HELD.holds[0], digest=""),))
    by_fingerprint = request_release(DESIRED, only_fingerprint, None, "ann", NOW)
    assert by_fingerprint.desired.lifted == (LiftedHold("fp-2", "", EARLIER),)
    assert request_release(DesiredState(), ReleaseState(), None, "ann", NOW).reason is Reason.NO_PUSH_YET


@pytest.mark.parametrize(
    ("wait", "reason", "detail"),
    [
        (None, Reason.STAGE_NOT_PASSED, "no image has passed the stage before, a and b"),
        (
            StageWait(PUSH, EARLIER, NOW, "STAGE_WAITING"),
            Reason.STAGE_WAITING,
            f"{PUSH.tag} is good at a and b; goes on at {NOW:%F %T} UTC",
        ),
        (
            StageWait(PUSH, EARLIER, NOW, "TAG_IGNORED"),
            Reason.STAGE_NOT_PASSED,
            f"{PUSH.tag} is good at a and b, and is not taken: TAG_IGNORED",
        ),
    ],
)
def test_a_retry_in_a_later_stage_without_an_image_says_what_it_waits_for(
    wait: StageWait | None, reason: Reason, detail: str
) -> None:
    waits = DesiredState(stage_wait=wait)
    update = request_release(waits, ReleaseState(), None, "ann", NOW, "", ("a", "b"))
    assert update == DesiredUpdate(waits, reason, detail)
    assert not update.enqueues


def test_a_chosen_older_push_is_replaced_only_by_a_push_newer_than_all() -> None:
    spec = AgentSpec(name="hello-agent", repository="agents/hello")
    older = replace(PUSH, tag="v0", digest=f"sha256:{'0' * 64}", pushed_at=EARLIER - timedelta(days=1))
    chosen = request_release(DESIRED, ReleaseState(), older, "ann", NOW).desired
    assert (chosen.push, chosen.newest_push) == (older, PUSH)
    assert apply_push(chosen, spec, PUSH, None, NOW).desired == chosen  # redelivered, or found in the registry
    newer = replace(PUSH, tag="v2", digest=f"sha256:{'2' * 64}", pushed_at=NOW)
    taken = apply_push(chosen, spec, newer, None, NOW).desired
    assert (taken.push, taken.newest_push) == (newer, None)
    again = request_release(chosen, ReleaseState(), PUSH, "ann", NOW).desired
    assert (again.push, again.newest_push) == (PUSH, None)
