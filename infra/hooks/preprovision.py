"""azd preprovision, the preflight: find what would fail before anything is created, and print the fix."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import infra.hooks.python_version  # noqa: F401 - ends the hook on a Python that is too old

# isort: split
from cli import arm_versions
from cli.arm_client import Json
from core.agents_file.spec import Agents
from handlers.gateways.errors import GatewayError, PermanentError
from infra.hooks import (
    preflight_agents,
    preflight_resources,
    preflight_rights,
    preflight_settings,
    preflight_subscription,
    preflight_topics,
)
from infra.hooks.azure_client import Azure, explain, report_failure
from infra.hooks.deploy_request import DeployRequest, Project, Source, from_env, group_id
from infra.hooks.findings import Finding, error, note, ok, report
from infra.hooks.prepackage import ROOT, read_agents_file

REGISTRATION_POLL_SECONDS, REGISTRATION_POLLS = 10.0, 30
NAME_CHECK_VERSIONS = {"REGISTRY": arm_versions.REGISTRY_NAMES, "VAULT": arm_versions.KEY_VAULT}


def main(env: Mapping[str, str], **options: Any) -> int:
    """Run every check; return the exit code."""
    with Azure(env, **options) as azure:
        return report("preflight", report_failure(findings(env, azure)))


def findings(env: Mapping[str, str], azure: Azure) -> Iterator[Finding]:
    """First the checks that need no Azure; Azure is asked only if they find no error."""
    request = from_env(env)
    offline = [*preflight_settings.names(env, request), *preflight_settings.values(env)]
    offline += [*preflight_settings.duplicates(request), *preflight_settings.sources_to_create(request)]
    agents = read_agents_file(ROOT / "agents.yaml")
    if isinstance(agents, Agents):
        offline += preflight_agents.agents_against_rights(request, agents)
    else:
        offline += agents
    yield from offline
    if isinstance(agents, Agents) and not any(finding.level == "error" for finding in offline):
        yield from _in_azure(request, agents, azure)


def _in_azure(request: DeployRequest, agents: Agents, azure: Azure) -> Iterator[Finding]:
    visible = azure.list("/subscriptions", arm_versions.SUBSCRIPTIONS)
    accounts = [preflight_subscription.subscription(visible, subscription) for subscription in request.subscriptions]
    yield from accounts
    if any(finding.level == "error" for finding in accounts):
        return
    yield from _region(request, azure)
    for subscription in request.subscriptions:
        yield from _providers(subscription, request, azure)
    yield _group(request, azure)
    principals: tuple[str, ...] = ()
    for project in request.projects:
        principals += ((yield from _foundry(project, azure)),)
    yield from _registry(request, principals, agents, azure)
    for vault in request.vaults:
        yield from _vault(vault, request, azure)
    for source in request.sources:
        path = f"/subscriptions/{source.subscription}/providers/Microsoft.EventGrid/systemTopics"
        topics = azure.list(path, arm_versions.EVENT_GRID)
        yield from preflight_topics.system_topic(topics, source, request)
    if request.subnet:
        yield preflight_resources.subnet(azure.get(request.subnet, arm_versions.NETWORK), request)
    yield from _rights(request, azure)


def _providers(subscription: str, request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    """Register what is missing where REGISTER_PROVIDERS consents to it; azd down does not undo a registration."""
    path = f"/subscriptions/{subscription}/providers"
    needed = preflight_subscription.needed_providers(subscription, request)

    def missing() -> Mapping[str, str]:
        return preflight_subscription.unregistered_providers(azure.list(path, arm_versions.RESOURCES), needed)

    left = found = missing()
    if found and request.register_providers:
        for name in found:
            azure.post(f"{path}/{name}/register", arm_versions.RESOURCES, {})
        left = missing()
        for _ in range(REGISTRATION_POLLS if left else 0):
            time.sleep(REGISTRATION_POLL_SECONDS)
            left = missing()
            if not left:
                break
    yield from (ok("providers", f"{name} was registered in {subscription}") for name in found if name not in left)
    yield from preflight_subscription.ask_to_register(left, subscription)


def _region(request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    """What the region offers. A list that cannot be read is a note: the deployment itself will show."""
    web = f"/subscriptions/{request.subscription}/providers/Microsoft.Web"
    yield _listed(
        lambda: azure.list(f"{web}/geoRegions", arm_versions.WEB, sku="FlexConsumption"),
        lambda listed: preflight_subscription.region(listed, request.location),
    )
    stacks = f"/providers/Microsoft.Web/locations/{request.location}/functionAppStacks"
    yield _listed(
        lambda: azure.list(stacks, arm_versions.WEB, stack="python", removeDeprecatedStacks="true"),
        lambda listed: preflight_subscription.python_version(listed, request.python_version),
    )
    yield _listed(
        lambda: azure.list(
            f"/subscriptions/{request.subscription}/providers/Microsoft.Storage/skus", arm_versions.STORAGE
        ),
        lambda listed: preflight_subscription.storage_sku(listed, request),
    )


def _listed(read: Callable[[], Sequence[Json]], judge: Callable[[Sequence[Json]], Finding]) -> Finding:
    """Judge a list; Azure may refuse a list that the deployment does not need."""
    try:
        return judge(read())
    except PermanentError as failure:
        message, help_ = explain(failure)
        return note("region", f"a list could not be read: {message}", help_)


def _group(request: DeployRequest, azure: Azure) -> Finding:
    path = group_id(request.subscription, request.group)
    group = azure.get(path, arm_versions.RESOURCES)
    resources = azure.list(f"{path}/resources", arm_versions.RESOURCES) if group else []
    return preflight_subscription.resource_group(group, resources, request)


def _foundry(wanted: Project, azure: Azure) -> Generator[Finding, None, str]:
    """Yield the findings and return the principal id of the project's identity."""
    account = azure.get(wanted.account_id, arm_versions.FOUNDRY)
    if account is None:
        found_ids = azure.find_resources(wanted.account, "Microsoft.CognitiveServices/accounts")
        variable = "FOUNDRY" if wanted.is_first else ""
        yield preflight_resources.not_found("foundry", variable, wanted.account, found_ids)
        return ""
    project = azure.get(wanted.id, arm_versions.FOUNDRY)
    if project is None:
        projects = azure.list(f"{wanted.account_id}/projects", arm_versions.FOUNDRY)
        names = ", ".join(item["name"].rpartition("/")[2] for item in projects) or "none"
        message = f"{wanted.account} has no project {wanted.name}; it has: {names}"
        fix = "azd env set FOUNDRY_PROJECT_NAME <one of them>" if wanted.is_first else "correct MORE_PROJECT_IDS"
        yield error("foundry", message, fix)
        return ""
    yield from preflight_resources.foundry(account, project, wanted)
    return str((project.get("identity") or {}).get("principalId", ""))


