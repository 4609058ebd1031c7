"""azd preprovision, the preflight: find what would fail before anything is created, and print the fix."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.agents_file.spec import Agents
from infra.hooks import (
    preflight_agents,
    preflight_resources,
    preflight_rights,
    preflight_settings,
    preflight_subscription,
    preflight_topics,
)
from infra.hooks.azure_cli import Azure, AzureError, find_resources
from infra.hooks.deploy_request import DeployRequest, Source, from_env, group_id
from infra.hooks.findings import Finding, error, note, ok, report
from infra.hooks.prepackage import read_agents_file

ROOT = Path(__file__).resolve().parents[2]
ROLES: Mapping[str, Any] = json.loads((ROOT / "infra" / "modules" / "roles.json").read_text())
API = {
    "registry": "2025-11-01",
    "vault": "2024-11-01",
    "foundry": "2025-06-01",
    "topics": "2025-02-15",
    "network": "2024-07-01",
    "storage": "2025-01-01",
    "authorization": "2022-04-01",
    "resources": "2021-04-01",
}
NAME_CHECK_API = {"REGISTRY": "2025-04-01", "VAULT": "2024-11-01"}


def main(env: Mapping[str, str]) -> int:
    """Run every check; return the exit code."""
    return report("preflight", findings(env, Azure(env)))


def findings(env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """First the checks that need no Azure; Azure is asked only if they find no error."""
    request = from_env(env)
    offline = [*preflight_settings.names(env, request), *preflight_settings.values(env)]
    agents = read_agents_file(ROOT / "agents.yaml")
    if isinstance(agents, Agents):
        offline += preflight_agents.agents_against_rights(request, agents)
    else:
        offline += agents
    yield from offline
    if isinstance(agents, Agents) and not any(finding.level == "error" for finding in offline):
        try:
            yield from _in_azure(request, agents, azure)
        except AzureError as failure:
            yield error("Azure", str(failure), failure.help)


def _in_azure(request: DeployRequest, agents: Agents, azure: Azure) -> Iterator[Finding]:
    account = azure.run("account", "show", "--subscription", request.subscription)
    yield ok("account", f"{account['user']['name']} in {account['name']}")
    yield from _region(request, azure)
    for subscription in request.subscriptions:
        listed = azure.list(f"/subscriptions/{subscription}/providers", API["resources"])
        needed = preflight_subscription.needed_providers(subscription, request)
        yield from preflight_subscription.unregistered_providers(listed, needed, subscription)
    yield _group(request, azure)
    project_principal = yield from _foundry(request, azure)
    yield from _registry(request, project_principal, agents, azure)
    yield from _vault(request, azure)
    for source in (request.registry, request.vault):
        path = f"/subscriptions/{source.subscription}/providers/Microsoft.EventGrid/systemTopics"
        topics = azure.list(path, API["topics"])
        yield from preflight_topics.system_topic(topics, source, request)
    if request.subnet:
        yield preflight_resources.subnet(azure.get(request.subnet, API["network"]), request)
    yield from _rights(request, azure)


def _region(request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    """What the region offers. A list that cannot be read is a note: the deployment itself will show."""
    flex = functools.partial(azure.run, "functionapp", "list-flexconsumption-locations")
    yield from _listed(flex, lambda listed: preflight_subscription.region(listed, request.location))
    query = ("--location", request.location, "--runtime", "python")
    runtimes = functools.partial(azure.run, "functionapp", "list-flexconsumption-runtimes", *query)
    yield from _listed(runtimes, lambda listed: preflight_subscription.python_version(listed, request.python_version))
    path = f"/subscriptions/{request.subscription}/providers/Microsoft.Storage/skus"
    skus = functools.partial(azure.list, path, API["storage"])
    yield from _listed(skus, lambda listed: preflight_subscription.storage_sku(listed, request))


def _listed(read: Callable[[], Any], judge: Callable[[Any], Finding]) -> Iterator[Finding]:
    try:
        yield judge(read() or [])
    except AzureError as failure:
        yield note("region", f"a list could not be read: {failure}", failure.help)


def _group(request: DeployRequest, azure: Azure) -> Finding:
    path = group_id(request.subscription, request.group)
    group = azure.get(path, API["resources"])
    resources = azure.list(f"{path}/resources", API["resources"]) if group else []
    return preflight_subscription.resource_group(group, resources, request)


def _foundry(request: DeployRequest, azure: Azure) -> Generator[Finding, None, str]:
    """Yield the findings and return the principal id of the project's identity."""
    account = azure.get(request.account_id, API["foundry"])
    if account is None:
        found_ids = find_resources(azure, request.account, "Microsoft.CognitiveServices/accounts")
        yield preflight_resources.not_found("foundry", "FOUNDRY", request.account, found_ids)
        return ""
    project = azure.get(request.project_id, API["foundry"])
    if project is None:
        projects = azure.list(f"{request.account_id}/projects", API["foundry"])
        names = ", ".join(item["name"].rpartition("/")[2] for item in projects) or "none"
        message = f"{request.account} has no project {request.project}; it has: {names}"
        yield error("foundry", message, "azd env set FOUNDRY_PROJECT_NAME <one of them>")
        return ""
    yield from preflight_resources.foundry(account, project, request)
    return str((project.get("identity") or {}).get("principalId", ""))


