"""``projects:`` of agents.yaml: endpoints and vaults, and what is wrong with them."""

from __future__ import annotations

import pytest

from core.agents_file.loader import AgentsFileError, load_agents
from core.agents_file.projects import by_vault, is_same_project

STAGES = "agents: {hello: {repository: agents/hello, stages: [{projects: [default, eu, us]}]}}\n"


def test_the_secrets_of_a_project_are_in_its_vault_or_in_that_of_the_settings() -> None:
    eu = "{endpoint: 'https://eu/api/projects/p', vault: 'https://Contoso-EU.vault.azure.net:443/'}"
    agents = load_agents(f"projects: {{eu: {eu}, us: {{endpoint: 'https://us/api/projects/p'}}}}\n{STAGES}".encode())
    address = "https://contoso-eu.vault.azure.net"
    assert agents.vaults == {"eu": address}
    assert {name: agents.vault_of(name) for name in agents.agents} == {"hello": "", "hello@eu": address, "hello@us": ""}
    assert [[spec.name for spec in specs] for specs in by_vault(agents)] == [["hello", "hello@us"], ["hello@eu"]]


def test_projects_may_share_a_vault_and_a_stand_in_has_one_below_its_address() -> None:
    vault = "vault: 'https://127.0.0.1:8443/vaults/eu'"
    one, other = (f"{name}: {{endpoint: 'https://{name}/api/projects/p', {vault}}}" for name in ("eu", "us"))
    agents = load_agents(f"projects: {{{one}, {other}}}\n{STAGES}".encode())
    assert agents.vaults == dict.fromkeys(("eu", "us"), "https://127.0.0.1:8443/vaults/eu")
    assert [[spec.name for spec in specs] for specs in by_vault(agents)] == [["hello"], ["hello@eu", "hello@us"]]


@pytest.mark.parametrize(
    ("projects", "expected"),
    [
        ("", "projects, line 1: expected a map such as {staging: {endpoint: …}}, found nothing"),
        ("{}", "projects, line 1: has no project; name one, or remove the key"),
        ("{eu: x}", "projects.eu, line 1: expected a map such as {endpoint: …}, found text"),
        ("{eu: {}}", "projects.eu, line 1: needs an endpoint, such as https://"),
        (
            "{eu: {url: x, endpoint: 'https://a/api/projects/p'}}",
            "projects.eu.url, line 1: unknown key; valid keys here",
        ),
        (
            "{Eu: {endpoint: 'https://a/api/projects/p'}}",
            "projects.Eu, line 1: a project's name has only small letters",
        ),
        ("{default: {endpoint: 'https://a/api/projects/p'}}", "projects.default, line 1: is the project of FOUNDRY_PR"),
        (
            "{eu: {endpoint: 'http://a/api/projects/p'}}",
            "projects.eu.endpoint, line 1: is not the address of a project",
        ),
        ("{eu: {endpoint: 'https://a/api'}}", "projects.eu.endpoint, line 1: is not the address of a project"),
        (
            "{eu: {endpoint: 'https://[/api/projects/p'}}",
            "projects.eu.endpoint, line 1: is not the address of a project",
        ),
        (
            "{eu: {endpoint: 'https://a.openai.azure.com/api/projects/p'}}",
            "projects.eu.endpoint, line 1: names another",
        ),
        *(
            (
                f"{{eu: {{endpoint: 'https://a/api/projects/p', vault: {vault}}}}}",
                f"projects.eu.vault, line 1: {problem}",
            )
            for vault, problem in [
                ("7", "is not the address of a vault; write one such as https://<vault>.vault.azure.net"),
                ("", "is not the address of a vault"),
                ("contoso-eu", "is not the address of a vault"),
                ("'http://a.vault.azure.net'", "is not the address of a vault"),
                ("'https://[/'", "is not the address of a vault"),
                ("'https://a.vault.azure.net/keys'", "is not the address of a vault"),
                ("'https://a/secrets/b'", "is not the address of a vault"),
                (
                    "'https://a.azurecr.io.azure.net'",
                    "names another service; write an address such as https://<vault>.",
                ),
            ]
        ),
        *(
            (
                f"{{eu: {{endpoint: 'https://a/api/projects/p'}}, us: {{endpoint: '{same}'}}}}",
                "projects.us.endpoint, line 1: is the endpoint of eu too; each project has one name",
            )
            for same in (
                "https://A/api/projects/p/",
                "https://a:443/api/projects/P",
                "https://a./api/projects/%70",
                "HTTPS://a/api/projects/p//",
            )
        ),
    ],
)
def test_a_wrong_project_has_one_issue(projects: str, expected: str) -> None:
    with pytest.raises(AgentsFileError) as wrong:
        load_agents(f"projects: {projects}\nagents: {{hello: {{repository: agents/hello}}}}\n".encode())
    (found,) = wrong.value.issues
    assert str(found).startswith(expected)


def test_addresses_that_cannot_be_read_are_the_same_only_as_they_are_written() -> None:
    assert is_same_project("x", "x")
    assert not is_same_project("x", "y")
    assert not is_same_project("https://a/api/projects/p", "https://a:8443/api/projects/p")
