"""agents.yaml: what it can say; what is wrong in it is in test_bad_rules.py."""

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


def test_the_file_of_the_checkout_says_what_the_reference_says() -> None:
    agents = load_agents((ROOT / "agents.yaml").read_bytes())
    rule = agents.agents["support-agent"]
    assert rule.tags.range == ">=1.0.0 <2.0.0"
    assert rule.env["SEARCH_KEY"] == SecretRef(secret="support-search-key")
    assert rule.env["CRM_TOKEN"] == ConnectionRef(connection="crm.credentials.key")
    assert rule.release.provision_within == timedelta(minutes=10)
    assert [one.name for one in followers_of(agents, "agents/hello")] == ["hello-agent"]
    assert not warnings(agents)


def test_values_of_variables_stay_the_text_that_was_written() -> None:
    body = 'env:\n  A: no\n  B: 1.10\n  C: 0755\n  D: "~"\n  E: 2026-01-01\n  F: ""'
    rule = load_agents(agent(body)).agents["hello"]
    assert dict(rule.env) == {"A": "no", "B": "1.10", "C": "0755", "D": "~", "E": "2026-01-01", "F": ""}


def test_of_the_defaults_maps_merge_and_lists_are_replaced() -> None:
    text = """
defaults: {protocols: {responses: "1.0.0", a2a: "1"}, tags: {ignore: [a]}, env: {A: x}}
agents:
  hello: {repository: agents/hello, protocols: {responses: "2.0.0"}, tags: {ignore: [b]}, env: {B: y}}
"""
    rule = load_agents(text.encode()).agents["hello"]
    assert dict(rule.protocols) == {"responses": "2.0.0", "a2a": "1"}
    assert rule.tags.ignore == ("b",)
    assert dict(rule.env) == {"A": "x", "B": "y"}


@pytest.mark.parametrize("text", ["\ufeff", "# comment\r\n"], ids=["a BOM", "CRLF"])
def test_what_editors_leave_behind_does_no_harm(text: str) -> None:
    assert load_agents(text.encode() + agent("cpu: '2'\nmemory: 4Gi")).agents["hello"].cpu == "2"


def test_a_variables_value_of_the_defaults_is_replaced_and_not_merged() -> None:
    text = """
defaults: {env: {A: {secret: x}, B: kept}}
agents:
  hello: {repository: agents/hello, env: {A: {connection: crm.target}}}
"""
    rule = load_agents(text.encode()).agents["hello"]
    assert dict(rule.env) == {"A": ConnectionRef(connection="crm.target"), "B": "kept"}


def test_null_takes_back_what_the_defaults_give() -> None:
    text = """
defaults: {release: {check: {ask: ping, expect: pong}}}
agents:
  hello: {repository: agents/hello, release: {check: null}}
"""
    assert load_agents(text.encode()).agents["hello"].release.check == ()


def test_defaults_may_hold_a_part_of_what_an_agent_completes() -> None:
    text = """
defaults: {repository: agents/hello, release: {verify: {expect: pong}}}
agents:
  hello: {release: {verify: {ask: ping}}}
"""
    assert load_agents(text.encode()).agents["hello"].release.verify is not None


@pytest.mark.parametrize(
    ("cpu", "memory"), [("0.5", "1Gi"), ("1", "2Gi"), ("1.0", "0.5Gi"), ("2", "4Gi"), ("16", "32.25Gi")]
)
def test_a_size_is_the_text_that_was_written_quoted_or_not(cpu: str, memory: str) -> None:
    for text in (f"cpu: {cpu}\nmemory: {memory}", f'cpu: "{cpu}"\nmemory: "{memory}"'):
        rule = load_agents(agent(text)).agents["hello"]
        assert (rule.cpu, rule.memory) == (cpu, memory)


def test_a_protocols_version_needs_no_quotes() -> None:
    rule = load_agents(agent("protocols: {responses: 2.0, a2a: v1, mcp: 1.0.0-beta.1}")).agents["hello"]
    assert dict(rule.protocols) == {"responses": "2.0", "a2a": "v1", "mcp": "1.0.0-beta.1"}


def test_text_is_kept_only_where_it_is_the_agents_own_key() -> None:
    text = "agents: {env: {repository: x, keep: {newest: 3}, more_definition: {env: {on: 1, since: 2026-01-01}}}}"
    rule = load_agents(text.encode()).agents["env"]
    assert (rule.keep.newest, dict(rule.more_definition)) == (3, {"env": {"on": 1, "since": "2026-01-01"}})


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
