"""A valid agents.yaml; test_issues.py has the invalid ones."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.agents_file.loader import load_agents, warnings
from core.agents_file.spec import ConnectionRef, SecretRef, followers_of

ROOT = Path(__file__).resolve().parents[4]


def agent(body: str) -> bytes:
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return f"agents:\n  hello:\n    repository: agents/hello\n{indented}\n".encode()


def test_the_agents_yaml_of_the_repository_is_valid() -> None:
    agents = load_agents((ROOT / "agents.yaml").read_bytes())
    spec = agents.agents["support-agent"]
    assert spec.tags.range == ">=1.0.0 <2.0.0"
    assert spec.env["SEARCH_KEY"] == SecretRef(secret="support-search-key")
    assert spec.env["CRM_TOKEN"] == ConnectionRef(connection="crm.credentials.key")
    assert spec.release.provision_within == timedelta(minutes=10)
    assert [agent.name for agent in followers_of(agents, "agents/hello")] == ["hello-agent"]
    assert not warnings(agents)


def test_values_of_variables_stay_text() -> None:
    body = 'env:\n  A: no\n  B: 1.10\n  C: 0755\n  D: "~"\n  E: 2026-01-01\n  F: ""'
    spec = load_agents(agent(body)).agents["hello"]
    assert dict(spec.env) == {"A": "no", "B": "1.10", "C": "0755", "D": "~", "E": "2026-01-01", "F": ""}


def test_maps_of_the_defaults_merge_and_lists_are_replaced() -> None:
    text = """
defaults: {protocols: {responses: "1.0.0", a2a: "1"}, tags: {ignore: [a]}, env: {A: x}}
agents:
  hello: {repository: agents/hello, protocols: {responses: "2.0.0"}, tags: {ignore: [b]}, env: {B: y}}
"""
    spec = load_agents(text.encode()).agents["hello"]
    assert dict(spec.protocols) == {"responses": "2.0.0", "a2a": "1"}
    assert spec.tags.ignore == ("b",)
    assert dict(spec.env) == {"A": "x", "B": "y"}


@pytest.mark.parametrize("text", ["\ufeff", "# comment\r\n"], ids=["a BOM", "CRLF"])
def test_a_bom_and_windows_line_ends_are_accepted(text: str) -> None:
    assert load_agents(text.encode() + agent("cpu: '2'\nmemory: 4Gi")).agents["hello"].cpu == "2"


def test_a_variables_value_of_the_defaults_is_replaced_and_not_merged() -> None:
    text = """
defaults: {env: {A: {secret: x}, B: kept}}
agents:
  hello: {repository: agents/hello, env: {A: {connection: crm.target}}}
"""
    spec = load_agents(text.encode()).agents["hello"]
    assert dict(spec.env) == {"A": ConnectionRef(connection="crm.target"), "B": "kept"}


def test_null_removes_a_key_of_the_defaults() -> None:
    text = """
defaults: {release: {check: {ask: ping, expect: pong}}}
agents:
  hello: {repository: agents/hello, release: {check: null}}
"""
    assert load_agents(text.encode()).agents["hello"].release.check == ()


def test_defaults_may_hold_a_part_that_an_agent_completes() -> None:
    text = """
defaults: {repository: agents/hello, release: {verify: {expect: pong}}}
agents:
  hello: {release: {verify: {ask: ping}}}
"""
    assert load_agents(text.encode()).agents["hello"].release.verify is not None


@pytest.mark.parametrize(
    ("cpu", "memory"), [("0.5", "1Gi"), ("1", "2Gi"), ("1.0", "0.5Gi"), ("2", "4Gi"), ("16", "32.25Gi")]
)
def test_a_size_stays_text_quoted_or_not(cpu: str, memory: str) -> None:
    for text in (f"cpu: {cpu}\nmemory: {memory}", f'cpu: "{cpu}"\nmemory: "{memory}"'):
        spec = load_agents(agent(text)).agents["hello"]
        assert (spec.cpu, spec.memory) == (cpu, memory)


def test_a_protocols_version_needs_no_quotes() -> None:
    spec = load_agents(agent("protocols: {responses: 2.0, a2a: v1, mcp: 1.0.0-beta.1}")).agents["hello"]
    assert dict(spec.protocols) == {"responses": "2.0", "a2a": "v1", "mcp": "1.0.0-beta.1"}


def test_scalars_stay_text_only_under_the_agents_own_keys() -> None:
    text = "agents: {env: {repository: x, keep: {newest: 3}, more_definition: {env: {on: 1, since: 2026-01-01}}}}"
    spec = load_agents(text.encode()).agents["env"]
    assert (spec.keep.newest, dict(spec.more_definition)) == (3, {"env": {"on": 1, "since": "2026-01-01"}})


def test_anchors_and_aliases_are_read() -> None:
    text = "agents:\n  a: {repository: x, env: &shared {A: no, B: <<, C: =}}\n  b: {repository: y, env: *shared}\n"
    for spec in load_agents(text.encode()).agents.values():
        assert dict(spec.env) == {"A": "no", "B": "<<", "C": "="}


@pytest.mark.parametrize("repository", ["hello", "agents/hello", "my.app", "a/b.c/d", "a/b_c/d__e/f--g"])
def test_repositories_that_registries_allow_are_read(repository: str) -> None:
    assert load_agents(f"agents: {{a: {{repository: {repository}}}}}".encode()).agents["a"].repository == repository


def test_an_unusual_size_is_a_warning() -> None:
    (warning,) = warnings(load_agents(agent('cpu: "4"\nmemory: 8Gi')))
    assert "cpu 4 with memory 8Gi" in warning
