"""The key ``github`` of agents.yaml: which commits it allows, and what a mistake in it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.agents_file.github import GitHubSpec
from core.agents_file.loader import AgentsFileError, load_agents
from core.source_commit import SourceCommit

ROOT = Path(__file__).resolve().parents[4]
AGENTS = "agents: {hello: {repository: agents/hello}}\n"
LEAST = "app_id: 123456, private_key: github-app-key, repositories: [contoso/support, Fabrikam/*]"


def github(body: str = LEAST) -> GitHubSpec:
    spec = load_agents(f"{AGENTS}github: {{{body}}}".encode()).github
    assert spec is not None
    return spec


def test_the_key_is_optional() -> None:
    assert load_agents(AGENTS.encode()).github is None


def test_an_app_has_an_id_or_a_client_id() -> None:
    assert github().app_id == "123456"
    assert github("app_id: Iv23liAbCdEf, private_key: k, repositories: [a/b]").app_id == "Iv23liAbCdEf"


@pytest.mark.parametrize(
    ("api", "host"),
    [
        ("https://api.github.com", "github.com"),
        ("https://GHE.contoso.com/api/v3/", "ghe.contoso.com"),
        ("https://ghe.contoso.com:8443/api/v3", "ghe.contoso.com:8443"),
        ("https://api.contoso.ghe.com", "contoso.ghe.com"),
    ],
)
def test_the_api_names_the_host_of_the_labels(api: str, host: str) -> None:
    assert github(f"{LEAST}, api: '{api}'").host == host


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ("github.com/contoso/support", True),
        ("github.com/Contoso/SUPPORT", True),
        ("github.com/fabrikam/anything", True),
        ("github.com/contoso/other", False),
        ("github.com/fabrikam-evil/anything", False),
        ("evil.com/contoso/support", False),
        ("api.github.com/contoso/support", False),
    ],
)
def test_only_listed_repositories_of_the_host_are_allowed(source: str, allowed: bool) -> None:
    assert github().allows(SourceCommit(source, "a" * 40)) is allowed


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("7", "github, line 2: expected a map, found a number"),
        ("", "github, line 2: has no value; write one, or remove the key"),
        (f"{{{LEAST}, log-url: x}}", "github.log-url, line 2: unknown key; did you mean log_url?"),
        (f"{{{LEAST}, zzz: x}}", "valid keys here: app_id, private_key, repositories, api, log_url"),
        ("{app_id: 1, private_key: k}", "github.repositories, line 2: is missing"),
        ("{app_id: 1, private_key: k, repositories: []}", "write at least one repository as owner/name"),
        ("{app_id: 1, private_key: k, repositories: [contoso]}", "'contoso' is not a repository; write owner/name"),
        ("{app_id: 1, private_key: k, repositories: [../x]}", "'../x' is not a repository"),
        ("{app_id: -1, private_key: k, repositories: [a/b]}", "github.app_id, line 2: write the App's id"),
        ("{app_id: true, private_key: k, repositories: [a/b]}", "github.app_id, line 2: expected text, found true"),
        ("{app_id: 1, private_key: a_b, repositories: [a/b]}", "a Key Vault secret name has only letters"),
        (f"{{{LEAST}, api: 'http://ghe.contoso.com/api/v3'}}", "is not the address of GitHub's REST API"),
        (f"{{{LEAST}, api: 'https://user@ghe.contoso.com/api/v3'}}", "is not the address of GitHub's REST API"),
        (f"{{{LEAST}, log_url: 'http://x/{{target}}'}}", "is not an https address"),
        (f"{{{LEAST}, log_url: 'https://x/{{secret}}'}}", "{digest}, {reason}, {target}, {version}"),
    ],
)
def test_a_mistake_names_its_place_and_what_to_write(body: str, message: str) -> None:
    with pytest.raises(AgentsFileError) as wrong:
        load_agents(f"{AGENTS}github: {body}".encode())
    assert message in str(wrong.value)


def test_a_key_of_github_at_another_place_is_found() -> None:
    with pytest.raises(AgentsFileError, match="it belongs under github"):
        load_agents(f"{AGENTS}private_key: k".encode())


def test_a_link_may_have_fields() -> None:
    assert github(f"{LEAST}, log_url: 'https://logs.contoso.com/{{target}}/{{version}}'").log_url is not None
