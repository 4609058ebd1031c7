"""Which images of a later stage have passed the stage before, and what becomes of those that have not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.spec import AgentSpec, StagePlace
from core.intake.events import apply_push
from core.intake.passed_stage import (
    MAX_PASSED_DIGESTS,
    has_passed,
    has_unknown,
    unpassed_tags,
    with_passed,
    with_unpassed_held,
    without_unpassed,
)
from core.intake.promotion import UpstreamTarget, promote
from core.intake.user_commands import request_release
from core.model import Push
from core.reasons import Reason
from core.state.desired import DesiredState, RollbackRequest, WaitingPush
from core.state.release import GoodVersion, ReleaseState

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPEC = AgentSpec(name="hello", repository="agents/hello").at("eu", StagePlace(2, ("hello",), ("hello",), HOUR))
NOTHING = ReleaseState()


def push(letter: str, age: timedelta = HOUR) -> Push:
    return Push("agents/hello", f"sha256:{letter * 64}", f"v-{letter}", NOW - age, f"event-{letter}")


def followed(*letters: str) -> DesiredState:
    """The desired state of a target that followed these pushes by itself."""
    desired = DesiredState()
    for number, letter in enumerate(letters):
        desired = apply_push(desired, SPEC, push(letter, 9 * HOUR - number * HOUR), None, NOW).desired
    return desired


def good(*letters: str) -> ReleaseState:
    """The release state after these images were good, the last one first."""
    versions = (GoodVersion(push(letter), letter, str(number)) for number, letter in enumerate(letters, 1))
    return ReleaseState(last_good=next(versions), previous_good=next(versions, None), observed_generation=1)


def upstream(letter: str, since: timedelta) -> UpstreamTarget:
    version = GoodVersion(push(letter), "f", "1", since=NOW - since)
    return UpstreamTarget("hello", DesiredState(push=push(letter)), ReleaseState(last_good=version))


def test_an_image_has_passed_that_was_taken_was_good_here_or_is_rolled_back_to() -> None:
    back = RollbackRequest("1", 1, push=push("d"))
    desired, release = replace(with_passed(DesiredState(), push("a").digest), rollback=back), good("b", "c")
    assert all(has_passed(push(letter).digest, desired, release) for letter in "abcd")
    assert not has_passed(push("e").digest, desired, release)
    assert not has_passed("", replace(desired, rollback=RollbackRequest("1", 1)), release)


def test_the_oldest_digests_are_forgotten_first() -> None:
    desired = DesiredState()
    for number in [*range(MAX_PASSED_DIGESTS + 1), 1]:
        desired = with_passed(desired, str(number))
    assert (len(desired.passed_digests), desired.passed_digests[-2:]) == (MAX_PASSED_DIGESTS, ("40", "1"))


@pytest.mark.parametrize(
    ("desired", "unknown"),
    [
        (DesiredState(), False),
        (followed("a"), True),
        (with_passed(followed("a"), push("a").digest), False),
        (with_passed(followed("a", "b"), push("b").digest), True),
        (DesiredState(waiting=(WaitingPush(push("a"), NOW),)), True),
    ],
)
def test_only_images_that_the_desired_state_does_not_know_need_the_release_state(
    desired: DesiredState, unknown: bool
) -> None:
    assert has_unknown(desired) is unknown


def test_what_was_good_before_the_stage_existed_is_desired_again_in_the_place_of_newer_pushes() -> None:
    waits = replace(followed("a", "b", "c"), waiting=(WaitingPush(push("d"), NOW),))
    assert unpassed_tags(waits, good("a")) == ("v-c", "v-d")
    back = without_unpassed(waits, SPEC, good("a"), NOW)
    assert (back.push, back.waiting, back.generation) == (push("a", 9 * HOUR), (), 4)


def test_nothing_is_desired_again_where_nothing_was_good() -> None:
    assert without_unpassed(followed("a", "b"), SPEC, NOTHING, NOW).push is None
    kept = followed("a")
    assert without_unpassed(kept, SPEC, good("a"), NOW) is kept
    alone = replace(followed("b"), previous_pushes=())
    assert without_unpassed(alone, SPEC, good("a"), NOW).push == push("a")
    assert without_unpassed(DesiredState(), SPEC, NOTHING, NOW) == DesiredState()


def test_an_image_of_the_release_under_way_is_held_too() -> None:
    release = replace(good("a"), push=push("b"))
    held = with_unpassed_held(followed("a"), release, ("hello", "hello@us"), NOW)
    assert [(hold.digest, hold.reason, hold.detail) for hold in held.holds] == [
        (push("b").digest, "STAGE_NOT_PASSED", "it did not pass the stage before, hello and hello@us")
    ]
    passed = followed("a")
    assert with_unpassed_held(passed, good("a"), ("hello",), NOW) is passed
    assert with_unpassed_held(DesiredState(), NOTHING, ("hello",), NOW) == DesiredState()


def test_a_push_that_did_not_pass_is_replaced_by_the_one_that_does() -> None:
    desired = followed("a", "b", "c")
    waits = promote(desired, SPEC, [upstream("b", HOUR / 2)], NOW, good("a"))
    assert (waits.reason, waits.desired.push) == (Reason.STAGE_WAITING, push("a", 9 * HOUR))
    assert waits.detail.endswith("UTC; v-c did not pass the stage before, hello")
    taken = promote(desired, SPEC, [upstream("b", HOUR)], NOW, good("a"))
    assert (taken.reason, taken.desired.push) == (Reason.ACCEPTED, push("b"))
    assert taken.desired.passed_digests == (push("b").digest,)
    again = promote(taken.desired, SPEC, [upstream("b", HOUR)], NOW, good("b", "a"))
    assert again.desired == taken.desired


def test_a_push_that_did_not_pass_is_reported_once_where_nothing_else_is() -> None:
    none_good = UpstreamTarget("hello", DesiredState(), NOTHING)
    refused = promote(followed("a", "b"), SPEC, [none_good], NOW, good("a"))
    assert (refused.reason, refused.detail) == (
        Reason.STAGE_NOT_PASSED,
        "v-b did not pass the stage before, hello; v-a is desired again",
    )
    assert promote(refused.desired, SPEC, [none_good], NOW, good("a")).reason is None
    nothing = promote(followed("b"), SPEC, [none_good], NOW, NOTHING)
    assert (nothing.detail, nothing.desired.push) == ("v-b did not pass the stage before, hello", None)


def test_a_command_without_a_reason_releases_only_what_passed() -> None:
    desired, at = followed("a", "b"), ("hello",)
    for chosen in (None, push("c")):
        refused = request_release(desired, good("a"), chosen, "ana", NOW, " ", at)
        tag = (chosen or push("b")).tag
        assert (refused.reason, refused.detail) == (
            Reason.STAGE_NOT_PASSED,
            f"{tag} did not pass the stage before, hello",
        )
        assert (refused.desired, refused.enqueues) == (desired, False)
    assert request_release(desired, good("a"), push("a"), "ana", NOW, "", at).reason is Reason.RELEASE_REQUESTED
    sent = request_release(desired, good("a"), push("c"), "ana", NOW, "hot fix", at)
    assert has_passed(push("c").digest, sent.desired, good("a"))
    assert request_release(desired, good("a"), push("c"), "ana", NOW, "why").reason is Reason.RELEASE_REQUESTED