def _registry(request: DeployRequest, project_principal: str, agents: Agents, azure: Azure) -> Iterator[Finding]:
    source = request.registry
    resource = azure.get(source.id, API["registry"])
    if resource is None:
        yield _absent(source, request, azure)
        return
    yield from preflight_resources.registry(resource, request)
    if project_principal:
        path = f"{source.id}/providers/Microsoft.Authorization/roleAssignments"
        assignments = azure.list(f"{path}?$filter=principalId eq '{project_principal}'", API["authorization"])
        yield preflight_resources.project_pull(assignments, resource, ROLES, request)
    followed = [agent.repository for agent in agents.agents.values()]
    try:
        listed = azure.run("acr", "repository", "list", "--name", source.name, "--subscription", source.subscription)
    except AzureError as failure:
        help_ = "the deployment does not need the list; agents.yaml may name a repository before its first push"
        yield note("repositories", f"they could not be listed: {failure}", help_)
        return
    yield from preflight_resources.repositories(listed or [], followed)


def _vault(request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    resource = azure.get(request.vault.id, API["vault"])
    if resource is None:
        yield _absent(request.vault, request, azure)
        return
    yield from preflight_resources.vault(resource, request)
    for name in request.secret_names:
        found = azure.get(f"{request.vault.id}/secrets/{name}", API["vault"])
        yield preflight_resources.secret(found, name, request)


def _absent(source: Source, request: DeployRequest, azure: Azure) -> Finding:
    """A registry or vault that does not exist: its name must be free if it will be created."""
    if source.created:
        provider = source.type.partition("/")[0]
        path = f"/subscriptions/{request.subscription}/providers/{provider}/checkNameAvailability"
        answer = azure.post(path, NAME_CHECK_API[source.kind], {"name": source.name, "type": source.type})
        return preflight_subscription.name_available(answer, source)
    found_ids = find_resources(azure, source.name, source.type)
    return preflight_resources.not_found(source.kind.lower(), source.kind, source.name, found_ids)


def _rights(request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    group_exists = azure.get(group_id(request.subscription, request.group), API["resources"]) is not None

    def check_scope(needed: tuple[str, list[str]]) -> list[Finding]:
        scope, actions = needed
        try:
            answer = azure.get(f"{scope}/providers/Microsoft.Authorization/permissions", API["authorization"])
        except AzureError as failure:
            return [note("rights", f"your rights at {scope} could not be read: {failure}")]
        # a scope that does not exist was reported already
        return [] if answer is None else list(preflight_rights.missing_rights(scope, actions, answer["value"]))

    with ThreadPoolExecutor(8) as pool:  # each az process takes a second to start
        needed = preflight_rights.needed_actions(request, group_exists).items()
        missing = [finding for found in pool.map(check_scope, needed) for finding in found]
    yield from missing or [ok("rights", "you have every right that the deployment needs")]


if __name__ == "__main__":
    sys.exit(main(os.environ))
