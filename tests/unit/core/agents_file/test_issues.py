"""A wrong agents.yaml: each issue is one sentence with its path, its line and what to write instead."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.agents_file.loader import AgentsFileError, load_agents

ROOT = Path(__file__).resolve().parents[4]
NAME = "an agent name has only letters, digits and hyphens between them, at most 63 characters"
VALUE = "expected text, {secret: name} or {connection: name.credentials.field}"
DURATION = "is not a duration; write 30s, 10m, 12h, 7d or 1h30m"
EMPTY = "has no value; write one, or remove the key"
CPU = 'write cores as a decimal number, such as "0.5", "1" or "2"'
MEMORY = "write gibibytes with the unit Gi, such as 2Gi"
VERSION = "a secret's version is 32 hexadecimal digits"
BEGIN = "expected `agents:` and under it hello-agent: {repository: agents/hello}"


def issues(text: str | bytes) -> list[str]:
    with pytest.raises(AgentsFileError) as wrong:
        load_agents(text.encode() if isinstance(text, str) else text)
    assert str(wrong.value) == "\n".join(f"agents.yaml: {issue}" for issue in wrong.value.issues)
    return [str(issue) for issue in wrong.value.issues]


def agent(body: str) -> str:
    """The body is in line 3."""
    return f"agents:\n  hello:\n    {body}\n    repository: agents/hello\n"


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        # unknown keys: the most similar key of the same map, or where the key belongs
        ("tag: v", "tag", "unknown key; did you mean tags?"),
        ("Env: {}", "Env", "unknown key; did you mean env?"),
        ("zzzz: 1", "zzzz", "unknown key; valid keys here: repository, tags, image, inspect, cpu, memory"),
        ("release: {modes: auto}", "release.modes", "unknown key; did you mean mode?"),
        ("keep: {minAge: 3d}", "keep.minAge", "unknown key; did you mean min_age?"),
        ("keep: {max-deletes: 3}", "keep.max-deletes", "unknown key; did you mean max_deletes?"),
        ("mode: auto", "mode", "unknown key here; it belongs under release"),
        ("modus: auto", "modus", "unknown key here; did you mean mode, under release?"),
        (
            "within: 5s",
            "within",
            "unknown key here; it belongs under release.verify or under release.evaluate or under release.check",
        ),
        ("release: {cpu: 1}", "release.cpu", "unknown key here; it belongs directly under the agent"),
        ("release: {tags: {}}", "release.tags", "it belongs directly under the agent or under keep"),
        ("secret: a", "secret", "unknown key here; it belongs under a variable of env"),
        ("defaults: {}", "defaults", "unknown key here; it belongs at the top level"),
        ("name: hello", "name", "unknown key; an agent's name is the key above it"),
        ("env: {A: {secret: a, versoin: b}}", "env.A.versoin", "unknown key; did you mean version?"),
        ("env: {A: {secret: a, zz: b}}", "env.A.zz", "unknown key; valid keys here: secret, version"),
        ("env: {A: {connection: a.target, version: b}}", "env.A.version", "it belongs next to `secret`"),
        ("release: {verify: {ask: a, expect: b, until: c}}", "release.verify.until", "unknown key"),
        # sizes
        ("cpu: fast", "cpu", CPU),
        ("cpu: 0", "cpu", CPU),
        ("cpu: 0.0", "cpu", CPU),
        ("cpu: -1", "cpu", CPU),
        ("cpu: .5", "cpu", CPU),
        ("cpu: .inf", "cpu", CPU),
        ("cpu: 0x1", "cpu", CPU),
        ("cpu: 500m", "cpu", CPU),
        ("cpu: yes", "cpu", CPU),
        ("cpu: 2026-01-01", "cpu", CPU),
        ("cpu: ٣", "cpu", CPU),
        ("cpu: [1]", "cpu", "expected text, found a list"),
        ("cpu:", "cpu", EMPTY),
        ("memory: 2GB", "memory", MEMORY),
        ("memory: -1Gi", "memory", MEMORY),
        ("memory: 0Gi", "memory", MEMORY),
        ("memory: 2", "memory", MEMORY),
        ("memory: 2 Gi", "memory", MEMORY),
        ("memory: {Gi: 2}", "memory", "expected text, found a map"),
        # variables
        ("env: {FOUNDRY_X: x}", "env.FOUNDRY_X", "FOUNDRY_X is reserved"),
        ("env: {AGENT_X: x}", "env.AGENT_X", "AGENT_X is reserved"),
        ("env: {SLIPWAY_X: x}", "env.SLIPWAY_X", "SLIPWAY_X is reserved"),
        ("env: {PORT: 80}", "env.PORT", "PORT is reserved for the platform and Slipway; use another name"),
        ("env: {MY-KEY: x}", "env.MY-KEY", "'MY-KEY' is not a variable name; use letters, digits and underscores"),
        ("env: {1A: x}", "env.1A", "'1A' is not a variable name"),
        ("env: {'': x}", "env.", "a variable's name is empty"),
        (f"env: {{{'A' * 256}: x}}", f"env.{'A' * 80}…", "is too long; a variable's name has at most 255 characters"),
        ("env: {A: null}", "env.A", 'has no value; write "" for empty text'),
        ("env: {A: ~}", "env.A", 'has no value; write "" for empty text'),
        ("env: {A: }", "env.A", 'has no value; write "" for empty text'),
        ("env: {A: [1]}", "env.A", VALUE),
        ("env: {A: {}}", "env.A", VALUE),
        ("env: {A: {secert: a}}", "env.A", VALUE),
        ("env: {A: {secret: a, connection: b.target}}", "env.A", "write secret or connection, not both"),
        (
            "env: {A: {secret: my_key}}",
            "env.A.secret",
            "a Key Vault secret name has only letters, digits and hyphens, at most 127",
        ),
        ("env: {A: {secret: ''}}", "env.A.secret", "a Key Vault secret name has only letters"),
        ("env: {A: {secret: [a]}}", "env.A.secret", "expected text, found a list"),
        ("env: {A: {secret: }}", "env.A.secret", EMPTY),
        ("env: {A: {secret: a, version: 7}}", "env.A.version", VERSION),
        ("env: {A: {connection: crm}}", "env.A.connection", "write connection.credentials.field"),
        ("env: {A: {connection: crm.credentials}}", "env.A.connection", "write connection.credentials.field"),
        ("env: {str: [1]}", "env.str", VALUE),
        ("env: {SecretRef: {secret: a_b}}", "env.SecretRef.secret", "a Key Vault secret name has only letters"),
        ("env: [A]", "env", "expected a map, found a list"),
        ("env: A=b", "env", "expected a map, found text"),
        ("env:", "env", EMPTY),
        ("env_from_vault: 'yes'", "env_from_vault", "expected true or false, found 'yes'"),
        ("env_from_vault: 1", "env_from_vault", "expected true or false, found 1"),
        # tags
        ('tags: {ignore: ["("]}', "tags.ignore.0", "'(' is not an RE2 expression: missing )"),
        ('tags: {allow: ["(?=a)"]}', "tags.allow.0", "'(?=a)' is not an RE2 expression"),
        ("tags: {allow: v}", "tags.allow", "expected a list, found text"),
        ("tags: {allow: {a: b}}", "tags.allow", "expected a list, found a map"),
        ("tags: {allow: [1.10]}", "tags.allow.0", 'expected text, found 1.10; write "1.10"'),
        ("tags: {allow: [[a]]}", "tags.allow.0", "expected text, found a list"),
        ("tags: {allow: [~, a]}", "tags.allow.0", EMPTY),
        ("tags: {extract: v}", "tags.extract", "'v' has no group; put parentheses around the part to compare"),
        ("tags: {extract: '('}", "tags.extract", "'(' is not an RE2 expression"),
        ("tags: {range: about one}", "tags.range", "'about one' is not a version range; write \">=1.0.0 <2.0.0\""),
        ('tags: {range: "=>1.0"}', "tags.range", "is not a version range"),
        ("tags: {range: 1.10}", "tags.range", 'expected text, found 1.10; write "1.10"'),
        ("tags: {order: newest}", "tags.order", "write 'pushed', 'semver', 'number' or 'alphabetical', not 'newest'"),
        ("tags: {order: '{x}'}", "tags.order", "not '{x}'"),
        ("tags: [v1]", "tags", "expected a map, found a list"),
        # how it goes live
        ("release: {min_push_age: 10}", "release.min_push_age", f"10 {DURATION}"),
        ("release: {min_push_age: -5m}", "release.min_push_age", f"'-5m' {DURATION}"),
        ("release: {min_push_age: 10 m}", "release.min_push_age", f"'10 m' {DURATION}"),
        ("release: {min_push_age: 5m1h}", "release.min_push_age", f"'5m1h' {DURATION}"),
        ("release: {min_push_age: ''}", "release.min_push_age", f"'' {DURATION}"),
        ("release: {min_push_age: [5m]}", "release.min_push_age", f"['5m'] {DURATION}"),
        ("release: {min_push_age: 9999d}", "release.min_push_age", "9999d is too long; the maximum is 3650d"),
        (f"release: {{min_push_age: {'9' * 30}d}}", "release.min_push_age", f"{'9' * 30}d is too long; the maximum is"),
        ("release: {min_push_age: }", "release.min_push_age", EMPTY),
        ("release: {mode: fast}", "release.mode", "write 'auto', 'manual' or 'notify', not 'fast'"),
        ("release: {mode: no}", "release.mode", "write 'auto', 'manual' or 'notify', not no"),
        ("release: {verify: {ask: a}}", "release.verify", "needs `expect: …`"),
        ("release: {verify: ping}", "release.verify", "expected a map, found text"),
        ("release: {check: {ask: 42, expect: a}}", "release.check.ask", 'expected text, found 42; write "42"'),
        ("release: {check: {ask: a, expect: yes}}", "release.check.expect", 'expected text, found yes; write "yes"'),
        ("release: []", "release", "expected a map, found a list"),
        ("release: now", "release", "expected a map, found text"),
        ("release:", "release", EMPTY),
        # which versions stay
        ("keep: {newest: -1}", "keep.newest", "write 0 or more, not -1"),
        ("keep: {newest: 1.5}", "keep.newest", "expected a whole number, found 1.5"),
        (f"keep: {{newest: {'9' * 200}.5}}", "keep.newest", f"expected a whole number, found {'9' * 80}…"),
        ("keep: {newest: '5'}", "keep.newest", "expected a whole number, found '5'"),
        ("keep: {newest: true}", "keep.newest", "expected a whole number, found true"),
        *[
            (f"keep: {{newest: {number}}}", "keep.newest", "does not fit in 64 bits; put it in quotes if it is text")
            for number in ("9" * 5000, f"0x{'f' * 6000}", str(2**63), f"-{2**63 + 1}")
        ],
        *[
            (f"keep: {{newest: {number}}}", "keep.newest", f"{number} is read as different numbers by different YAML")
            for number in ("010", "1_0", "1:30", "0b11", "1_0.5", "1:30.5", "0x_")
        ],
        *[
            (f"more_definition: {{a: {number}}}", "more_definition.a", f"{number} is text in YAML 1.1 and a number in")
            for number in ("1e3", "1e999", "09", "0o17", "1.5e3")
        ],
        ("more_definition: {a: 1.0e+999}", "more_definition.a", "1.0e+999 is too large for JSON; put it in quotes"),
        ("more_definition: {a: !!int ''}", "more_definition.a", "is not a valid int; put it in quotes if it is text"),
        (
            "release: {min_push_age: 99999999999d}",
            "release.min_push_age",
            "99999999999d is too long; the maximum is 3650d",
        ),
        ("release: {debounce: true}", "release.debounce", "true is not a duration; write 30s, 10m"),
        ("release: {provision_within: 0s}", "release.provision_within", "is no time at all, so that it always fails"),
        (f"cpu: {'9' * 400}", "cpu", CPU),
        (f"memory: {'9' * 400}Gi", "memory", MEMORY),
        (f"protocols: {{responses: {'9' * 400}}}", "protocols.responses", "write the protocol's version as numbers"),
        ("keep: {newest: .nan}", "keep.newest", "is not a number in JSON"),
        ("keep: {limit: 5000}", "keep.limit", "write 1000 or less, not 5000"),
        ("keep: {limit: 1}", "keep.limit", "write 2 or more, not 1"),
        ("keep: {newest: 1000000}", "keep.newest", "write 1000 or less, not 1000000"),
        ("keep: {max_deletes: 1001}", "keep.max_deletes", "write 1000 or less, not 1001"),
        (f"tags: {{range: '>=1.0.0{' ' * 16_000}<2'}}", "tags.range", "is too long; the maximum is 200 characters"),
        (f"tags: {{allow: ['{'a' * 1_001}']}}", "tags.allow.0", "is too long; the maximum is 1,000 characters"),
        (f"tags: {{extract: '({'a' * 1_000})'}}", "tags.extract", "is too long; the maximum is 1,000 characters"),
        (f"keep: {{tags: ['{'a' * 100_000}']}}", "keep.tags.0", "the maximum is 1,000 characters, and it has 100,000"),
        ("keep: 3", "keep", "expected a map, found a number"),
        # the rest of what runs
        ("protocols: {}", "protocols", "is empty; write at least one, or remove the key"),
        ("protocols: {response: 1.0}", "protocols.response", "'response' is not a protocol; did you mean responses?"),
        (
            "protocols: {'my protocol': 1.0}",
            "protocols.my protocol",
            "'my protocol' is not a protocol; Foundry",
        ),
        ("protocols: {responses: latest}", "protocols.responses", "write the protocol's version as numbers"),
        ("protocols: {responses: }", "protocols.responses", EMPTY),
        ("protocols: [responses]", "protocols", "expected a map, found a list"),
        ("tools: [{type: hammer}]", "tools.0", "unknown tool 'hammer'; Slipway supports code_interpreter, file_search"),
        ("tools: [{type: code_interpreter}, {}]", "tools.1", "has no type; Slipway supports code_interpreter"),
        ("tools: [code_interpreter]", "tools.0", "expected a map, found text"),
        ("tools: {type: mcp}", "tools", "expected a list, found a map"),
        ("tools: [{type: mcp, server_label: a}]", "tools.0", "an mcp tool needs server_label and an https server_url"),
        ("tools: [{type: mcp, server_label: a, server_url: 'http://b'}]", "tools.0", "an https server_url"),
        ("more_definition: {image: x}", "more_definition.image", "must not set image: Slipway sets it"),
        ("more_definition: {cpu: 2}", "more_definition.cpu", "must not set cpu: Slipway sets it"),
        ("more_definition: {a: .inf}", "more_definition.a", "is not a number in JSON"),
        ("more_definition: []", "more_definition", "expected a map, found a list"),
        # valid YAML that agents.yaml does not accept
        ("cpu: !!binary MQ==", "cpu", "the tag !!binary is not supported; write the value without it"),
        ("cpu: !!python/object:os.system x", "cpu", "the tag !!python/object:os.system is not supported"),
        ("tags: !!set {a}", "tags", "the tag !!set is not supported"),
        ("env_from_vault: !!bool x", "env_from_vault", "is not a valid bool"),
        ('cpu: "\\ud800"', "cpu", "contains half a character; write the whole character"),
        ("<<: {cpu: 1}", "<<", "merge keys are not supported; put shared keys under `defaults:`"),
        ("tags: {<<: {order: semver}}", "tags.<<", "merge keys are not supported"),
        ("? [a]\n    : b", "", "a key must be plain text"),
        ('"\\ud800": b', "", "a key must be plain text"),
    ],
)
def test_an_issue_is_one_sentence_with_its_path_and_line(body: str, path: str, message: str) -> None:
    (found,) = issues(agent(body))
    assert found.startswith(f"agents.hello{'.' if path else ''}{path}, line 3: ")
    assert message in found
    assert "\n" not in found
    assert len(found) < 300


@pytest.mark.parametrize(
    ("repository", "message"),
    [
        ("demo.azurecr.io/agents/hello", "'demo.azurecr.io' is a registry, which REGISTRY_LOGIN_SERVER sets"),
        ("localhost:5000/agents/hello", "'localhost:5000' is a registry"),
        ("https://demo.azurecr.io/agents/hello", "'demo.azurecr.io' is a registry"),
        ("demo.azurecr.io/agents/hello:v1", "'demo.azurecr.io' is a registry"),
        ("agents/hello:v1", "the tag comes from the push"),
        (f"agents/hello@sha256:{'a' * 64}", "the digest comes from the push"),
        ("agents/hello:v1@sha256:ab", "the digest comes from the push"),
        ("Agents/Hello", "a repository has only lower case letters"),
        ("/agents/hello", "'/agents/hello' is not a repository"),
        ("agents hello", "'agents hello' is not a repository"),
        ("''", "'' is not a repository"),
        ("A" * 900, "a repository has only lower case letters"),
        ("a" * 256, f"'{'a' * 79}… is longer than 255 characters"),
        ("test.com/agents/hello", "'test.com' is a registry"),
        ("TEST.com/Agents/Hello", "'TEST.com' is a registry"),
        ("test.com/agents/hello:v1", "'test.com' is a registry"),
        ("registry.team/agents/hello:v1", "'registry.team' is a registry"),
        (f"registry.team/agents/hello@sha256:{'a' * 64}", "'registry.team' is a registry"),
        ("oci://registry.team/agents/hello", "'registry.team' is a registry"),
        ("localhost/agents/hello", "'localhost' is a registry"),
        ("10.0.0.7/agents/hello", "'10.0.0.7' is a registry"),
        ("host:5000/agents/hello:v1", "'host:5000' is a registry"),
        ("docker.io/agents/hello", "'docker.io' is a registry"),
        ("demo.azurecr.io/docker.io/agents/hello", "'demo.azurecr.io' is a registry"),
        ("demo-e7ggejfuhzhgedc8.azurecr.cn/agents/hello", "'demo-e7ggejfuhzhgedc8.azurecr.cn' is a registry"),
        ("demo.azurecr.io", "'demo.azurecr.io' is a registry without a repository"),
        ("https://demo-e7ggejfuhzhgedc8.azurecr.cn/", "'demo-e7ggejfuhzhgedc8.azurecr.cn' is a registry without"),
        ("agents//hello", "'agents//hello' is not a repository"),
        ("agents/hello/", "'agents/hello/' is not a repository"),
    ],
)
def test_a_repository_has_no_registry_tag_or_digest(repository: str, message: str) -> None:
    (found,) = issues(f"agents:\n  a:\n    repository: {repository}\n")
    assert found.startswith(f"agents.a.repository, line 3: {message}")
    assert found.endswith("; write only the repository: agents/hello")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", f"line 1: the file is empty; {BEGIN}", id="an empty file"),
        pytest.param("# nothing\n\n", f"line 1: the file is empty; {BEGIN}", id="only comments"),
        pytest.param("---\n", f"line 1: the file is empty; {BEGIN}", id="an empty document"),
        pytest.param("- a\n", f"line 1: the file is a list; {BEGIN}", id="a list"),
        pytest.param("hello", f"line 1: the file is text; {BEGIN}", id="text"),
        pytest.param("defaults: {}\n", f"line 1: {BEGIN}", id="no agents"),
        pytest.param("#\nagents:\n", "agents, line 2: has no agent; write under it hello-agent:", id="nothing below"),
        pytest.param("agents: {}\n", "agents, line 1: has no agent; write under it hello-agent:", id="no agent"),
        pytest.param(
            "agents: [a]\n", "agents, line 1: expected a map of agents, found a list; write", id="a list below"
        ),
        pytest.param("agents: !!set {a}\n", "agents, line 1: the tag !!set is not supported", id="a set below"),
        pytest.param("!!set {a}\n", "line 1: the tag !!set is not supported", id="a set"),
        pytest.param(
            "agents:\n  a: 3\n",
            "agents.a, line 2: expected a map such as {repository: agents/hello}, found a n",
            id="a number",
        ),
        pytest.param(
            "agents:\n  a:\n",
            "agents.a, line 2: expected a map such as {repository: agents/hello}, found noth",
            id="no body",
        ),
        pytest.param(
            "agents:\n  a: {}\n",
            "agents.a.repository, line 2: is missing; add `repository: …` here",
            id="no repository",
        ),
        pytest.param(
            "#\nagent: {a: {repository: b}}\n", "agent, line 2: unknown key; did you mean agents?", id="top key"
        ),
        pytest.param(
            "agents: {b: {repository: b}}\nfoo: 1\n",
            "foo, line 2: unknown key; valid keys here: defaults, agents",
            id="strange top key",
        ),
        pytest.param(
            "agents: {b: {repository: b}}\ncpu: 1\n",
            "cpu, line 2: unknown key here; it belongs directly under the agent",
            id="top cpu",
        ),
        pytest.param("agents:\n  -a: {repository: x}\n", f"agents.-a, line 2: {NAME}", id="a hyphen first"),
        pytest.param("agents:\n  a_b: {repository: x}\n", f"agents.a_b, line 2: {NAME}", id="an underscore"),
        pytest.param(
            f"agents:\n  {'a' * 64}: {{repository: x}}\n", f"agents.{'a' * 64}, line 2: {NAME}", id="64 letters"
        ),
        pytest.param("agents:\n  '': {repository: x}\n", f"agents., line 2: {NAME}", id="no name"),
        pytest.param(
            'agents:\n  "a\\nb": {repository: x}\n', f"agents.a\\nb, line 2: {NAME}", id="a line end in a name"
        ),
        pytest.param(
            f"agents:\n  {'a' * 120}: {{repository: x}}\n",
            f"agents.{'a' * 80}…, line 2: {NAME}",
            id="a very long name",
        ),
        pytest.param(
            "agents:\n  a: {repository: x}\n  a: {repository: y}\n",
            "agents.a, line 3: duplicate key; the first is in line 2",
            id="a duplicate agent",
        ),
        pytest.param(
            "agents:\n  a:\n    repository: x\n    repository: y\n",
            "agents.a.repository, line 4: duplicate key; the first is in line 3",
            id="a duplicate key",
        ),
        pytest.param(
            "agents: {a: {repository: x}}\nagents: {}\n",
            "agents, line 2: duplicate key; the first is in line 1",
            id="agents twice",
        ),
        pytest.param(
            "agents:\n  a:\n\t  repository: x\n",
            "line 3: this is not YAML: a tab cannot stand here; use spaces",
            id="a tab",
        ),
        pytest.param("agents: {a: {\n", "line 2: this is not YAML: while parsing a flow node", id="half of it"),
        pytest.param(
            "agents:\n  a: b: c\n", "line 2: this is not YAML: mapping values are not allowed here", id="two colons"
        ),
        pytest.param("agents: {a: *b}\n", "line 1: this is not YAML: found undefined alias 'b'", id="no anchor"),
        pytest.param(
            "agents:\n  a: \x00\n", "line 2: this is not YAML: the character U+0000 is not allowed", id="a NUL"
        ),
        pytest.param(
            "agents: {a: {repository: x}}\n---\nagents: {}\n",
            "line 2: this is not YAML: expected a single document",
            id="two documents",
        ),
        pytest.param("[" * 5000, "line 1: nested deeper than 32 levels", id="brackets"),
        pytest.param("- " * 5000, "line 1: this is not YAML: it is nested too deeply", id="dashes"),
        pytest.param(
            f"agents: {'[' * 40}{']' * 40}\n", "agents.0.0.0, line 1: nested deeper than 32 levels", id="a deep list"
        ),
        pytest.param(
            "agents: &a {a: *a}\n", "agents.a.a.a, line 1: nested deeper than 32 levels", id="itself in itself"
        ),
        pytest.param(
            f"agents:\n  a: {{repository: x, more_definition: {{a: [{'1,' * 60_000}]}}}}\n",
            "agents.a.more_definition.a, line 2: more than 50,000 values",
            id="too many values",
        ),
        pytest.param(
            "defaults: 3\nagents: {a: {repository: x}}\n",
            "defaults, line 1: expected a map of the keys that all agents share, found a number",
            id="a number for defaults",
        ),
        pytest.param(
            "defaults:\nagents: {a: {repository: x}}\n", f"defaults, line 1: {EMPTY}", id="nothing for defaults"
        ),
    ],
)
def test_a_wrong_file_has_one_issue(text: str, expected: str) -> None:
    (found,) = issues(text)
    assert found.startswith(expected)


def test_aliases_cannot_blow_the_file_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (found,) = issues("\n".join(lines))
    assert "more than 50,000 values" in found


def test_a_file_that_is_not_text_or_is_too_large_has_one_issue() -> None:
    assert issues(b"agents:\n  \xff: {}\n") == ["line 2: the file is not UTF-8 text; save it as UTF-8"]
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert issues("agents:\n".encode(encoding)) == ["line 1: the file is not UTF-8 text; save it as UTF-8"]
    assert issues(b"#" * 2_000_000) == ["line 1: the file has 2,000,000 bytes; the maximum is 1,000,000"]


def test_lines_are_counted_with_a_bom_and_with_the_line_ends_of_windows() -> None:
    text = agent("cpu: fast").replace("\n", "\r\n")
    assert issues("\ufeff".encode() + text.encode()) == [f"agents.hello.cpu, line 3: {CPU}"]


@pytest.mark.parametrize(
    ("defaults", "path", "message"),
    [
        ("cpu: fast", "cpu", CPU),
        ("relase: {}", "relase", "unknown key; did you mean release?"),
        ("name: a", "name", "unknown key; an agent's name is the key above it"),
        ("tags: [a]", "tags", "expected a map, found a list"),
        ("tags: {ignore: ['(']}", "tags.ignore.0", "is not an RE2 expression"),
        ("env: {PORT: x}", "env.PORT", "PORT is reserved"),
        ("env: {A: null}", "env.A", "has no value"),
        ("release: {min_push_age: 10}", "release.min_push_age", DURATION),
        ("release: {verify: {ask: a}}", "release.verify", "needs `expect: …`"),
        ("more_definition: {image: x}", "more_definition.image", "must not set image"),
        ("cpu: 1\n  cpu: 1", "cpu", "duplicate key"),
    ],
)
def test_an_issue_of_the_defaults_is_listed_once_and_there(defaults: str, path: str, message: str) -> None:
    agents = "".join(f"  a{number}: {{repository: x}}\n" for number in range(20))
    (found,) = issues(f"#\ndefaults:\n  {defaults}\nagents:\n{agents}")
    assert found.startswith(f"defaults.{path}, line {4 if 'duplicate' in message else 3}: ")
    assert message in found


def test_an_issue_of_the_defaults_is_listed_where_every_agent_overrides_it_too() -> None:
    assert issues("defaults: {cpu: fast}\nagents:\n  a: {repository: x, cpu: 1}\n") == [f"defaults.cpu, line 1: {CPU}"]
    both = issues("defaults: {cpu: fast}\nagents:\n  a: {repository: x, cpu: slow}\n  b: {repository: y, tag: v}\n")
    assert [issue.split(":")[0] for issue in both] == [
        "defaults.cpu, line 1",
        "agents.a.cpu, line 3",
        "agents.b.tag, line 4",
    ]


def test_an_aliased_issue_names_every_path_and_the_line_of_the_anchor() -> None:
    found = issues("agents:\n  a: &one {repository: x, tag: v}\n  b: *one\n")
    assert [issue.split(":")[0] for issue in found] == ["agents.a.tag, line 2", "agents.b.tag, line 2"]


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        (
            "agents: {a: {repository: b, tags: {range: 1.0.0 \u2013 2.0.0}}}",
            r"line 1: .* is not a version range; it has \u2013 \(U\+2013, en dash\); write -",
        ),
        (
            "agents: {a:\u00a0{repository: b}}",
            r"line 1: this is not YAML: .*; the line has U\+00A0 \(no-break space\); write",
        ),
        (
            "agents:\n  a: {repository: b}\n\u00a0\u00a0c: {repository: b}",
            r"line 3: unknown key; it has U\+00A0 \(no-break space\); write a plain space",
        ),
        (
            "agents: {a: {\u201crepository\u201d: b}}",
            r"line 1: unknown key; it has \u201c \(U\+201C, left double quotation",
        ),
    ],
)
def test_a_character_that_a_copy_brought_along_is_named(text: str, issue: str) -> None:
    assert any(re.search(issue, found) for found in issues(text))


def test_two_agents_must_differ_in_more_than_case() -> None:
    text = "agents:\n  Support: {repository: a}\n  other: {repository: b}\n  support: {repository: c}\n"
    assert issues(text) == [
        "agents.support, line 4: differs from Support in line 2 only in case; give each agent a name of its own"
    ]


def test_no_agent_has_the_name_that_commands_take_for_every_agent() -> None:
    text = "agents:\n  hello: {repository: a}\n  all: {repository: b}\n"
    assert issues(text) == ["agents.all, line 3: commands mean every agent by this name; give the agent another one"]


def test_issues_of_the_yaml_and_of_the_values_are_listed_together_by_line() -> None:
    text = """agents:
  a:
    repository: x:1
    cpu: fast
    cpu: slow
    tools: [{type: hammer}]
    more_definition: {image: x, kind: y}
    env: {PORT: 1, A-B: [1]}
  b_c: [1]
