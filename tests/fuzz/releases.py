"""Whole turns of the release loop, on a record that somebody bent and with a Foundry that says what it likes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

from hypothesis import strategies as st

from core.agents_file.loader import load_agents
from core.model import Routing
from core.state.desired import DesiredState
from core.state.release import PendingWrite, Phase, ReleaseState, WriteKind
from handlers.gateways.errors import GatewayError
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.storage.state_store import DESIRED_CODEC, RELEASE_CODEC
from handlers.release_agent.reconcile import reconcile
from tests.fuzz.foundry import AGENT, FOUNDRY, LINE, RESPONSE, SESSION, VERSION, VERSIONS
from tests.fuzz.gateways import SETTINGS, world
from tests.fuzz.records import AT, STORED, WHOLE_RECORD, WHOLE_WANTED
from tests.fuzz.target import Target
from tests.fuzz.values import as_bytes, bent, pick, written
from tests.fuzz.wire import Answer, answer

RULE = load_agents(b"""
agents:
  hello:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    release: {verify: {ask: ping, expect: pong, within: 2s}, check: {ask: ping, expect: pong, within: 2s}}
""").agents["hello"]
ENOUGH = Answer(400, (), json.dumps({"error": {"code": "enough", "message": "nothing more is said"}}).encode())
Given = tuple[bytes, bytes, list[Answer]]


async def _turn(given: Given) -> None:
    desired, release = DESIRED_CODEC.decode(given[0], "wanted"), RELEASE_CODEC.decode(given[1], "record")
    gateways = replace(world(), foundry=FOUNDRY)
    ledger = cast("InMemoryStateStore", gateways.state_store)
    await _keep(ledger, desired, release)
    LINE.answers, LINE.then = list(given[2]), ENOUGH
    try:
        await reconcile(RULE, SETTINGS, gateways)
    finally:
        LINE.then = None
    RELEASE_CODEC.encode(ledger.releases["hello"].state)


async def _keep(ledger: InMemoryStateStore, desired: DesiredState, release: ReleaseState) -> None:
    ledger.desired["hello"] = desired
    lease = await ledger.acquire_lease("hello")
    if lease is not None:
        await lease.write(release)
        await lease.release()


ROUTINGS = [None, Routing(), Routing.to("2"), Routing.to("3"), Routing.to("x")]
ACTS = [
    None,
    None,
    *(PendingWrite(act, AT, Routing.to("3") if act is not WriteKind.CREATE else None, 2) for act in WriteKind),
]
CHOICES: dict[str, list[Any]] = {
    "observed_generation": [6, 7, 8],
    "push": [WHOLE_RECORD.push, WHOLE_RECORD.push, None],
    "fingerprint": ["f" * 64, "", "e" * 64],
    "phase": list(Phase),
    "candidate": ["3", "3", "2", None, "x", ""],
    "is_duplicate": [False, True],
    "deleted_duplicate": [None, "3"],
    "routing_at_start": ROUTINGS,
    "expected_routing": ROUTINGS,
    "routed_at": [None, AT],
    "pending_write": ACTS,
    "last_good": [WHOLE_RECORD.last_good, None],
    "holds": [(), WHOLE_RECORD.holds],
    "created_at": [WHOLE_RECORD.created_at, {}],
    "started_at": [AT, None],
    "supersede_count": [0, 99],
}
"""What a person's hand, or an older Slipway, may have left in a record that can be read."""


@st.composite
def _readable(draw: st.DrawFn) -> bytes:
    code, changes = draw(st.integers(0, 2**64 - 1)), dict[str, Any]()
    for name, choices in CHOICES.items():
        code, changes[name] = pick(code, choices)
    return RELEASE_CODEC.encode(replace(WHOLE_RECORD, **changes))


def _record(stored: Any) -> st.SearchStrategy[bytes]:
    return written(bent(stored)).map(as_bytes)


def _wanted() -> st.SearchStrategy[bytes]:
    plain = replace(WHOLE_WANTED, pause=None, not_before=None, holds=())
    return st.sampled_from(
        [DESIRED_CODEC.encode(one) for one in (plain, WHOLE_WANTED, replace(plain, push=None), DesiredState())]
    )


LIVE = AGENT | {"agent_endpoint": {"version_selector": {"version_selection_rules": [
    {"type": "FixedRatio", "agent_version": "2", "traffic_percentage": 100}]}}}  # fmt: skip
TARGETS = (
    Target(
        "turns",
        "whole turns of the release loop: two bent records, and bent answers of Foundry one after another",
        st.tuples(
            _wanted() | _wanted() | _record(STORED[0]),
            _readable() | _readable() | _record(STORED[1]),
            st.lists(answer(AGENT, LIVE, VERSION, VERSION, VERSIONS, SESSION, RESPONSE), max_size=8),
        ),
        _turn,
        (GatewayError,),
        share=6,
    ),
)
