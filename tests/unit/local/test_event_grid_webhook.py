"""What the web-hook of the Event Grid trigger answers; most of it is compared with the recorded host."""

from __future__ import annotations

import json

import pytest
from multidict import MultiDict

from local.functions_host.event_grid import Answer, Deliver, after_runs, before_body, with_body

NAMES = {"on_event"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ([("functionName", "on_event")], 202),
        ([("FUNCTIONNAME", "on_event")], 202),
        ([("functionName", "ON_EVENT")], 404),
        ([("functionName", "on_event"), ("functionName", "x")], 404),
        ([], 404),
    ],
)
def test_a_function_is_named_with_case_and_the_parameter_without(query: list[tuple[str, str]], status: int) -> None:
    answer = before_body("POST", MultiDict(query), " unsubscribe ", NAMES)
    assert isinstance(answer, Answer)
    assert answer.status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
@pytest.mark.parametrize("kind", ["Notification", " notification ", "SubscriptionValidation"])
def test_only_two_kinds_need_a_body_whatever_the_method(method: str, kind: str) -> None:
    query = MultiDict({"functionName": "on_event"})
    assert before_body(method, query, kind, NAMES) == "on_event"
    assert before_body(method, query, f"{kind},x", NAMES) == Answer(400)


def test_the_handshake_needs_a_known_function() -> None:
    known, unknown = (
        before_body("OPTIONS", MultiDict({"functionName": name}), "", NAMES) for name in ("on_event", "x")
    )
    assert known == Answer(200, headers={"WebHook-Allowed-Origin": "eventgrid.azure.net"})
    assert unknown == Answer(404, "cannot find function: 'x'")


BAD = ["", "{", "17", "null", '"x"', "true", "[1]", "[null]", '[[{"id": 1}]]', '{"a": 1} x', "[" * 40_000, "\xff"]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("kind", ["Notification", "SubscriptionValidation"])
def test_a_body_that_the_host_cannot_read_runs_nothing(body: str, kind: str) -> None:
    assert with_body(kind, body.encode("latin-1")) == Answer(500)


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ({"data": {"validationCode": "c"}}, Answer(200, '{"validationResponse":"c"}')),
        ({"data": {"validationCode": 5}}, Answer(200, '{"validationResponse":"5"}')),
        ({"data": {"ValidationCode": "c"}}, Answer(500)),
        ({"data": '{"validationCode": "c"}'}, Answer(500)),
        ({"data": None}, Answer(500)),
        ({}, Answer(500)),
    ],
)
def test_a_validation_is_answered_alone_or_as_the_first_of_many(event: dict[str, object], answer: Answer) -> None:
    for body in (event, [event], [event, {"data": {"validationCode": "d"}}]):
        assert with_body("subscriptionvalidation", json.dumps(body).encode()) == answer
    assert with_body("subscriptionvalidation", b"[]") == Answer(500)


def test_each_event_is_handed_over_as_indented_json() -> None:
    assert with_body("notification", '[{"a": {}, "b": "é"}, {}]'.encode()) == Deliver(
        ('{\n  "a": {},\n  "b": "é"\n}', "{}"),
    )
    assert with_body("notification", b"[]") == Deliver(())


def test_one_failed_run_is_a_failed_delivery() -> None:
    assert after_runs("on_event", [True, True]) == Answer(202)
    assert after_runs("on_event", [True, False]) == Answer(
        500, "Exception while executing function: Functions.on_event"
    )
