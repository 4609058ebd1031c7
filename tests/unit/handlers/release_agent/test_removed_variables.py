"""A variable that a release drops is named, whatever gave it before."""

from __future__ import annotations

import pytest

from core.agents_file.loader import load_agents
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, App, push_and_release

YAML = """
agents:
  hello-agent:
    repository: agents/hello
    env_from_vault: true
    env: {WORD: one, OTHER: two}
    tools: [{type: code_interpreter}]
    release: {debounce: 0s}
"""
CHANGES = {
    "from env": ("WORD: one, ", "", "WORD: agents.yaml does not set it any more"),
    "env_from_vault": ("env_from_vault: true", "inspect: best-effort", "API_KEY: env_from_vault is not set any more"),
}


async def released(yaml: str = YAML) -> App:
    app = App(clock=VirtualClock(), agents=load_agents(yaml.encode()))
    app.key_vault.put("api-key", "canary-1", tags={"agent": AGENT, "env": "API_KEY"})
    assert await push_and_release(app, "v1", "a") == "LIVE"
    return app


def removed(app: App) -> list[object]:
    return [line["detail"] for line in app.journal.lines if line["reason"] == "VARIABLE_REMOVED"]


@pytest.mark.parametrize("change", CHANGES)
@in_virtual_time
async def test_what_agents_yaml_drops_is_named_once(change: str) -> None:
    app = await released()
    old, new, detail = CHANGES[change]
    app.agents = load_agents(YAML.replace(old, new).encode())
    for tag, letter in (("v2", "b"), ("v3", "c")):
        assert await push_and_release(app, tag, letter) == "LIVE"
    assert removed(app) == [detail]


@in_virtual_time
async def test_all_that_a_release_drops_is_in_one_line() -> None:
    app = await released()
    app.key_vault.versions["api-key"][-1].tags = {"agent": AGENT, "env": "RENAMED"}
    app.agents = load_agents(YAML.replace("WORD: one, OTHER: two", "").encode())
    assert await push_and_release(app, "v2", "b") == "LIVE"
    first, second, third = str(removed(app)[0]).split("; ")
    assert first == "API_KEY: the tags of secret api-key do not give it any more"
    assert (second[:6], third[:5]) == ("OTHER:", "WORD:")


@in_virtual_time
async def test_mode_notify_names_what_would_be_dropped() -> None:
    app = await released()
    app.agents = load_agents(YAML.replace("WORD: one, ", "").replace("debounce: 0s", "mode: notify").encode())
    assert await push_and_release(app, "v2", "b") == "WOULD_RELEASE"
    assert "WORD" in (await app.state_store.get_release(AGENT)).detail


@in_virtual_time
async def test_a_change_that_drops_nothing_says_nothing() -> None:
    app = await released()
    app.agents = load_agents(YAML.replace("tools: [{type: code_interpreter}]", "").encode())
    assert await push_and_release(app, "v2", "b") == "LIVE"
    assert removed(app) == []
