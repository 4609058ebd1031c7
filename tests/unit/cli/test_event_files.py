"""Files of events in every shape that Azure, our journal and people give them, and rubbish."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cli.codes import Mistake
from cli.event_files import in_order, of_text, read
from cli.sending import as_cloud_event, as_sent, modelled
from tests.support.builders import cloud_event, push_event, secret_event

ONE = push_event()
DEAD = ONE | {"deadLetterReason": "MaxDeliveryAttemptsExceeded", "deliveryAttempts": 30, "publishTime": "x"}
DEAD_CLOUD = cloud_event(deadletterreason="TimeToLiveExceeded", deliveryattempts=3, lastdeliveryoutcome="Busy")


def coded(event: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(event).encode()).decode()


@pytest.mark.parametrize(
    ("text", "events"),
    [
        pytest.param(json.dumps(ONE), [ONE], id="one"),
        pytest.param(json.dumps(ONE, indent=1), [ONE], id="one over many lines"),
        pytest.param(json.dumps([ONE, cloud_event()]), [ONE, cloud_event()], id="an array of both schemas"),
        pytest.param(f"{json.dumps(ONE)}\n\n{json.dumps(secret_event())}\n", [ONE, secret_event()], id="one a line"),
        pytest.param(json.dumps([DEAD]), [ONE], id="a dead-letter blob"),
        pytest.param(json.dumps([DEAD_CLOUD]), [cloud_event()], id="a dead-letter blob of CloudEvents"),
        pytest.param(json.dumps({"reason": "POISONED", "message": json.dumps(ONE)}), [ONE], id="our journal's line"),
        pytest.param(json.dumps([{"id": "m", "content": coded(ONE)}]), [ONE], id="az storage message peek"),
        pytest.param(json.dumps({"messageText": coded([ONE])}), [ONE], id="a queue's own words"),  # type: ignore[arg-type]
        pytest.param('{"target": "a", "traceparent": null}', [{"target": "a", "traceparent": None}], id="a release"),
    ],
)
def test_every_event_of_a_file_is_found(text: str, events: list[dict[str, Any]]) -> None:
    assert [one.body for one in of_text(text, "f")] == events


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "f is empty", id="empty"),
        pytest.param("  \n", "f is empty", id="blank"),
        pytest.param("rubbish", "f, line 1 is no JSON", id="rubbish"),
        pytest.param('[{"id": 1},\n oops]', "f is no JSON", id="a broken array"),
        pytest.param(f"{json.dumps(ONE)}\nrubbish", "f, line 2 is no JSON", id="a broken line"),
        pytest.param("7", "f is a number, and no event", id="a number"),
        pytest.param('"text"', "f is a text, and no event", id="a text"),
        pytest.param("null", "f is null, and no event", id="null"),
        pytest.param("[1]", "f, event 1 is a number", id="an array of something else"),
        pytest.param('{"id": "x"}', "f has no eventType and no type", id="another object"),
        pytest.param('{"message": "no JSON"}', "keeps a message that is no JSON", id="a broken message"),
        pytest.param("[" * 100_000, "nested too deeply", id="endless"),
    ],
)
def test_what_is_none_is_told_with_its_place(text: str, why: str) -> None:
    with pytest.raises(Mistake, match=why):
        of_text(text, "f")


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="No such file"):
        read([str(tmp_path / "none")])
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Mistake, match="is not text"):
        read([str(tmp_path / "binary")])


def test_each_is_sent_once_and_the_oldest_first() -> None:
    late = push_event(id="late", eventTime="2026-11-24T13:00:00Z")
    undated = push_event(id="undated", eventTime="019-03-12T")
    found = of_text(json.dumps([late, undated, ONE, ONE, {"target": "a"}, {"target": "a"}, DEAD]), "f")
    assert [one.id for one in in_order(found)] == ["event-1", "late", "undated", "a"]


def test_the_same_id_of_another_source_is_another_event() -> None:
    other = push_event(topic="/registries/other")
    assert len(in_order(of_text(json.dumps([ONE, other]), "f"))) == 2


@pytest.mark.parametrize("event", [ONE, cloud_event(traceparent=f"00-{'a' * 32}-{'b' * 16}-01")], ids=["grid", "cloud"])
def test_what_is_sent_is_what_the_models_of_azure_eventgrid_make_of_it(event: dict[str, Any]) -> None:
    (found,) = of_text(json.dumps(event), "f")
    sent = as_sent(modelled(found))
    kept = {key: value for key, value in sent.items() if key not in ("eventTime", "time")}
    assert kept == {key: value for key, value in event.items() if key not in ("eventTime", "time")}


def test_to_a_custom_topic_an_event_goes_as_a_cloud_event_of_its_own_registry() -> None:
    (found,) = of_text(json.dumps(ONE), "f")
    made = as_cloud_event(modelled(found))  # type: ignore[arg-type]
    assert (made.source, made.type, made.id, made.data) == (ONE["topic"], ONE["eventType"], "event-1", ONE["data"])


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (push_event(eventTime="019-03-12T"), "Invalid datetime string: 019-03-12T"),
        ({"specversion": "1.0", "type": "x", "id": "1"}, "does not conform to the cloud event spec"),
    ],
)
def test_what_the_models_refuse_is_a_mistake_before_anything_is_sent(event: dict[str, Any], why: str) -> None:
    (found,) = of_text(json.dumps(event), "letters.json")
    with pytest.raises(Mistake, match=f"letters.json is no event that can be sent: .*{why}"):
        modelled(found)
