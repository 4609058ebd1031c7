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

from core.agents_file.spec import Agents
from infra.hooks import judge_rights, judge_sources, judge_wishes
from infra.hooks.azure_cli import Azure, AzureError, where
from infra.hooks.before_package import rules
from infra.hooks.findings import Finding, error, note, ok, report
from infra.hooks.wishes import Source, Wishes, from_env, group_id

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
    wishes = from_env(env)
    offline = [*judge_wishes.names(env, wishes), *judge_wishes.values(env)]
    agents = rules(ROOT / "agents.yaml")
    if isinstance(agents, Agents):
        offline += judge_wishes.rights_of_rules(wishes, agents)
    else:
        offline += agents
    yield from offline
    if isinstance(agents, Agents) and not any(one.level == "error" for one in offline):
        try:
            yield from _of_azure(wishes, agents, azure)
        except AzureError as refused:
            yield error("Azure", str(refused), "az login, with an account that may read what the azd environment names")


def _of_azure(wishes: Wishes, agents: Agents, azure: Azure) -> Iterator[Finding]:
    account = azure.run("account", "show", "--subscription", wishes.subscription)
    yield ok("account", f"{account['user']['name']} in {account['name']}")
    yield judge_rights.region(azure.run("functionapp", "list-flexconsumption-locations"), wishes.location)
    asked = ("--location", wishes.location, "--runtime", "python")
    yield judge_rights.python(azure.run("functionapp", "list-flexconsumption-runtimes", *asked) or [], wishes.python)
    for subscription in wishes.subscriptions:
        listed = azure.list(f"/subscriptions/{subscription}/providers", "2021-04-01")
        yield from judge_rights.providers(listed, judge_rights.used_in(subscription, wishes), subscription)
    project = yield from _foundry(wishes, azure)
    yield from _registry(wishes, project, agents, azure)
    yield from _vault(wishes, azure)
    for source in (wishes.registry, wishes.vault):
        listed = azure.list(
            f"/subscriptions/{source.subscription}/providers/Microsoft.EventGrid/systemTopics", READ["topics"]
        )
        yield from judge_sources.topics(listed, source, wishes.environment)
    if wishes.subnet:
        yield judge_sources.subnet(azure.get(wishes.subnet, READ["network"]), wishes)
    yield from _rights(wishes, azure)


def _foundry(wishes: Wishes, azure: Azure) -> Generator[Finding, None, str]:
    """Yield what is found, and return the project's identity."""
    account = azure.get(wishes.account_id, READ["foundry"])
    if account is None:
        kind = "Microsoft.CognitiveServices/accounts"
        yield judge_sources.missing("foundry", "FOUNDRY", wishes.account, where(azure, wishes.account, kind))
        return ""
    project = azure.get(wishes.project_id, READ["foundry"])
    if project is None:
        listed = azure.list(f"{wishes.account_id}/projects", READ["foundry"])
        names = ", ".join(one["name"].rpartition("/")[2] for one in listed) or "none"
        told = f"{wishes.account} has no project {wishes.project}; it has: {names}"
        yield error("foundry", told, "azd env set FOUNDRY_PROJECT_NAME <one of them>")
        return ""
    yield from judge_sources.foundry(account, project, wishes)
    return str((project.get("identity") or {}).get("principalId", ""))


def _registry(wishes: Wishes, project: str, agents: Agents, azure: Azure) -> Iterator[Finding]:
    source = wishes.registry
    found = azure.get(source.id, READ["registry"])
    if found is None:
        yield _absent(source, wishes, azure)
        return
    yield from judge_sources.registry(found, wishes)
    if project:
        asked = f"{source.id}/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq '{project}'"
        yield judge_sources.puller(azure.list(asked, "2022-04-01"), found, ROLES, wishes)
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
    yield from judge_sources.repositories(listed or [], followed)


def _vault(wishes: Wishes, azure: Azure) -> Iterator[Finding]:
    found = azure.get(wishes.vault.id, READ["vault"])
    if found is None:
        yield _absent(wishes.vault, wishes, azure)
        return
    yield from judge_sources.vault(found, wishes)
    for name in wishes.secrets:
        yield judge_sources.secret(azure.get(f"{wishes.vault.id}/secrets/{name}", READ["vault"]), name, wishes)


def _absent(source: Source, wishes: Wishes, azure: Azure) -> Finding:
    if source.created:
        provider = source.type.partition("/")[0]
        path = f"/subscriptions/{wishes.subscription}/providers/{provider}/checkNameAvailability"
        return judge_rights.taken(
            azure.post(path, NAMES[source.kind], {"name": source.name, "type": source.type}), source
        )
    return judge_sources.missing(source.kind.lower(), source.kind, source.name, where(azure, source.name, source.type))


def _rights(wishes: Wishes, azure: Azure) -> Iterator[Finding]:
    exists = azure.get(group_id(wishes.subscription, wishes.group), "2021-04-01") is not None

    def at(place: tuple[str, list[str]]) -> list[Finding]:
        scope, actions = place
        try:
            told = azure.get(f"{scope}/providers/Microsoft.Authorization/permissions", "2022-04-01")
        except AzureError as refused:
            return [note("rights", f"yours at {scope} could not be read: {refused}")]
        # a scope that is not there was told already
        return [] if told is None else list(judge_rights.lacking(scope, actions, told["value"]))

    with ThreadPoolExecutor(8) as pool:  # az takes a second to start
        lacks = [one for found in pool.map(at, judge_rights.needed(wishes, exists).items()) for one in found]
    yield from lacks or [ok("rights", "you may do all that is needed")]


if __name__ == "__main__":
    sys.exit(main(os.environ))
