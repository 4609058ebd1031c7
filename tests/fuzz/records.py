"""Desired state and release state as stored bytes: decoded to the same value, or rejected."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from core.image_manifest import ImageFacts
from core.model import Push, Routing
from core.state.desired import Approval, Cause, DesiredState, Hold, LiftedHold, Pause
from core.state.release import GoodVersion, HistoryEntry, PendingWrite, Phase, ReleaseState, WriteKind
from handlers.gateways.errors import PermanentError
from handlers.gateways.storage.json_codec import Codec
from handlers.gateways.storage.state_store import DESIRED_CODEC, RELEASE_CODEC
from tests.fuzz.target import Target
from tests.fuzz.values import VALUES, as_bytes, mutated, serialized

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", AT, "event-1")
HOLD = Hold("f" * 64, PUSH.digest, "VERIFY_FAILED", "sorry", AT, AT + timedelta(days=7), "somebody")
FULL_DESIRED = DesiredState(
    generation=7,
    user_generation=6,
    push=PUSH,
    cause=Cause.PUSH,
    updated_at=AT,
    not_before=AT,
    pause=Pause("why", "who", AT, AT),
    approval=Approval("3", "f" * 64, "who", AT),
    holds=(HOLD,),
    lifted=(LiftedHold("f" * 64, PUSH.digest, AT),),
    newest_push=PUSH,
    runtime_hash="0" * 16,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
FULL_RELEASE = ReleaseState(
    observed_generation=7,
    push=PUSH,
    fingerprint="f" * 64,
    secrets={"key": "0" * 32},
    image="demo.azurecr.io/a@sha256:0",
    variables=frozenset({"KEY"}),
    phase=Phase.STARTED,
    started_at=AT,
    candidate="3",
    routing_at_start=Routing.to("2"),
    expected_routing=Routing.to("2"),
    routed_at=AT,
    pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, AT, Routing.to("3"), 3),
    last_good=GoodVersion(PUSH, "e" * 64, "2"),
    previous_good=GoodVersion(PUSH, "d" * 64, "1"),
    holds=(HOLD,),
    image_facts={PUSH.digest: ImageFacts(amd64=PUSH.digest)},
    identity="id",
    reported_drift=("x",),
    created_at={"3": AT},
    history=(HistoryEntry(AT, "LIVE", PUSH.digest, "2"),),
)
STORED: list[Any] = [json.loads(DESIRED_CODEC.encode(FULL_DESIRED)), json.loads(RELEASE_CODEC.encode(FULL_RELEASE))]


LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""A lone surrogate, which only a person can have written: pydantic replaces it."""


async def _decode_and_encode(data: bytes) -> None:
    codecs: tuple[Codec[Any], ...] = (DESIRED_CODEC, RELEASE_CODEC)
    rejected = []
    for codec in codecs:
        try:
            state = codec.decode(data, "a blob")
        except PermanentError as error:
            assert error.code == "STATE_UNREADABLE"
            rejected.append(error)
            continue
        second = codec.decode(codec.encode(state), "a blob")
        assert second == state or LONE_SURROGATE.search(data), "encoding and decoding changed the state"
        assert codec.decode(codec.encode(second), "a blob") == second, "a second round trip changed the state"
    if len(rejected) == len(codecs):
        raise rejected[0]


TARGETS = (
    Target(
        "state",
        "bytes of the two state blobs, decoded, encoded and decoded again",
        (serialized(mutated(*STORED) | VALUES).map(as_bytes)) | st.binary(max_size=60),
        _decode_and_encode,
        (PermanentError,),
        share=15,
    ),
)
