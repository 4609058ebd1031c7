"""agents.yaml: what it can say, and every mistake with its place and line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from core.rules import ConnectionRef, SecretRef, match
from core.rules_file import RulesError, read_rules, warnings

ROOT = Path(__file__).resolve().parents[2]


def agent(body: str) -> bytes:
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return f"agents:\n  hello:\n    repository: agents/hello\n{indented}\n".encode()


def mistakes(text: str | bytes) -> list[str]:
    with pytest.raises(RulesError) as wrong:
        read_rules(text.encode() if isinstance(text, str) else text)
    return [str(mistake) for mistake in wrong.value.mistakes]


def test_the_file_of_the_checkout_says_what_the_reference_says() -> None:
    agents = read_rules((ROOT / "agents.yaml").read_bytes())
    rule = agents.agents["support-agent"]
    assert rule.tags.range == ">=1.0.0 <2.0.0"
    assert rule.env["SEARCH_KEY"] == SecretRef(secret="support-search-key")
    assert rule.env["CRM_TOKEN"] == ConnectionRef(connection="crm.credentials.key")
    assert rule.release.provision_within == timedelta(minutes=10)
    assert [one.name for one in match(agents, "agents/hello")] == ["hello-agent"]
    assert not warnings(agents)


def test_values_of_variables_stay_the_text_that_was_written() -> None:
    body = 'env:\n  A: no\n  B: 1.10\n  C: 0755\n  D: "~"\n  E: 2026-01-01\n  F: ""'
    rule = read_rules(agent(body)).agents["hello"]
    assert dict(rule.env) == {"A": "no", "B": "1.10", "C": "0755", "D": "~", "E": "2026-01-01", "F": ""}


def test_of_the_defaults_maps_merge_and_lists_are_replaced() -> None:
    text = """
defaults: {protocols: {responses: "1.0.0", a2a: "1"}, tags: {ignore: [a]}, env: {A: x}}
agents:
  hello: {repository: agents/hello, protocols: {responses: "2.0.0"}, tags: {ignore: [b]}, env: {B: y}}