def _registry(request: DeployRequest, principals: Sequence[str], agents: Agents, azure: Azure) -> Iterator[Finding]:
    source = request.registry
    resource = azure.get(source.id, arm_versions.REGISTRY)
    if resource is None:
        yield _absent(source, request, azure)
        return
    yield from preflight_resources.registry(resource, request)
    for project, principal in zip(request.projects, principals, strict=True):
        if not principal:
            continue
        assignments = azure.role_assignments(source.id, principal)
        yield preflight_resources.project_pull(assignments, resource, project, request)
    followed = [agent.repository for agent in agents.agents.values()]
    try:
        listed = azure.repositories(resource["properties"].get("loginServer") or f"{source.name}.azurecr.io")
    except GatewayError as failure:  # a registry may be private, or its data for others only
        message, help_ = explain(failure)
        help_ = f"{help_}\nthe deployment does not need the list".strip()
        yield note("repositories", f"they could not be listed: {message}", help_)
        return
    yield from preflight_resources.repositories(listed, followed)


def _vault(source: Source, request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    resource = azure.get(source.id, arm_versions.KEY_VAULT)
    if resource is None:
        yield _absent(source, request, azure)
        return
    yield from preflight_resources.vault(resource, source, request)
    for name in request.secret_names if source.is_first else ():
        found = azure.get(f"{request.vault.id}/secrets/{name}", arm_versions.KEY_VAULT)
        yield preflight_resources.secret(found, name, request)


def _absent(source: Source, request: DeployRequest, azure: Azure) -> Finding:
    """A registry or vault that does not exist: its name must be free if it will be created."""
    if source.created:
        provider = source.type.partition("/")[0]
        path = f"/subscriptions/{request.subscription}/providers/{provider}/checkNameAvailability"
        answer = azure.post(path, NAME_CHECK_VERSIONS[source.kind], {"name": source.name, "type": source.type})
        return preflight_subscription.name_available(answer, source)
    found_ids = azure.find_resources(source.name, source.type)
    variable = source.kind if source.is_first else ""
    return preflight_resources.not_found(source.kind.lower(), variable, source.name, found_ids)


def _rights(request: DeployRequest, azure: Azure) -> Iterator[Finding]:
    group_exists = azure.get(group_id(request.subscription, request.group), arm_versions.RESOURCES) is not None

    missing: list[Finding] = []
    for scope, actions in preflight_rights.needed_actions(request, group_exists).items():
        try:
            permissions = azure.list(
                f"{scope}/providers/Microsoft.Authorization/permissions", arm_versions.AUTHORIZATION
            )
        except PermanentError as failure:
            missing.append(note("rights", f"your rights at {scope} could not be read: {explain(failure)[0]}"))
            continue
        if permissions:  # a scope that does not exist was reported already
            missing += preflight_rights.missing_rights(scope, actions, permissions)
    yield from missing or [ok("rights", "you have every right that the deployment needs")]


if __name__ == "__main__":
    sys.exit(main(os.environ))
