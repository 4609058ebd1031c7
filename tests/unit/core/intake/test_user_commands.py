"""What people may say, and what the ledger then wants."""

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
from core.state.desired import Cause, DesiredState, Hold, Pause
from core.state.release import Phase, ReleaseState

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", EARLIER, "event-1")
WANTED = DesiredState(generation=4, user_generation=3, push=PUSH, not_before=NOW + timedelta(hours=1))
WAITING = ReleaseState(observed_generation=4, push=PUSH, fingerprint="fp-2", phase=Phase.VERIFIED, candidate="2")
HELD = ReleaseState(push=PUSH, fingerprint="fp-2", holds=(Hold("fp-2", PUSH.digest, "CHECK_FAILED", "no", EARLIER),))


def test_an_approval_names_what_waits() -> None:
    noted = user_commands.approve(WANTED, WAITING, None, "ann", NOW)
    assert (noted.reason, noted.enqueues) == (Reason.APPROVED, True)
    assert noted.desired.approval is not None
    assert (noted.desired.approval.version, noted.desired.approval.fingerprint) == ("2", "fp-2")
    assert noted.desired.generation == WANTED.generation


@pytest.mark.parametrize(
    ("release", "version", "told"),
    [
        pytest.param(WAITING, "1", "version 2 waits", id="another version waits"),
        pytest.param(replace(WAITING, phase=Phase.STARTED), None, "no version waits", id="not confirmed yet"),
        pytest.param(replace(WAITING, phase=Phase.ENDED), "2", "no version waits", id="over"),
    ],
)
def test_what_does_not_wait_cannot_be_approved(release: ReleaseState, version: str | None, told: str) -> None:
    assert user_commands.approve(WANTED, release, version, "ann", NOW) == DesiredUpdate(
        WANTED, Reason.NOTHING_TO_APPROVE, told
    )


def test_a_hold_is_on_the_desired_image_or_the_one_that_is_named() -> None:
    noted = user_commands.hold(WANTED, None, "not today", "ann", None, NOW)
    assert noted.reason is Reason.HOLD_SET
    assert not noted.enqueues
    assert [one.digest for one in noted.desired.holds] == [PUSH.digest]
    again = user_commands.hold(noted.desired, PUSH.digest, "still not", "bob", NOW, NOW)
    assert [(one.detail, one.by) for one in again.desired.holds] == [("still not", "bob")]
    assert user_commands.hold(DesiredState(), None, "why", "ann", None, NOW).reason is Reason.NO_PUSH_YET


@pytest.mark.parametrize("digest", [None, PUSH.digest])
def test_lifting_a_hold_asks_for_what_is_wanted(digest: str | None) -> None:
    noted = unhold(WANTED, HELD, digest, "ann", NOW)
    assert (noted.reason, noted.enqueues) == (Reason.HOLD_REMOVED, True)
    assert (noted.desired.generation, noted.desired.user_generation, noted.desired.cause) == (5, 5, Cause.PERSON)
    assert noted.desired.lifted_at == {"fp-2": NOW, PUSH.digest: NOW}
    assert unhold(noted.desired, HELD, digest, "ann", NOW).reason is Reason.NOTHING_HELD


def test_an_old_lift_is_forgotten_when_no_hold_can_be_that_old() -> None:
    old = replace(WANTED, lifted_at={"sha256:old": NOW - timedelta(days=500), "sha256:new": EARLIER})
    assert set(unhold(old, HELD, None, "ann", NOW).desired.lifted_at) == {"sha256:new", "fp-2", PUSH.digest}


def test_a_pause_says_why_by_whom_and_until_when() -> None:
    noted = user_commands.pause(WANTED, "release freeze", "ann", NOW + timedelta(days=1), NOW)
    assert noted.reason is Reason.PAUSED
    assert not noted.enqueues
    assert noted.desired.pause == Pause("release freeze", "ann", NOW, NOW + timedelta(days=1))
    resumed = unpause(noted.desired, "bob")
    assert (resumed.reason, resumed.enqueues, resumed.desired.pause) == (Reason.UNPAUSED, True, None)
    assert unpause(WANTED, "bob") == DesiredUpdate(WANTED, Reason.NOTHING_PAUSED)


def test_a_release_that_a_person_asks_for_is_due_now_and_not_held() -> None:
    other = replace(PUSH, digest=f"sha256:{'b' * 64}", tag="v2")
    noted = request_release(WANTED, HELD, other, "ann", NOW)
    assert (noted.reason, noted.enqueues) == (Reason.RELEASE_REQUESTED, True)
    assert (noted.desired.push, noted.desired.not_before, noted.desired.generation) == (other, None, 5)
    assert noted.desired.lifted_at == {}
    again = request_release(WANTED, HELD, None, "ann", NOW)
    assert again.desired.push == PUSH
    assert set(again.desired.lifted_at) == {"fp-2", PUSH.digest}
    only_made = replace(HELD, holds=(replace(HELD.holds[0], digest=""),))
    assert set(request_release(WANTED, only_made, None, "ann", NOW).desired.lifted_at) == {"fp-2"}
    assert request_release(DesiredState(), ReleaseState(), None, "ann", NOW).reason is Reason.NO_PUSH_YET


def test_an_older_push_that_a_person_chose_is_replaced_by_a_newer_one_than_all_alone() -> None:
    rule = AgentSpec(name="hello-agent", repository="agents/hello")
    older = replace(PUSH, tag="v0", digest=f"sha256:{'0' * 64}", pushed_at=EARLIER - timedelta(days=1))
    chosen = request_release(WANTED, ReleaseState(), older, "ann", NOW).desired
    assert (chosen.push, chosen.newest_push) == (older, PUSH)
    assert apply_push(chosen, rule, PUSH, None, NOW).desired == chosen  # redelivered, or found by the catch-up
    newer = replace(PUSH, tag="v2", digest=f"sha256:{'2' * 64}", pushed_at=NOW)
    taken = apply_push(chosen, rule, newer, None, NOW).desired
    assert (taken.push, taken.newest_push) == (newer, None)
    again = request_release(chosen, ReleaseState(), PUSH, "ann", NOW).desired
    assert (again.push, again.newest_push) == (PUSH, None)
