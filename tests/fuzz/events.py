"""Events and queue messages: any input is handled, and every decision about it can be encoded."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from core.agents_file.loader import load_agents
from handlers.events.event_queued import handle_event
from handlers.poison import handle_poison_message
from handlers.release_agent.reconcile import handle_message
from tests.fuzz.gateways import SETTINGS, in_memory_gateways
from tests.fuzz.target import Target
from tests.fuzz.values import VALUES, mutated, serialized, utf8
from tests.support.builders import REGISTRY, cloud_event, push_data, push_event, secret_event

AGENTS = load_agents(b"""
agents:
  pushed: {repository: agents/hello, env: {KEY: {secret: hello-key}}}
  semver: {repository: agents/hello, tags: {order: semver, range: ">=1.0.0", extract: "^v?(.+)$"}}
  number:
    repository: agents/hello
    tags: {order: number, allow: ["^[0-9]+$"], ignore: ["^0"]}
    release: {min_push_age: 5m}
  letters: {repository: agents/hello, tags: {order: alphabetical, extract: "([a-z]*)"}, release: {mode: notify}}
""")
TAGS = ["v1", "1.2.3", "42", "v1.0.0-rc.1+build", "latest", "sha256-" + "a" * 64, "x.sig", "1" * 128, "\ud800", "é"]
TAGS += ["2.999.999", "x" * 4_000, "../../x", "v1@sha256:x", "a\0b", "1.0.0\n", "\x1b]52;c;eA==\x07", "\u202ev1"]


def _push(tag: str) -> dict[str, Any]:
    return push_event(data=push_data(tag=tag))


EVENTS: list[Any] = [
    *(_push(tag) for tag in TAGS),
    push_event(data=json.dumps(push_data())),
    cloud_event(),
    secret_event(),
    [push_event(), secret_event(), cloud_event()],
    push_event(eventTime="9999-12-31T23:59:59Z"),
    push_event(topic=REGISTRY.replace("subscriptions/", "subscriptions/other-")),
    push_event(topic="https://evil.example/?x=/demo"),
    secret_event(data={"Id": "https://evil-vault.vault.azure.net/secrets/hello-key/0123456789abcdef"}),
    [{}] * 100,
]
MESSAGE = {"target": "pushed", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


async def _deliver(deliveries: list[str]) -> None:
    gateways = in_memory_gateways()
    for event in deliveries:
        await handle_event(event, AGENTS, SETTINGS, gateways)


async def _ask(message: str) -> None:
    gateways = in_memory_gateways()
    await handle_message(message, AGENTS, SETTINGS, gateways)
    await handle_poison_message("releases", message, gateways)


TARGETS = (
    Target(
        "events",
        "one or two deliveries, up to the bytes in the state store",
        st.lists(serialized(mutated(*EVENTS) | VALUES) | st.text(max_size=40).map(utf8), min_size=1, max_size=2),
        _deliver,
        share=24,
    ),
    Target("messages", "messages of the two queues", serialized(mutated(MESSAGE) | VALUES), _ask, share=5),
)
