"""What an agent should run, after a push or a rotation was held against the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.desired import desire, rotate
from core.model import Push
from core.reasons import Reason
from core.record import Cause, Wanted
from core.rules import AgentRule

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
WANTED = Wanted(4, 3, PUSH, Cause.PUSH, NOW)


def rule(**given: Any) -> AgentRule:
    return AgentRule.model_validate({"name": "hello-agent", "repository": "agents/hello"} | given)


def test_a_newer_push_is_desired_and_is_a_word_of_peoples() -> None:
    later = replace(PUSH, tag="v2", digest=f"sha256:{'b' * 64}", pushed_at=NOW + timedelta(1))
    noted = desire(WANTED, rule(), later, "trace", NOW)
    assert (noted.reason, noted.asks) == (Reason.DESIRED, True)
    assert noted.wanted == Wanted(5, 5, later, Cause.PUSH, NOW, traceparent="trace")


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
    noted = desire(WANTED, rule(**given), push, None, NOW)
    assert (noted.wanted, noted.reason, noted.asks) == (WANTED, reason, asks)


def test_a_push_that_must_soak_is_due_once_it_is_old_enough() -> None:
    noted = desire(Wanted(), rule(release={"soak": "1h"}), PUSH, None, NOW)
    assert noted.wanted.due == NOW + timedelta(hours=1)


def test_a_rotation_wants_the_same_push_again_after_the_quiet_time() -> None:
    noted = rotate(WANTED, rule(release={"settle": "20s"}), "trace", NOW)
    assert (noted.reason, noted.asks) == (Reason.DESIRED, True)
    due = NOW + timedelta(seconds=20)
    assert noted.wanted == replace(WANTED, serial=5, cause=Cause.SECRET, due=due, traceparent="trace")


def test_a_rotation_is_no_word_of_peoples() -> None:
    assert rotate(WANTED, rule(), None, NOW).wanted.by_people == WANTED.by_people


def test_a_rotation_before_the_first_push_and_one_that_the_rule_ignores_change_nothing() -> None:
    assert rotate(Wanted(), rule(), None, NOW).reason is Reason.NOTHING_DESIRED
    ignored = rotate(WANTED, rule(release={"on_secret_change": "ignore"}), None, NOW)
    assert (ignored.wanted, ignored.reason) == (WANTED, Reason.SECRET_CHANGE_IGNORED)
