"""Which statuses a release gives its deployment on GitHub: each state once, in order; and the message for them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from core.commit_status import (
    MAX_AGE,
    MAX_STATUSES,
    CommitState,
    CommitStatus,
    CommitStatusMessage,
    creates_deployment,
    missing_statuses,
    state_of_end,
    state_of_step,
)
from core.reasons import Reason

AT = datetime(2026, 11, 29, 6, tzinfo=UTC)
QUEUED, IN_PROGRESS, SUCCESS, FAILURE, INACTIVE = CommitState


def status(state: CommitState, reason: Reason = Reason.LIVE) -> CommitStatus:
    return CommitStatus(state, reason, AT, "7")


MESSAGE = CommitStatusMessage(
    "support-agent@prod-eu",
    "agents/support",
    f"sha256:{'a' * 64}",
    3,
    (status(QUEUED, Reason.BEGIN), status(IN_PROGRESS, Reason.CREATE)),
    "github.com/contoso/support",
    "a" * 40,
    traceparent="00-1-2-01",
)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.BEGIN, QUEUED),
        (Reason.CREATE, IN_PROGRESS),
        (Reason.ADOPT, IN_PROGRESS),
        (Reason.TRAFFIC_MOVED, IN_PROGRESS),
        (Reason.APPROVAL_WAITING, None),
        (Reason.MAKE_ROOM, None),
    ],
)
def test_a_step_has_a_state(reason: Reason, state: CommitState | None) -> None:
    assert state_of_step(reason) is state


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.LIVE, SUCCESS),
        (Reason.CHECK_INCONCLUSIVE, SUCCESS),
        (Reason.CHECK_FAILED, FAILURE),
        (Reason.IMAGE_ERROR, FAILURE),
        (Reason.SECRET_MISSING, FAILURE),
        (Reason.SUPERSEDED, INACTIVE),
        (Reason.ROUTING_CHANGED, INACTIVE),
        (Reason.ALREADY_LIVE, None),
    ],
)
def test_an_end_has_a_state(reason: Reason, state: CommitState | None) -> None:
    assert state_of_end(reason) is state


def test_what_released_nothing_creates_no_deployment() -> None:
    assert not creates_deployment([status(INACTIVE)])
    assert creates_deployment([status(QUEUED), status(INACTIVE)])


def test_every_order_of_deliveries_ends_in_the_same_state() -> None:
    for order in permutations((QUEUED, IN_PROGRESS, SUCCESS, SUCCESS)):
        existing = list[str]()
        for state in order:
            existing += [item.state for item in missing_statuses(existing, [status(state)])]
        assert existing[-1] == SUCCESS
        assert len(existing) == len(set(existing))


@pytest.mark.parametrize(
    ("existing", "wanted", "missing"),
    [
        ([], [IN_PROGRESS, QUEUED], [QUEUED, IN_PROGRESS]),
        (["queued"], [QUEUED, IN_PROGRESS, SUCCESS], [IN_PROGRESS, SUCCESS]),
        (["failure", "queued"], [SUCCESS], []),
        (["success"], [FAILURE], []),
        (["inactive", "success"], [SUCCESS], []),
        (["success"], [INACTIVE], [INACTIVE]),
        (["pending", "error"], [QUEUED, QUEUED], [QUEUED]),
    ],
)
def test_a_deployment_gets_each_state_once_and_none_that_comes_before(
    existing: list[str], wanted: list[CommitState], missing: list[CommitState]
) -> None:
    assert [item.state for item in missing_statuses(existing, [status(state) for state in wanted])] == missing


def test_a_message_is_read_as_it_was_written() -> None:
    assert CommitStatusMessage.from_json(MESSAGE.to_json()) == MESSAGE
    again = MESSAGE.again()
    assert again.tries == 1
    assert CommitStatusMessage.from_json(json.dumps(json.loads(again.to_json()) | {"more": 1})) == again
    plain = replace(MESSAGE, traceparent=None)
    assert CommitStatusMessage.from_json(plain.to_json()) == plain


def test_a_message_gets_too_old() -> None:
    assert not MESSAGE.is_too_old(AT + MAX_AGE)
    assert MESSAGE.is_too_old(AT + MAX_AGE + timedelta(seconds=1))


@pytest.mark.parametrize(
    "change",
    [
        *({"target": ""}, {"target": 7}, {"generation": "3"}, {"generation": True}, {"statuses": []}, {"statuses": 7}),
        {"statuses": [{"state": "done", "reason": "LIVE", "at": AT.isoformat()}]},
        {"statuses": [{"state": "success", "reason": "NEW", "at": AT.isoformat()}]},
        {"statuses": [{"state": "success", "reason": "LIVE", "at": "2026-11-29T06:00:00"}]},
        {"statuses": ["success"]},
        {"statuses": [{"state": "success", "reason": "LIVE", "at": AT.isoformat()}] * (MAX_STATUSES + 1)},
    ],
)
def test_a_message_of_somebody_else_is_not_read(change: dict[str, object]) -> None:
    assert CommitStatusMessage.from_json(json.dumps(json.loads(MESSAGE.to_json()) | change)) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "{}", "[" * 100_000])
def test_a_text_that_is_no_message_is_not_read(text: str) -> None:
    assert CommitStatusMessage.from_json(text) is None