top: 1
"""
    assert [issue.split(":")[0] for issue in issues(text)] == [
        "agents.a.repository, line 3",
        "agents.a.cpu, line 4",
        "agents.a.cpu, line 5",
        "agents.a.tools.0, line 6",
        "agents.a.more_definition.image, line 7",
        "agents.a.more_definition.kind, line 7",
        "agents.a.env.A-B, line 8",
        "agents.a.env.A-B, line 8",
        "agents.a.env.PORT, line 8",
        "agents.b_c, line 9",
        "top, line 10",
    ]


def test_two_hundred_agents_with_an_issue_each_are_listed_at_once() -> None:
    agents = "".join(f"  a{number}:\n    repository: agents/a{number}\n    tag: v\n" for number in range(200))
    started_at = time.process_time()
    found = issues(f"agents:\n{agents}")
    assert time.process_time() - started_at < 1
    assert [issue.split(":")[0] for issue in found] == [f"agents.a{n}.tag, line {3 * n + 4}" for n in range(200)]


def test_a_value_of_a_variable_is_never_shown() -> None:
    text = agent("env: {A: [canary-1], B: {secrets: canary-2}, C: {secret: canary_3}, D: {connection: canary-4}}")
    assert "canary" not in "".join(issues(text))


CALL = """
import asyncio, json, pathlib, os
from local.functions_host.indexing import load
failures = {}
async def call(name, function):
    try:
        await function.call("{}")
    except Exception as error:
        failures[name] = [type(error).__name__, str(error)]
