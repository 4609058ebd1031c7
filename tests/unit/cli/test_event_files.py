"""Event files in every form that Azure, the journal and users write, and invalid ones."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.event_files import deduplicate_and_sort, parse_text, read_files
from cli.exit_codes import UsageError
from tests.support.builders import cloud_event, push_event, secret_event

PUSH = push_event()
DEAD = PUSH | {"deadLetterReason": "MaxDeliveryAttemptsExceeded", "deliveryAttempts": 30, "publishTime": "x"}
DEAD_CLOUD = cloud_event(deadletterreason="TimeToLiveExceeded", deliveryattempts=3, lastdeliveryoutcome="Busy")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def encoded(document: object) -> str:
    return base64_of(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("text", "events"),
    [
        pytest.param(json.dumps(PUSH), [PUSH], id="one event"),
        pytest.param(json.dumps(PUSH, indent=1), [PUSH], id="one event over many lines"),
        pytest.param(json.dumps([PUSH, cloud_event()]), [PUSH, cloud_event()], id="an array of both schemas"),
        pytest.param(
            f"{json.dumps(PUSH)}\n\n{json.dumps(secret_event())}\n", [PUSH, secret_event()], id="one event per line"
        ),
        pytest.param(json.dumps([DEAD]), [PUSH], id="a dead-letter blob"),
        pytest.param(json.dumps([DEAD_CLOUD]), [cloud_event()], id="a dead-letter blob of CloudEvents"),
        pytest.param(json.dumps({"reason": "POISONED", "message": json.dumps(PUSH)}), [PUSH], id="a journal line"),
        pytest.param(json.dumps([{"id": "m", "content": encoded(PUSH)}]), [PUSH], id="az storage message peek"),
        pytest.param(json.dumps({"messageText": encoded([PUSH])}), [PUSH], id="a queue's own key"),
        pytest.param('{"target": "a", "traceparent": null}', [{"target": "a", "traceparent": None}], id="a release"),
    ],
)
def test_every_event_of_a_file_is_found(text: str, events: list[dict[str, Any]]) -> None:
    assert [event.body for event in parse_text(text, "f")] == events


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "f is empty", id="empty"),
        pytest.param("  \n", "f is empty", id="blank"),
        pytest.param("rubbish", "f, line 1 is not JSON", id="rubbish"),
        pytest.param('[{"id": 1},\n oops]', "f is not JSON", id="a broken array"),
        pytest.param(f"{json.dumps(PUSH)}\nrubbish", "f, line 2 is not JSON", id="a broken line"),
        pytest.param("7", "f is a number, not an event", id="a number"),
        pytest.param('"text"', "f is a string, not an event", id="a string"),
        pytest.param("null", "f is null, not an event", id="null"),
        pytest.param("[1]", "f, event 1 is a number", id="an array of numbers"),
        pytest.param('{"id": "x"}', "f has no eventType and no type", id="another object"),
        pytest.param('{"message": "no JSON"}', "holds a message that is not JSON", id="a broken message"),
        pytest.param("[" * 100_000, "nested too deeply", id="deep nesting"),
        pytest.param(f"[{'9' * 5_000}]", "it has a number with too many digits", id="a huge number"),
    ],
)
def test_an_invalid_file_is_refused_with_the_position(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_text(text, "f")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_and_messages_of_windows_tools_are_read(tmp_path: Path, encoding: str) -> None:
    """PowerShell 5 writes UTF-16 with >, and base64 of UTF-16 with [Text.Encoding]::Unicode."""
    data = json.dumps(PUSH).encode(encoding)
    (tmp_path / "event").write_bytes(data)
    message = json.dumps({"message": data.decode("utf-8", "replace")}), json.dumps({"content": base64_of(data)})
    for found in (read_files([str(tmp_path / "event")]), *(parse_text(text, "f") for text in message)):
        assert [event.body for event in found] == [PUSH]


def test_the_input_may_be_utf_16() -> None:
    program = "from cli.event_files import read_files; print(read_files(['-'])[0].id)"
    data = json.dumps(PUSH).encode("utf-16")
    ran = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert ran.stdout.split() == [b"event-1"]


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_files([str(tmp_path / "none")])
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not text"):
        read_files([str(tmp_path / "binary")])


def test_events_are_deduplicated_and_sorted_by_time() -> None:
    late = push_event(id="late", eventTime="2026-11-24T13:00:00Z")
    undated = push_event(id="undated", eventTime="019-03-12T")
    found = parse_text(json.dumps([late, undated, PUSH, PUSH, {"target": "a"}, {"target": "a"}, DEAD]), "f")
    assert [event.id for event in deduplicate_and_sort(found)] == ["event-1", "late", "undated", "a"]


def test_the_same_id_from_another_source_is_another_event() -> None:
    other = push_event(topic="/registries/other")
    assert len(deduplicate_and_sort(parse_text(json.dumps([PUSH, other]), "f"))) == 2


def test_a_folder_stands_for_the_files_in_it_at_any_depth(tmp_path: Path) -> None:
    deep = tmp_path / "topic" / "subscription" / "2026" / "11" / "24" / "12"
    deep.mkdir(parents=True)
    (deep / "letter.json").write_text(json.dumps(push_event(id="deep-1")))
    (tmp_path / "first.json").write_text(json.dumps(push_event(id="first-1")))
    assert [event.id for event in read_files([str(tmp_path)])] == ["first-1", "deep-1"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty has no JSON file"):
        read_files([str(tmp_path / "empty")])
