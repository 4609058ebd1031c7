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


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        ("'@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/my-key/)'", "{secret: my-key}"),
        ("'@microsoft.keyvault(VaultName=v;SecretName=my-key)'", "{secret: my-key}"),
        ("secretref:my-key", "{secret: my-key}"),
        ("keyvault://v/my-key", "{secret: name-in-key-vault}"),
        ("${NAME}", "{secret: name-in-key-vault}"),
        ("https://${HOST}/x", "{secret: name-in-key-vault}"),
        ("$(NAME)", "{secret: name-in-key-vault}"),
        ("'{{ secrets.NAME }}'", "{secret: name-in-key-vault}"),
        ("'${{ secrets.NAME }}'", "{secret: name-in-key-vault}"),
        ("'{{ .Values.key }}'", "{secret: name-in-key-vault}"),
        ("$NAME", "{secret: name-in-key-vault}"),
        ("$env:NAME", "{secret: name-in-key-vault}"),
        ("'%NAME%'", "{secret: name-in-key-vault}"),
        ("'#{NAME}#'", "{secret: name-in-key-vault}"),
        ("'{{NAME}}'", "{secret: name-in-key-vault}"),
        ("'$[variables.name]'", "{secret: name-in-key-vault}"),
        ("https://v.vault.azure.net/secrets/my-key/0123", "{secret: my-key}"),
        ("op://vault/item/field", "{secret: name-in-key-vault}"),
    ],
)
def test_a_reference_that_nothing_fills_in_is_a_warning(value: str, instead: str) -> None:
    (warning,) = warnings(load_agents(agent(f"env:\n  A: ok\n  B: {value}")))
    assert warning.startswith("agents.hello.env.B: the container gets ")
    assert warning.endswith(f" as it stands; for a secret write {instead} (line 6)")


def test_a_variable_with_nul_is_a_warning() -> None:
    (warning,) = warnings(load_agents(agent('env: {A: "a\\0b"}')))
    assert warning.startswith("agents.hello.env.A: no variable can hold U+0000")


def test_an_image_that_only_the_registry_knows_needs_inspection() -> None:
    (warning,) = warnings(load_agents(agent("image: amd64\ninspect: never")))
    assert warning.startswith("agents.hello.inspect: makes Slipway deploy the index: ")


@pytest.mark.parametrize(
    "value",
    ["'${{connections.crm.target}}'", "'Hello {{name}}'", "'5$ (net)'", "a:b", "'${}'", "cost $USD", "'50% of %'"],
)
def test_other_texts_of_variables_are_no_warning(value: str) -> None:
    assert not warnings(load_agents(agent(f"env: {{A: {value}}}")))


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        ("protocols: {responses: 1.0.0}", "agents.hello.protocols.responses: Foundry has blocked version 1.0.0"),
        ("protocols: {invocations: v1}", "agents.hello.protocols.invocations: Foundry has blocked"),
        (
            "tags: {prereleases: true}",
            "agents.hello.tags.prereleases: has no effect without `order: semver` or a range",
        ),
        ("env: {Key: a, KEY: b}", "agents.hello.env.KEY: differs from Key only in case"),
        (
            "env: {A: {secret: API-key}, B: {secret: api-KEY}}",
            "agents.hello.env.B: api-KEY and API-key are the same secret, since Key Vault ignores case; write API-key",
        ),
        (
            "env: {A: \u201chello\u201d}",
            "agents.hello.env.A: the container gets the value with \u201c (U+201C, left double",
        ),
        (
            "tags: {allow: ['^v1', \u201c^v\u201d]}",
            'agents.hello.tags.allow.1: no tag has \u201c (U+201C, left double quotation mark); write "',
        ),
        ("tags: {ignore: ['dev\u2013.*']}", "agents.hello.tags.ignore.0: no tag has \u2013 (U+2013, en dash); write -"),
        (
            "tags: {extract: '(v\u00a0.*)'}",
            "agents.hello.tags.extract: no tag has U+00A0 (no-break space); write a plain",
        ),
        (
            "keep: {tags: ['^gr\u00fcn']}",
            "agents.hello.keep.tags.0: no tag has \u00fc (U+00FC, latin small letter u with",
        ),
        (
            "release: {verify: {ask: a, expect: it\u2019s}}",
            "agents.hello.release.verify.expect: an answer must have \u2019 (U+2019, right single",
        ),
        (
            "release: {check: [{post: a, expect: ok}, {post: a, expect: a\u2013b}]}",
            "agents.hello.release.check.1.expect: an answer must have \u2013 (U+2013, en dash); write -",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning_with_its_line(body: str, warning: str) -> None:
    (found,) = warnings(load_agents(agent(body)))
    assert found.startswith(warning)
    assert found.endswith(" (line 4)")


@pytest.mark.parametrize(
    "body",
    [
        "protocols: {a2a: 1.0.0}",
        "env: {http_proxy: a, HTTP_PROXY: a}",
        "tags: {prereleases: true, order: semver}",
        "release: {verify: {ask: a\u2019s, expect: gr\u00fcn}}",
        "env: {A: {secret: key}, B: {secret: key}}",
    ],
)
def test_these_are_no_warnings(body: str) -> None:
    assert not warnings(load_agents(agent(body)))


def test_a_repository_that_may_be_a_registry_is_a_warning() -> None:
    (found,) = warnings(load_agents(b"agents: {a: {repository: my.team/hello}}"))
    assert found == (
        "agents.a.repository: Docker reads 'my.team' as a registry; if it is one, write only the repository: hello"
        " (line 1)"
    )


def test_a_warning_about_the_defaults_comes_once() -> None:
    text = "defaults:\n  env: {A: $(A)}\nagents:\n  a: {repository: a}\n  b: {repository: b}\n"
    (found,) = warnings(load_agents(text.encode()))
    assert found.startswith("defaults.env.A: ")
    assert found.endswith(" (line 2)")


def test_an_unusual_size_is_a_warning() -> None:
    (warning,) = warnings(load_agents(agent('cpu: "4"\nmemory: 8Gi')))
    assert "cpu 4 with memory 8Gi" in warning
