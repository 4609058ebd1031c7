"""How long a push waits for its age, and a changed secret or agents.yaml for quiet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from core.agents_file.spec import AgentSpec, ReleaseSpec
from core.intake import user_commands
from core.intake.events import apply_config, apply_push, apply_rotation, runtime_hash
from core.model import Push
from core.reasons import Reason
from core.release_outcome import unfinished_since
from core.state.desired import MAX_WAITING_PUSHES, DesiredState, WaitingPush
from core.state.release import Phase, ReleaseState
from core.waits import newest_old_enough, old_enough_at, quiet_until, waits_until, with_waiting

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SECOND, AGE, DEBOUNCE = timedelta(seconds=1), timedelta(seconds=90), timedelta(seconds=15)
SPEC = AgentSpec(
    name="hello-agent", repository="agents/hello", release=ReleaseSpec(min_push_age=AGE, debounce=DEBOUNCE)
)
AT_ONCE = SPEC.model_copy(update={"release": ReleaseSpec(debounce=DEBOUNCE)})
PUSH = Push("agents/hello", f"sha256:{1:064x}", "v1", NOW - timedelta(hours=1), "event-1")
LIVE = DesiredState(1, 1, PUSH, updated_at=NOW - AGE, runtime_hash=runtime_hash(SPEC))
ANSWERED = ReleaseState(observed_generation=1)
CHANGED = SPEC.model_copy(update={"cpu": "2"})


def push(number: int, at: datetime) -> Push:
    return Push("agents/hello", f"sha256:{number:064x}", f"v{number}", at, f"event-{number}")


def pushed(desired: DesiredState, number: int, at: datetime, spec: AgentSpec = SPEC) -> DesiredState:
    return apply_push(desired, spec, push(number, at), f"trace-{number}", at).desired


def rotated(desired: DesiredState, at: datetime, spec: AgentSpec = SPEC) -> DesiredState:
    return apply_rotation(desired, spec, None, at).desired


def configured(desired: DesiredState, at: datetime, spec: AgentSpec = CHANGED) -> DesiredState:
    return apply_config(desired, spec, at).desired


def until(desired: DesiredState, at: datetime, observed: int = 1, spec: AgentSpec = SPEC) -> datetime | None:
    return waits_until(desired, ReleaseState(observed_generation=observed), spec, at)


def test_a_rotation_or_a_deployment_does_not_end_the_age_of_a_push() -> None:
    waiting = pushed(LIVE, 2, NOW)
    for changed in (rotated(waiting, NOW + 4 * SECOND), configured(waiting, NOW + 4 * SECOND)):
        assert changed.push == PUSH, "they release what is old enough"
        assert until(changed, NOW + 5 * SECOND) == NOW + 19 * SECOND
        assert until(changed, NOW + 20 * SECOND) is None, "they are due"
        assert until(changed, NOW + 20 * SECOND, 2) == NOW + AGE
        assert newest_old_enough(changed, SPEC, NOW + 89 * SECOND) is None
        assert newest_old_enough(changed, SPEC, NOW + AGE) == waiting.waiting[0]


def test_a_push_of_a_new_agent_waits_with_a_rotation_too() -> None:
    waiting = rotated(pushed(DesiredState(), 2, NOW), NOW + 4 * SECOND)
    assert waits_until(waiting, ReleaseState(), SPEC, NOW + 30 * SECOND) == NOW + AGE


def test_the_quiet_time_of_a_secret_holds_up_no_push() -> None:
    before, after = rotated(LIVE, NOW), pushed(LIVE, 2, NOW, AT_ONCE)
    pushed_after = pushed(rotated(before, NOW + SECOND), 2, NOW + 2 * SECOND, AT_ONCE)
    assert until(pushed_after, NOW + 2 * SECOND) is None
    assert until(rotated(after, NOW + SECOND), NOW + 2 * SECOND) is None
    assert until(rotated(pushed_after, NOW + 5 * SECOND), NOW + 6 * SECOND, 4) == NOW + 20 * SECOND
    assert unfinished_since(pushed_after, ANSWERED, NOW + 3 * SECOND) == NOW + 2 * SECOND


def test_a_push_waits_for_the_quiet_time_of_agents_yaml_and_a_rotation_does_not_prolong_it() -> None:
    both = pushed(configured(LIVE, NOW), 2, NOW + SECOND, AT_ONCE)
    assert until(both, NOW + 2 * SECOND) == NOW + DEBOUNCE
    assert until(rotated(both, NOW + 10 * SECOND), NOW + 11 * SECOND) == NOW + DEBOUNCE
    assert until(rotated(both, NOW + 16 * SECOND), NOW + 17 * SECOND) is None
    assert unfinished_since(both, ANSWERED, NOW + 16 * SECOND) == NOW + DEBOUNCE


@pytest.mark.parametrize("at_most", [None, timedelta(minutes=1), timedelta(0)])
def test_a_trickle_cannot_postpone_for_ever(at_most: timedelta | None) -> None:
    release = ReleaseSpec(debounce=DEBOUNCE, debounce_at_most=at_most)
    spec, desired = SPEC.model_copy(update={"release": release}), LIVE
    longest, due = 10 * DEBOUNCE if at_most is None else at_most, None
    for second in range(0, 200, 10):
        at = NOW + second * SECOND
        desired = rotated(desired, at, spec)
        if due is None and until(desired, at, spec=spec) is None:
            due = at - NOW
        assert due is None or until(desired, at, spec=spec) is None, "what was due once stays due, though nobody began"
    assert due is not None
    assert due <= longest + 10 * SECOND


def test_a_quiet_time_from_the_future_or_longer_than_agents_yaml_allows_is_over() -> None:
    ahead = rotated(LIVE, NOW + timedelta(minutes=10))
    assert quiet_until(ahead, 1, SPEC, NOW) is None
    assert rotated(ahead, NOW).quiet_since == NOW
    patient = SPEC.model_copy(update={"release": ReleaseSpec(debounce=timedelta(days=1))})
    assert quiet_until(rotated(LIVE, NOW, patient), 1, patient, NOW + SECOND) == NOW + timedelta(days=1)
    assert quiet_until(rotated(LIVE, NOW, patient), 1, SPEC, NOW + SECOND) is None
    assert quiet_until(replace(LIVE, generation=2, not_before=NOW + SECOND, updated_at=None), 1, SPEC, NOW) is None


def test_two_hundred_rotations_in_a_minute_leave_the_push_its_age_and_the_release_its_end() -> None:
    desired, spec = pushed(LIVE, 2, NOW), SPEC
    for number in range(200):
        desired = rotated(desired, NOW + number * 0.3 * SECOND)
    assert desired.generation == 201
    assert until(desired, NOW + 60 * SECOND) == NOW + 199 * 0.3 * SECOND + DEBOUNCE
    assert old_enough_at(desired.waiting[0], spec) == NOW + AGE


def test_a_push_that_waits_for_ten_years_stops_no_rotation() -> None:
    spec = SPEC.model_copy(update={"release": ReleaseSpec(min_push_age=timedelta(days=3650), debounce=DEBOUNCE)})
    desired = rotated(pushed(LIVE, 2, NOW, spec), NOW, spec)
    assert until(desired, NOW + DEBOUNCE, spec=spec) is None
    assert until(desired, NOW + DEBOUNCE, 2, spec) == NOW + timedelta(days=3650)
    assert until(desired, NOW + DEBOUNCE, 2, AT_ONCE) is None, "agents.yaml was mended"


def test_the_age_counts_from_the_push_but_a_registry_ahead_cannot_prolong_it() -> None:
    for minutes, expected in ((-1, NOW - timedelta(minutes=1) + AGE), (10, NOW + AGE)):
        waiting = WaitingPush(push(2, NOW + timedelta(minutes=minutes)), NOW)
        assert old_enough_at(waiting, SPEC) == expected


def test_a_branch_that_is_pushed_all_the_time_always_has_a_push_that_is_old_enough() -> None:
    desired, taken = LIVE, list[datetime]()
    for second in range(600):
        at = NOW + second * SECOND
        desired = pushed(desired, second + 2, at)
        assert len(desired.waiting) <= MAX_WAITING_PUSHES
        if found := newest_old_enough(desired, SPEC, at):
            taken.append(at)
            position = desired.waiting.index(found)
            desired = replace(desired, push=found.push, waiting=desired.waiting[:position])
    assert taken[0] == NOW + AGE
    assert max(after - before for before, after in pairwise(taken)) < AGE / 2


def test_a_full_list_keeps_its_oldest_and_its_newest_push() -> None:
    desired = LIVE
    for number in range(MAX_WAITING_PUSHES + 5):
        desired = with_waiting(desired, WaitingPush(push(number, NOW), NOW + number * SECOND))
    numbers = [int(item.push.tag[1:]) for item in desired.waiting]
    assert (numbers[0], numbers[-1], len(numbers)) == (MAX_WAITING_PUSHES + 4, 0, MAX_WAITING_PUSHES)


def test_a_push_must_be_newer_than_those_that_wait() -> None:
    waiting = pushed(pushed(LIVE, 2, NOW), 3, NOW + SECOND)
    again = apply_push(waiting, SPEC, push(3, NOW + SECOND), None, NOW + 2 * SECOND)
    assert (again.reason, again.due) == (Reason.SAME_PUSH, NOW + SECOND + AGE)
    assert apply_push(waiting, SPEC, push(2, NOW), None, NOW + 2 * SECOND).reason is Reason.NOT_NEWER
    assert waiting.newest_traceparent == "trace-3"


def test_a_person_who_chooses_a_push_ends_every_wait() -> None:
    waiting = rotated(pushed(LIVE, 2, NOW), NOW)
    released = user_commands.request_release(waiting, ReleaseState(), None, "ann", NOW).desired
    assert (released.push, released.waiting, released.not_before) == (push(2, NOW), (), None)
    earlier = user_commands.request_release(waiting, ReleaseState(), PUSH, "ann", NOW).desired
    assert earlier.newest_known_push == push(2, NOW)
    assert apply_push(earlier, SPEC, push(2, NOW), None, NOW).reason is Reason.SAME_PUSH
    held = user_commands.hold(waiting, None, "bad", "ann", None, NOW).desired
    assert held.holds[0].digest == push(2, NOW).digest


def test_another_repository_in_agents_yaml_ends_the_wait_of_a_push() -> None:
    assert not configured(pushed(LIVE, 2, NOW), NOW, SPEC.model_copy(update={"repository": "agents/other"})).waiting


def test_an_open_release_waits_for_nothing() -> None:
    waiting = pushed(LIVE, 2, NOW)
    assert waits_until(waiting, replace(ANSWERED, phase=Phase.STARTED), SPEC, NOW) is None
    assert waits_until(LIVE, ANSWERED, SPEC, NOW) is None


def test_a_secret_that_starts_before_the_push_is_old_enough_is_due_first() -> None:
    waiting = pushed(LIVE, 2, NOW)
    for starts, due in ((NOW + 9 * SECOND, NOW + 9 * SECOND), (NOW + 2 * AGE, NOW + AGE)):
        assert waits_until(waiting, replace(ANSWERED, secret_due=starts), SPEC, NOW) == due
