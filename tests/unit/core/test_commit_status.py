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
    ShownStatus,
    creates_deployment,
    missing_statuses,
    state_of_end,
    state_of_step,
)
from core.reasons import Reason
from core.source_commit import SourceCommit

AT = datetime(2026, 11, 29, 6, tzinfo=UTC)
QUEUED, IN_PROGRESS, SUCCESS, FAILURE, INACTIVE = CommitState


def status(state: CommitState, reason: Reason = Reason.LIVE) -> CommitStatus:
    return CommitStatus(state, reason, AT, "7")


def shown(state: CommitState) -> ShownStatus:
    return ShownStatus(state, "LIVE: text")


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
    assert not creates_deployment([shown(INACTIVE)])
    assert creates_deployment([shown(QUEUED), shown(INACTIVE)])


def test_every_order_of_deliveries_ends_in_the_same_state() -> None:
    for order in permutations((QUEUED, IN_PROGRESS, SUCCESS, SUCCESS)):
        existing = list[str]()
        for state in order:
            existing += [item.state for item in missing_statuses(existing, [shown(state)])]
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
    assert [item.state for item in missing_statuses(existing, [shown(state) for state in wanted])] == missing


def test_a_message_is_read_as_it_was_written() -> None:
    assert CommitStatusMessage.from_json(MESSAGE.to_json()) == MESSAGE
    again = MESSAGE.again()
    assert again.tries == 1
    assert CommitStatusMessage.from_json(json.dumps(json.loads(again.to_json()) | {"more": 1})) == again
    plain = replace(MESSAGE, traceparent=None)
    assert CommitStatusMessage.from_json(plain.to_json()) == plain


def test_messages_of_one_release_are_joined() -> None:
    later = replace(MESSAGE, statuses=(status(SUCCESS),), traceparent=None)
    joined = MESSAGE.joined_with(later)
    assert joined is not None
    assert [item.state for item in joined.statuses] == [QUEUED, IN_PROGRESS, SUCCESS]
    assert joined.traceparent == MESSAGE.traceparent
    assert MESSAGE.joined_with(replace(later, generation=4)) is None


def test_a_status_shows_its_reason_and_a_link() -> None:
    link = "https://logs.contoso.com/?q={target}/{version}/{reason}/{digest}/{target}"
    queued, _ = MESSAGE.shown(link, None)
    target = "support-agent%40prod-eu"
    assert queued.log_url == f"https://logs.contoso.com/?q={target}/7/BEGIN/sha256%3A{'a' * 64}/{target}"
    assert queued.description.startswith("BEGIN: ")
    assert {len(item.description) <= 140 for item in MESSAGE.shown(None, None)} == {True}
    assert MESSAGE.shown(None, None)[0].log_url == ""


@pytest.mark.parametrize("live", [None, "7"])
def test_a_success_replaces_what_was_live(live: str | None) -> None:
    (success,) = replace(MESSAGE, statuses=(status(SUCCESS),)).shown(None, live)
    assert (success.state, success.deactivates_others) == (SUCCESS, True)


def test_a_success_that_is_replaced_already_deactivates_nothing() -> None:
    success, inactive = replace(MESSAGE, statuses=(status(SUCCESS),)).shown(None, "8")
    assert [(item.state, item.deactivates_others) for item in (success, inactive)] == [
        (SUCCESS, False),
        (INACTIVE, False),
    ]


def test_a_deployment_names_its_release() -> None:
    deployment = MESSAGE.deployment(SourceCommit("github.com/contoso/support", "a" * 40))
    assert (deployment.repository, deployment.revision) == ("contoso/support", "a" * 40)
    release = {"target": MESSAGE.target, "generation": 3, "digest": MESSAGE.digest}
    assert deployment.payload == {"slipway": release}


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
