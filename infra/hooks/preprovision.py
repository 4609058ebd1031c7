"""Preflight: what would fail half-way is said before anything is made, each with the command that helps."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.rules import Agents
from infra.hooks import preflight_resources, preflight_rights, preflight_settings
from infra.hooks.azure_cli import Azure, AzureError, where
from infra.hooks.deploy_request import DeployRequest, Source, from_env, group_id
from infra.hooks.findings import Finding, error, note, ok, report
from infra.hooks.prepackage import rules

ROOT = Path(__file__).resolve().parents[2]
ROLES: Mapping[str, Any] = json.loads((ROOT / "infra" / "modules" / "roles.json").read_text())
READ = {
    "registry": "2025-11-01",
    "vault": "2024-11-01",
    "foundry": "2025-06-01",
    "topics": "2025-02-15",
    "network": "2024-07-01",
}
NAMES = {"REGISTRY": "2025-04-01", "VAULT": "2024-11-01"}


def main(env: Mapping[str, str]) -> int:
    """All of it; the exit code."""
    return report("preflight", findings(env, Azure(env)))


def findings(env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """What can be said without Azure first; with an error there, Azure is not asked."""
    request = from_env(env)
    offline = [*preflight_settings.names(env, request), *preflight_settings.values(env)]
    agents = rules(ROOT / "agents.yaml")
    if isinstance(agents, Agents):
        offline += preflight_settings.rights_of_rules(request, agents)
    else:
        offline += agents
    yield from offline
    if isinstance(agents, Agents) and not any(one.level == "error" for one in offline):
        try:
            yield from _of_azure(request, agents, azure)
        except AzureError as refused:
            yield error("Azure", str(refused), "az login, with an account that may read what the azd environment names")


def _of_azure(request: DeployRequest, agents: Agents, azure: Azure) -> Iterator[Finding]:
    account = azure.run("account", "show", "--subscription", request.subscription)
    yield ok("account", f"{account['user']['name']} in {account['name']}")
    yield preflight_rights.region(azure.run("functionapp", "list-flexconsumption-locations"), request.location)
    asked = ("--location", request.location, "--runtime", "python")
    yield preflight_rights.python(
        azure.run("functionapp", "list-flexconsumption-runtimes", *asked) or [], request.python
    )
    for subscription in request.subscriptions:
        listed = azure.list(f"/subscriptions/{subscription}/providers", "2021-04-01")
        yield from preflight_rights.providers(listed, preflight_rights.used_in(subscription, request), subscription)
    project = yield from _foundry(request, azure)
    yield from _registry(request, project, agents, azure)
    yield from _vault(request, azure)
    for source in (request.registry, request.vault):
        listed = azure.list(
            f"/subscriptions/{source.subscription}/providers/Microsoft.EventGrid/systemTopics", READ["topics"]
        )
        yield from preflight_resources.topics(listed, source, request.environment)
    if request.subnet:
        yield preflight_resources.subnet(azure.get(request.subnet, READ["network"]), request)
    yield from _rights(request, azure)


def _foundry(request: DeployRequest, azure: Azure) -> Generator[Finding, None, str]:
    """Yield what is found, and return the project's identity."""
    account = azure.get(request.account_id, READ["foundry"])
    if account is None:
        kind = "Microsoft.CognitiveServices/accounts"
        yield preflight_resources.missing("foundry", "FOUNDRY", request.account, where(azure, request.account, kind))
        return ""
    project = azure.get(request.project_id, READ["foundry"])
    if project is None:
        listed = azure.list(f"{request.account_id}/projects", READ["foundry"])
        names = ", ".join(one["name"].rpartition("/")[2] for one in listed) or "none"
        told = f"{request.account} has no project {request.project}; it has: {names}"
        yield error("foundry", told, "azd env set FOUNDRY_PROJECT_NAME <one of them>")
        return ""
    yield from preflight_resources.foundry(account, project, request)
    return str((project.get("identity") or {}).get("principalId", ""))


def _registry(request: DeployRequest, project: str, agents: Agents, azure: Azure) -> Iterator[Finding]:
    source = request.registry
    found = azure.get(source.id, READ["registry"])
    if found is None:
        yield _absent(source, request, azure)
        return
    yield from preflight_resources.registry(found, request)
    if project:
        asked = f"{source.id}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq '{project}'"
        yield preflight_resources.puller(azure.list(asked, "2022-04-01"), found, ROLES, request)
    followed = [rule.repository for rule in agents.agents.values()]
    try:
        listed = azure.run("acr", "repository", "list", "--name", source.name, "--subscription", source.subscription)
    except AzureError as refused:
        yield note(
            "repositories",
            f"they could not be listed: {refused}",
            "nothing depends on it; rules may be written before the first push",
        )
        return
    yield from preflight_resources.repositories(listed or [], followed)


def _vault(request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    found = azure.get(request.vault.id, READ["vault"])
    if found is None:
        yield _absent(request.vault, request, azure)
        return
    yield from preflight_resources.vault(found, request)
    for name in request.secrets:
        yield preflight_resources.secret(azure.get(f"{request.vault.id}/secrets/{name}", READ["vault"]), name, request)


def _absent(source: Source, request: DeployRequest, azure: Azure) -> Finding:
    if source.created:
        provider = source.type.partition("/")[0]
        path = f"/subscriptions/{request.subscription}/providers/{provider}/checkNameAvailability"
        return preflight_rights.taken(
            azure.post(path, NAMES[source.kind], {"name": source.name, "type": source.type}), source
        )
    return preflight_resources.missing(
        source.kind.lower(), source.kind, source.name, where(azure, source.name, source.type)
    )


def _rights(request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    exists = azure.get(group_id(request.subscription, request.group), "2021-04-01") is not None

    def at(place: tuple[str, list[str]]) -> list[Finding]:
        scope, actions = place
        try:
            told = azure.get(f"{scope}/providers/Microsoft.Authorization/permissions", "2022-04-01")
        except AzureError as refused:
            return [note("rights", f"yours at {scope} could not be read: {refused}")]
        # a scope that is not there was told already
        return [] if told is None else list(preflight_rights.lacking(scope, actions, told["value"]))

    with ThreadPoolExecutor(8) as pool:  # az takes a second to start
        lacks = [one for found in pool.map(at, preflight_rights.needed(request, exists).items()) for one in found]
    yield from lacks or [ok("rights", "you may do all that is needed")]


if __name__ == "__main__":
    sys.exit(main(os.environ))