"""
    rule = read_rules(text.encode()).agents["hello"]
    assert dict(rule.protocols) == {"responses": "2.0.0", "a2a": "1"}
    assert rule.tags.ignore == ("b",)
    assert dict(rule.env) == {"A": "x", "B": "y"}


@pytest.mark.parametrize("text", ["\ufeff", "# comment\r\n"], ids=["a BOM", "CRLF"])
def test_what_editors_leave_behind_does_no_harm(text: str) -> None:
    assert read_rules(text.encode() + agent("cpu: '2'\nmemory: 4Gi")).agents["hello"].cpu == "2"


def test_an_unusual_size_is_a_warning() -> None:
    (warning,) = warnings(read_rules(agent('cpu: "4"\nmemory: 8Gi')))
    assert "cpu 4 with memory 8Gi" in warning


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param("relase: {}", "agents.hello.relase, line 4: unknown key; did you mean release?", id="unknown key"),
        pytest.param("zzzz: 1", "agents.hello.zzzz, line 4: unknown key", id="nothing near"),
        pytest.param("env: {PORT: x}", "agents.hello.env.PORT, line 4: PORT is reserved", id="the platform's variable"),
        pytest.param("env: {FOUNDRY_X: x}", "line 4: FOUNDRY_X is reserved", id="a reserved prefix"),
        pytest.param("env: {SLIPWAY_X: x}", "line 4: SLIPWAY_X is reserved", id="our own prefix"),
        pytest.param("env: {1A: x}", "'1A' is no variable name", id="no variable name"),
        pytest.param("env: {A: [1]}", "expected text, {secret: name}", id="a list for a value"),
        pytest.param("env: {A: {secret: a_b}}", "a Key Vault name has letters", id="a secret's name"),
        pytest.param("env: {A: {secret: a, version: 7}}", "a secret's version is 32", id="a secret's version"),
        pytest.param("env: {A: {connection: crm}}", "write connection.credentials.field", id="a connection's field"),
        pytest.param("cpu: 1", 'agents.hello.cpu, line 4: expected text, not 1; write "1"', id="a number for text"),
        pytest.param('tags: {ignore: ["("]}', "agents.hello.tags.ignore.0, line 4: '(' is no RE2", id="an expression"),
        pytest.param('tags: {extract: "v"}', "'v' has no group", id="extract without a group"),
        pytest.param('tags: {range: "about one"}', "is no version range", id="a range"),
        pytest.param("tags: {order: newest}", "input should be 'pushed', 'semver'", id="an order"),
        pytest.param("tags: {allow: v}", "agents.hello.tags.allow, line 4: expected a list", id="text for a list"),
        pytest.param("tools: [{type: hammer}]", "unknown tool 'hammer'; Slipway knows", id="a tool"),
        pytest.param("tools: [{type: mcp, server_label: a}]", "needs server_label and an https", id="half an mcp tool"),
        pytest.param("more_definition: {image: x}", "more_definition must not set image", id="what the rule sets"),
        pytest.param("release: {soak: 3 weeks}", "'3 weeks' is no duration; write 30s", id="a duration"),
        pytest.param("release: {mode: fast}", "input should be 'auto', 'manual' or 'notify'", id="a mode"),
        pytest.param("keep: {newest: -1}", "greater than or equal to 0", id="a negative number"),
        pytest.param("cpu: '1'\ncpu: '2'", "cpu, line 5: is given twice; the first is in line 4", id="twice"),
    ],
)
def test_a_mistake_says_where_and_what_to_write(body: str, expected: str) -> None:
    assert any(expected in mistake for mistake in mistakes(agent(body))), mistakes(agent(body))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "line 1: expected `agents:`", id="an empty file"),
        pytest.param("- a\n", "expected `agents:`", id="a list"),
        pytest.param("agents: {}\n", "at least one agent", id="no agent"),
        pytest.param("agents:\n  a: 3\n", "agents.a, line 2: expected a map", id="a number for an agent"),
        pytest.param("agents:\n\ta: {}\n", "line 2: this is not YAML", id="a tab"),
        pytest.param("agents: {a: {\n", "this is not YAML", id="half of it"),
        pytest.param("agents: \x00\n", "this is not YAML", id="a NUL"),
        pytest.param("agent: 1\nagents: {b: {repository: b}}\n", "agent, line 1: unknown key", id="top key"),
        pytest.param("agents:\n  -a: {repository: x}\n", "an agent's name is letters", id="a bad name"),
        pytest.param(f"agents:\n  {'a' * 64}: {{repository: x}}\n", "63 characters at most", id="a long name"),
        pytest.param("defaults: 3\nagents: {a: {}}\n", "defaults, line 1: expected a map", id="a number for defaults"),
        pytest.param("agents: {a: {repository: x, cpu: 2026-99-99}}\n", "cannot be read", id="no such day"),
        pytest.param("agents: {a: {repository: !!python/x y}}\n", "cannot be read", id="a tag of YAML's own"),
        pytest.param("agents:\n  a: {}\n", "agents.a.repository, line 2: is missing", id="no repository"),
        pytest.param("agents:\n  b: {repository: 'x:1'}\n", "write the repository alone", id="a tag"),
        pytest.param("agents:\n  b: {repository: R.io/x}\n", "write the repository alone", id="a registry"),
        pytest.param("agents:\n  a: {}\n  a: {}\n", "agents.a, line 3: is given twice; the first is in line", id="2"),
        pytest.param("agents:\n  a: &x {repository: x, <<: *x}\n", "", id="a merge key"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_so(text: str, expected: str) -> None:
    assert any(expected in mistake for mistake in mistakes(text)), mistakes(text)


def test_aliases_cannot_blow_the_file_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert any("more than 50,000 values" in mistake for mistake in mistakes("\n".join(lines)))


def test_a_file_that_is_no_text_or_too_large_says_so() -> None:
    assert mistakes(b"agents:\n  \xff: {}\n") == ["line 2: the file is not UTF-8 text; save it as UTF-8"]
    assert mistakes(b"#" * 2_000_000) == ["line 1: the file has 2,000,000 bytes; 1,000,000 are the most"]


def test_every_mistake_is_listed_at_once() -> None:
    found = mistakes("agents:\n  a: {repository: x, cpu: 1, relase: {}}\n  b: {repository: 'y:1'}\n")
    assert len(found) == 3