async def call_each():  # on one event loop, as in the app, where functions share their connections
    functions = load(pathlib.Path.cwd(), os.environ).items()
    # a poisoned message needs no agents.yaml
    await asyncio.gather(*(call(name, function) for name, function in functions if not name.endswith("_poisoned")))
asyncio.run(call_each())
print(json.dumps(failures))
"""


def test_every_function_that_needs_agents_yaml_fails_with_every_issue_so_that_events_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.write_text("agents:\n  a: {repository: 'x:1', cpu: fast}\n  b: {repository: y, tag: v}\n")
    env = {
        "FOUNDRY_PROJECT_ENDPOINT": "https://r.services.ai.azure.com/api/projects/p",
        "KEY_VAULT_URL": "https://v.vault.azure.net",
        "REGISTRY_NAME": "demo",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "PRUNE_SCHEDULE": "0 0 3 * * *",
        "RESUME_SCHEDULE": "0 */5 * * * *",
        "AGENTS_FILE": str(path),
    }
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=env | {"PATH": os.defpath},
    )
    failures = json.loads(done.stdout)
    functions = {"image_pushed", "secret_changed", "event_queued", "release_agent", "prune_versions", "resume_releases"}
    functions.add("commit_status")
    assert set(failures) == functions
    for kind, text in failures.values():
        assert kind == "ConfigError"
        assert [line.split(": ")[:2] for line in text.splitlines()] == [
            [f"{path}:2", "agents.a.cpu"],
            [f"{path}:2", "agents.a.repository"],
            [f"{path}:3", "agents.b.tag"],
        ]
