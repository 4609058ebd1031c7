"""Whole runs of the release loop, with a mutated state and arbitrary answers of Foundry."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

from hypothesis import strategies as st

from core.agents_file.loader import load_agents
from core.model import Routing
from core.state.desired import DesiredState
from core.state.release import DeletedVersion, PendingWrite, Phase, ReleaseState, WriteKind
from handlers.gateways.errors import GatewayError
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.in_memory.key_vault import InMemoryKeyVault
from handlers.gateways.in_memory.state_store import InMemoryStateStore
from handlers.gateways.storage.state_store import DESIRED_CODEC, RELEASE_CODEC
from handlers.release_agent.reconcile import reconcile
from tests.fuzz.foundry import AGENT, CANARY, FOUNDRY, HTTP, RESPONSE, SESSION, VERSION, VERSIONS
from tests.fuzz.gateways import SETTINGS, in_memory_gateways
from tests.fuzz.records import AT, FULL_DESIRED, FULL_RELEASE, STORED
from tests.fuzz.target import Target
from tests.fuzz.values import as_bytes, mutated, pick, serialized
from tests.fuzz.wire import Answer, answer

SPEC = load_agents(b"""
agents:
  hello:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    release: {verify: {ask: ping, expect: pong, within: 2s}, check: {ask: ping, expect: pong, within: 2s}}
""").agents["hello"]
LAST_ANSWER = Answer(400, (), json.dumps({"error": {"code": "end", "message": "end of the script"}}).encode())
Input = tuple[bytes, bytes, list[Answer]]


async def _reconcile(data: Input) -> None:
    desired, release = DESIRED_CODEC.decode(data[0], "desired"), RELEASE_CODEC.decode(data[1], "release")
    gateways = replace(in_memory_gateways(), foundry=FOUNDRY)
    state_store = cast("InMemoryStateStore", gateways.state_store)
    await _store(state_store, desired, release)
    cast("InMemoryKeyVault", gateways.key_vault).put("hello-key", CANARY)
    HTTP.answers, HTTP.then = list(data[2]), LAST_ANSWER
    try:
        await reconcile(SPEC, SETTINGS, gateways)
    finally:
        HTTP.then = None
        stored = RELEASE_CODEC.encode(state_store.releases["hello"].state).decode()
        lines = cast("InMemoryJournal", gateways.journal).lines
        assert CANARY not in f"{stored} {lines}", "a secret is in the state store or the journal"


async def _store(state_store: InMemoryStateStore, desired: DesiredState, release: ReleaseState) -> None:
    state_store.desired["hello"] = desired
    lease = await state_store.acquire_lease("hello")
    if lease is not None:
        await lease.write(release)
        await lease.release()


ROUTINGS = [None, Routing(), Routing.to("2"), Routing.to("3"), Routing.to("x")]
PENDING_WRITES = [
    None,
    None,
    *(PendingWrite(kind, AT, Routing.to("3") if kind is not WriteKind.CREATE else None, 2) for kind in WriteKind),
    PendingWrite(WriteKind.MOVE_TRAFFIC, AT, Routing.to("3"), seen_at=AT),
]
CHOICES: dict[str, list[Any]] = {
    "observed_generation": [6, 7, 8],
    "push": [FULL_RELEASE.push, FULL_RELEASE.push, None],
    "fingerprint": ["f" * 64, "", "e" * 64],
    "phase": list(Phase),
    "candidate": ["3", "3", "2", None, "x", ""],
    "is_duplicate": [False, True],
    "deleted_duplicate": [None, DeletedVersion("3", AT)],
    "routing_at_start": ROUTINGS,
    "expected_routing": ROUTINGS,
    "routed_at": [None, AT],
    "pending_write": PENDING_WRITES,
    "last_good": [FULL_RELEASE.last_good, None],
    "holds": [(), FULL_RELEASE.holds],
    "created_at": [FULL_RELEASE.created_at, {}],
    "started_at": [AT, None],
    "supersede_count": [0, 99],
}
"""Values that a person or an older Slipway may have left in a readable release state."""


@st.composite
def _readable_state(draw: st.DrawFn) -> bytes:
    code, changes = draw(st.integers(0, 2**64 - 1)), dict[str, Any]()
    for name, choices in CHOICES.items():
        code, changes[name] = pick(code, choices)
    return RELEASE_CODEC.encode(replace(FULL_RELEASE, **changes))


def _mutated_state(stored: Any) -> st.SearchStrategy[bytes]:
    return serialized(mutated(stored)).map(as_bytes)


def _desired_state() -> st.SearchStrategy[bytes]:
    plain = replace(FULL_DESIRED, pause=None, not_before=None, holds=())
    states = (plain, FULL_DESIRED, replace(plain, push=None), DesiredState())
    return st.sampled_from([DESIRED_CODEC.encode(state) for state in states])


LIVE = AGENT | {"agent_endpoint": {"version_selector": {"version_selection_rules": [
    {"type": "FixedRatio", "agent_version": "2", "traffic_percentage": 100}]}}}  # fmt: skip
TARGETS = (
    Target(
        "reconcile",
        "whole runs of the release loop: mutated desired and release state, and mutated answers of Foundry",
        st.tuples(
            _desired_state() | _desired_state() | _mutated_state(STORED[0]),
            _readable_state() | _readable_state() | _mutated_state(STORED[1]),
            st.lists(answer(AGENT, LIVE, VERSION, VERSION, VERSIONS, SESSION, RESPONSE), max_size=8),
        ),
        _reconcile,
        (GatewayError,),
        share=6,
    ),
)
