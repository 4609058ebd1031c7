"""The rows of the page's board, from what ``slipway status --json`` prints."""

from __future__ import annotations

from core.reasons import Reason
from local.telemetry.board import severities, to_row


def test_the_severity_of_every_reason_is_known() -> None:
    assert severities() == {reason.value: str(reason.severity) for reason in Reason}


def test_a_failed_target_says_what_to_do() -> None:
    status = {
        "agent": "a",
        "stage_number": 1,
        "live": "1",
        "live_tag": "v1",
        "desired": "v2",
        "state": "VERIFY_FAILED",
        "state_tag": "v2",
        "since": "2026-11-25T12:00:00+00:00",
        "detail": "answered 5 characters",
        "next": "Fix the image.",
        "holds": [{"reason": "VERIFY_FAILED", "digest": f"sha256:{'4' * 64}", "fingerprint": "f"}],
        "pause": {"by": "ann", "why": "an incident"},
        "waiting": [{"tag": "v3"}],
        "window_opens": "Monday 08:00",
    }
    row = to_row(status)
    assert (row["severity"], row["is_open"], row["since"]) == ("error", False, 1_795_608_000_000)
    assert (row["detail"], row["next"]) == ("answered 5 characters", "Fix the image.")
    assert row["notes"] == [
        "paused by ann: an incident",
        "sha256:444444444444 is held: VERIFY_FAILED",
        "v3 waits for its age",
        "window opens Monday 08:00",
    ]


def test_a_phase_is_a_release_in_progress_and_an_unread_agent_a_warning() -> None:
    assert to_row({"agent": "a", "stage_number": 1, "state": "verified"})["is_open"]
    unread = to_row({"agent": "a", "error": {"service": "storage", "code": "503", "detail": "busy"}})
    assert (unread["severity"], unread["is_open"], unread["detail"]) == ("warning", False, "storage: 503: busy")


def test_a_target_of_a_later_stage_says_where_it_is_and_until_when_it_waits() -> None:
    wait = {"tag": "v2", "reason": "STAGE_WAITING", "until": "2026-11-25T13:00:00+00:00"}
    row = to_row({"agent": "a@eu", "stage_number": 2, "state": "STAGE_WAITING", "stage": wait})
    assert (row["target"], row["agent"], row["project"], row["stage"]) == ("a@eu", "a", "eu", 2)
    assert row["notes"] == ["v2 waits for its stage until 2026-11-25 13:00:00 UTC"]
    assert (row["severity"], row["is_open"]) == ("info", False)
    refused = to_row({"agent": "a@eu", "stage_number": 2, "state": "LIVE", "stage": wait | {"reason": "TAG_IGNORED"}})
    assert refused["notes"] == []


def test_the_detail_of_a_rejected_push_is_shown_once() -> None:
    rejected = {"tag": "v1", "reason": "WRONG_PLATFORM", "detail": "linux/arm64"}
    status = {"agent": "a", "state": "WRONG_PLATFORM", "detail": "linux/arm64", "rejected": rejected}
    row = to_row(status)
    assert (row["detail"], row["notes"]) == ("", ["push of v1 rejected: WRONG_PLATFORM: linux/arm64"])
    assert to_row({**status, "detail": "linux/s390x"})["detail"] == "linux/s390x"


def test_what_is_unusual_about_a_target_stands_beside_it() -> None:
    unusual = {
        "rejected": {"tag": "v9", "reason": "WRONG_PLATFORM", "detail": "linux/arm64"},
        "enabled": False,
        "rolled_back": {"version": "1", "why": "odd answers"},
        "routing_changed_outside": True,
        "not_read": {"code": "429", "detail": "busy"},
    }
    assert to_row({"agent": "a", "state": "LIVE", **unusual})["notes"] == [
        "push of v9 rejected: WRONG_PLATFORM: linux/arm64",
        "rolled back to version 1: odd answers",
        "traffic was moved outside Slipway: DRIFT",
        "the agent is disabled in Foundry",
        "not read from Foundry: 429: busy",
    ]
