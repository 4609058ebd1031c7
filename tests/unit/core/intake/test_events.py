"""What an agent should run, after a push or a rotation was held against the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.agents_file.spec import AgentSpec
from core.intake.events import apply_config, apply_push, apply_rotation, runtime_hash
from core.model import Push
from core.reasons import Reason
from core.state.desired import Cause, DesiredState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
WANTED = DesiredState(4, 3, PUSH, Cause.PUSH, NOW)


def rule(**given: Any) -> AgentSpec:
    return AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello"} | given)


def test_a_newer_push_is_desired_and_is_a_word_of_peoples() -> None:
    later = replace(PUSH, tag="v2", digest=f"sha256:{'b' * 64}", pushed_at=NOW + timedelta(1))
    noted = apply_push(WANTED, rule(), later, "trace", NOW)
    assert (noted.reason, noted.enqueues) == (Reason.ACCEPTED, True)
    assert noted.desired == DesiredState(
        5, 5, later, Cause.PUSH, NOW, runtime_hash=runtime_hash(rule()), traceparent="trace"
    )


@pytest.mark.parametrize(
    ("given", "push", "reason", "asks"),
    [
        pytest.param({}, PUSH, Reason.SAME_PUSH, True, id="the same push asks again: the first may have died"),
        pytest.param({}, replace(PUSH, tag="v0", pushed_at=NOW - timedelta(1)), Reason.NOT_NEWER, False, id="late"),
        pytest.param({"tags": {"allow": ["^x"]}}, PUSH, Reason.TAG_NOT_ALLOWED, False, id="not allowed"),
    ],
)
def test_any_other_push_leaves_the_ledger_as_it_is(
    given: dict[str, Any], push: Push, reason: Reason, asks: bool
) -> None:
    noted = apply_push(WANTED, rule(**given), push, None, NOW)
    assert (noted.desired, noted.reason, noted.enqueues) == (WANTED, reason, asks)


def test_a_push_that_must_soak_is_due_once_it_is_old_enough() -> None:
    noted = apply_push(DesiredState(), rule(release={"min_push_age": "1h"}), PUSH, None, NOW)
    assert noted.desired.not_before == NOW + timedelta(hours=1)


def test_a_rotation_wants_the_same_push_again_after_the_quiet_time() -> None:
    noted = apply_rotation(WANTED, rule(release={"debounce": "20s"}), "trace", NOW)
    assert (noted.reason, noted.enqueues) == (Reason.ACCEPTED, True)
    due = NOW + timedelta(seconds=20)
    assert noted.desired == replace(WANTED, generation=5, cause=Cause.SECRET, not_before=due, traceparent="trace")


def test_a_rotation_is_no_word_of_peoples() -> None:
    assert apply_rotation(WANTED, rule(), None, NOW).desired.user_generation == WANTED.user_generation


def test_a_rotation_before_the_first_push_and_one_that_the_rule_ignores_change_nothing() -> None:
    assert apply_rotation(DesiredState(), rule(), None, NOW).reason is Reason.NO_PUSH_YET
    ignored = apply_rotation(WANTED, rule(release={"on_secret_change": "ignore"}), None, NOW)
    assert (ignored.desired, ignored.reason) == (WANTED, Reason.SECRET_CHANGE_IGNORED)


def test_a_changed_rule_wants_the_same_push_again_and_is_a_word_of_peoples() -> None:
    noted = apply_config(replace(WANTED, runtime_hash=runtime_hash(rule())), rule(cpu="2", memory="4Gi"), NOW)
    assert (noted.reason, noted.enqueues) == (Reason.CONFIG_CHANGED, True)
    assert (noted.desired.generation, noted.desired.user_generation, noted.desired.push) == (5, 5, PUSH)
    assert (noted.desired.cause, noted.desired.not_before) == (Cause.CONFIGURATION, NOW + timedelta(seconds=30))
    assert apply_config(noted.desired, rule(cpu="2", memory="4Gi"), NOW).reason is Reason.NO_PUSH_YET


@pytest.mark.parametrize(
    "given",
    [{"keep": {"newest": 1}}, {"release": {"mode": "manual"}}, {"tags": {"ignore": ["x"]}}, {"inspect": "never"}],
)
def test_a_change_of_what_does_not_run_makes_no_version(given: dict[str, Any]) -> None:
    assert runtime_hash(rule(**given)) == runtime_hash(rule())


def test_what_was_only_told_is_released_once_the_mode_allows_it() -> None:
    told = replace(WANTED, runtime_hash=runtime_hash(rule(release={"mode": "notify"})))
    assert apply_config(told, rule(), NOW).reason is Reason.CONFIG_CHANGED


def test_an_agent_that_follows_another_repository_now_waits_for_its_next_push() -> None:
    moved = rule(repository="agents/new")
    noted = apply_config(replace(WANTED, runtime_hash=runtime_hash(rule())), moved, NOW)
    assert (noted.enqueues, noted.desired.generation, noted.desired.runtime_hash) == (False, 4, runtime_hash(moved))
    older = replace(PUSH, repository="agents/new", pushed_at=NOW - timedelta(days=9))
    assert apply_push(noted.desired, moved, older, None, NOW).reason is Reason.ACCEPTED


def test_nothing_is_configured_before_the_first_push() -> None:
    assert apply_config(DesiredState(), rule(), NOW).desired == DesiredState()
