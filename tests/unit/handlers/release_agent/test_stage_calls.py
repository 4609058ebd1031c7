"""What a second stage costs the first: every call of a gateway is counted."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import replace
from typing import Any

from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.projects_app import ProjectsApp

AGENT = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    tools: [{type: code_interpreter}]
    release: {debounce: 0s, verify: {ask: ping, expect: pong}, check: {ask: ping, expect: pong}}
"""
WITH_STAGES = f"{AGENT}    stages: [{{project: default}}, {{projects: [eu, us], soak: 1h}}]\n"
GATEWAYS = ("foundry", "key_vault", "state_store", "journal", "release_queue", "registry")


class Counting:
    """A gateway, or a lease, whose calls are counted."""

    def __init__(self, name: str, target: Any, calls: Counter[str]) -> None:
        self._name, self._target, self._calls = name, target, calls

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not inspect.iscoroutinefunction(value):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._calls[f"{self._name}.{name}"] += 1
            result = await value(*args, **kwargs)
            return Counting("lease", result, self._calls) if name == "acquire_lease" and result else result

        return call


async def calls_of_a_release(file: str) -> tuple[Counter[str], set[str]]:
    """The calls of a release in the first stage, and the targets whose messages wait then."""
    app, calls = ProjectsApp(file, clock=VirtualClock()), Counter[str]()
    await app.pushed()
    counted: dict[str, Any] = {name: Counting(name, getattr(app.gateways, name), calls) for name in GATEWAYS}
    vault = counted["key_vault"]
    app.gateways = replace(app.gateways, **counted, project_vault=lambda _: vault)
    app.release_queue.waiting.clear()
    assert await app.released() == "LIVE"
    return calls, {message.agent for message in app.release_queue.waiting}


@in_virtual_time
async def test_a_second_stage_adds_no_request_to_the_release_of_the_first() -> None:
    """Beside the message that wakes each target of that stage, once the first one is live."""
    without, woken = await calls_of_a_release(AGENT)
    with_stage, both = await calls_of_a_release(WITH_STAGES)
    assert (woken, both) == (set(), {"hello-agent@eu", "hello-agent@us"})
    assert without["foundry.get_version"] > 1
    assert without["lease.write"] > 1
    assert with_stage - without == Counter({"release_queue.enqueue": 2})
    assert not without - with_stage
