"""Stored states of other versions: unknown fields survive a rewrite, and a newer schema is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.image_manifest import ImageFacts
from core.model import Push, Routing
from core.state.desired import Approval, Cause, DesiredState, Hold, LiftedHold, Pause, RollbackRequest
from core.state.evaluation import CriterionResult, Evaluation, Score
from core.state.release import GoodVersion, HistoryEntry, PendingWrite, Phase, ReleaseState, WriteKind
from handlers.gateways.errors import PermanentError
from handlers.gateways.storage.state_store import DESIRED_CODEC, RELEASE_CODEC

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
HOLD = Hold("f" * 64, PUSH.digest, "CHECK_FAILED", "wrong", NOW)
DESIRED = DesiredState(
    generation=3,
    user_generation=2,
    push=PUSH,
    cause=Cause.PUSH,
    pause=Pause("exams", "alice", NOW),
    approval=Approval("2", "f" * 64, "alice", NOW),
    holds=(HOLD, replace(HOLD, fingerprint="e" * 64)),
    lifted=(LiftedHold("f" * 64, PUSH.digest, NOW),),
    rollback=RollbackRequest("1", 3),
)
RELEASE = ReleaseState(
    observed_generation=3,
    push=PUSH,
    secrets={"key": "0" * 32},
    variables=frozenset({"A", "B", "C"}),
    phase=Phase.CONFIRMED,
    routing_at_start=Routing.to("1"),
    pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, routing=Routing.to("2"), seen_at=NOW),
    last_good=GoodVersion(PUSH, "e" * 64, "1"),
    holds=(HOLD,),
    evaluation=Evaluation(
        *("2", "k", NOW),
        scores=(Score("expect", 0.9), Score("latency_p95", 1.5)),
        results=(CriterionResult("expect", 0.9, 0.8, live=1.0), CriterionResult("latency_p95", 1.5, 3.0, unit=" s")),
    ),
    image_facts={PUSH.digest: ImageFacts(amd64=PUSH.digest)},
    created_at={"1": NOW, "2": NOW},
    fingerprints={"2": "f" * 64},
    history=(HistoryEntry(NOW, "LIVE", PUSH.digest, "1"), HistoryEntry(NOW, "LIVE", PUSH.digest, "2")),
)
MAPPINGS = ("secrets", "created_at", "fingerprints", "image_facts", "named_secrets", "tagged")


def extend(value: Any, name: str = "") -> Any:
    """The value with an unknown field in each object, at every depth."""
    if isinstance(value, list):
        return [extend(item) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {key: extend(field, key) for key, field in value.items()}
    return fields if name in MAPPINGS else {**fields, "added_later": {"name": name, "list": [1, {"x": None}]}}


def as_newer(encoded: bytes) -> bytes:
    return json.dumps(extend(json.loads(encoded))).encode()


@pytest.mark.parametrize(
    ("codec", "state"), [(DESIRED_CODEC, DESIRED), (RELEASE_CODEC, RELEASE)], ids=["desired", "release"]
)
def test_unknown_fields_survive_at_every_depth_and_reach_no_state(codec: Any, state: Any) -> None:
    stored = as_newer(codec.encode(state))
    assert stored.count(b"added_later") >= 7
    assert codec.decode(stored, "x") == state
    number = "generation" if state is DESIRED else "observed_generation"
    changed = replace(state, **{number: 4})
    written = codec.encode(changed, stored)
    assert json.loads(written) == {**json.loads(stored), number: 4}
    assert codec.decode(written, "x") == changed
    assert json.loads(codec.encode(state, stored)) == json.loads(stored)


def test_elements_that_stay_keep_their_unknown_fields_wherever_they_move() -> None:
    stored = as_newer(DESIRED_CODEC.encode(DESIRED))
    first, second = json.loads(stored)["holds"]
    new = replace(HOLD, reason="HELD_BY_PERSON")
    written = json.loads(DESIRED_CODEC.encode(replace(DESIRED, holds=(new, DESIRED.holds[1], HOLD)), stored))
    assert written["holds"][1:] == [second, first]
    assert "added_later" not in written["holds"][0]


def test_entries_of_a_mapping_stay_or_go_one_by_one() -> None:
    stored = as_newer(RELEASE_CODEC.encode(RELEASE))
    facts = {**RELEASE.image_facts, "sha256:new": ImageFacts(reason="IMAGE_GONE")}
    written = json.loads(RELEASE_CODEC.encode(replace(RELEASE, image_facts=facts, created_at={"2": NOW}), stored))
    assert written["image_facts"][PUSH.digest] == json.loads(stored)["image_facts"][PUSH.digest]
    assert "added_later" not in written["image_facts"]["sha256:new"]
    assert list(written["created_at"]) == ["2"]


def test_names_of_a_set_stay_what_they_are() -> None:
    stored = json.dumps({**json.loads(RELEASE_CODEC.encode(RELEASE)), "variables": ["C", "A", "B"]}).encode()
    for names in ({"A", "C"}, {"B"}, set[str](), {"D"}):
        written = RELEASE_CODEC.encode(replace(RELEASE, variables=frozenset(names)), stored)
        assert RELEASE_CODEC.decode(written, "x").variables == names


def test_what_is_replaced_loses_the_unknown_fields_of_its_predecessor() -> None:
    stored = as_newer(DESIRED_CODEC.encode(DESIRED))
    changed = replace(DESIRED, push=replace(PUSH, tag="v2"), pause=None)
    written = json.loads(DESIRED_CODEC.encode(changed, stored))
    assert "added_later" not in written["push"]
    assert written["pause"] is None
    assert "added_later" in written, "the state itself is still the same one"


def test_fields_that_an_older_version_did_not_write_have_their_defaults() -> None:
    assert DESIRED_CODEC.decode(b'{"schema": 1, "generation": 2}', "x") == DesiredState(generation=2)
    written = DESIRED_CODEC.encode(DESIRED, b'{"schema": 1, "generation": 2}')
    assert DESIRED_CODEC.decode(written, "x") == DESIRED


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (
            b'{"schema": 2, "generation": {"new": "form"}}',
            "desired/a.json has schema 2, this version reads 1: deploy the newer Slipway again; nothing is overwritten",
        ),
        (b'{"schema": 0}', "desired/a.json has an unknown schema"),
        (b'{"schema": "2"}', "desired/a.json has an unknown schema"),
        (b'{"generation": 2}', "desired/a.json is not a state that Slipway wrote"),
        (b"[" * 100_000, "desired/a.json is not a state that Slipway wrote"),
        (b"half an ans", "desired/a.json is not a state that Slipway wrote"),
    ],
)
def test_a_state_that_cannot_be_read_is_refused_in_one_line(stored: bytes, message: str) -> None:
    with pytest.raises(PermanentError) as refused:
        DESIRED_CODEC.decode(stored, "desired/a.json")
    assert str(refused.value) == f"storage: STATE_UNREADABLE: {message}"
