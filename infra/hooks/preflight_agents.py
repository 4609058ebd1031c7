"""Preflight without Azure: agents.yaml against the rights that the requested deployment grants."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from core.agents_file.spec import Agents, AgentSpec, SecretRef
from infra.hooks.deploy_request import DeployRequest
from infra.hooks.findings import Finding, error, note, ok


def agents_against_rights(request: DeployRequest, agents: Agents) -> Iterator[Finding]:
    """Agents that need more than FOUNDRY_ROLE and VAULT_SECRETS grant."""
    specs = agents.agents.values()
    for agent in specs:
        if request.foundry_role == "versions" and (keys := _keys_beyond_versions(agent)):
            message = f"agent {agent.name} has {keys}, which FOUNDRY_ROLE=versions does not cover"
            yield error("agents.yaml", message, "azd env set FOUNDRY_ROLE user")
        if request.secret_names and agent.env_from_vault:
            message = f"agent {agent.name} has env_from_vault, which lists the whole vault; VAULT_SECRETS forbids that"
            yield error("agents.yaml", message, "azd env set VAULT_SECRETS ''")
    used = {value.secret for agent in specs for value in agent.env.values() if isinstance(value, SecretRef)}
    if request.secret_names:
        yield from _single_secrets(set(request.secret_names), used)
    yield from _without_roles(request, agents)
    yield ok("agents.yaml", f"{len(specs)} agents, {len(used)} secrets")


def _without_roles(request: DeployRequest, agents: Agents) -> Iterator[Finding]:
    """Projects and vaults of the file that the deployment does not name; a subdomain may differ from the account."""
    projects = {(project.account.lower(), project.name.lower()) for project in request.projects}
    for name, endpoint in agents.projects.items():
        account, project = _first_label(endpoint), endpoint.rpartition("/")[2].lower()
        if (account, project) not in projects:
            message = f"project {name} of agents.yaml is {project} of {account}, which MORE_PROJECT_IDS does not name"
            yield note(
                "agents.yaml", f"{message}: the app gets no role there", "add its resource id, or assign the role"
            )
    vaults = {vault.name.lower() for vault in request.vaults}
    for address in sorted(set(agents.vaults.values())):
        if (vault := _first_label(address)) not in vaults:
            message = f"the vault {vault} of agents.yaml is not in MORE_VAULT_IDS"
            help_ = "add its resource id, or assign the role and subscribe to its events"
            yield note("agents.yaml", f"{message}: the app gets no role there, and no rotation reaches it", help_)


def _first_label(address: str) -> str:
    return (urlsplit(address).hostname or "").partition(".")[0]


def _single_secrets(granted: set[str], used: set[str]) -> Iterator[Finding]:
    """Compare without case, as Key Vault does."""
    missing = _difference(used, granted)
    if missing:
        message = f"agents.yaml uses {', '.join(missing)}, which VAULT_SECRETS does not list"
        yield error("agents.yaml", message, f"azd env set VAULT_SECRETS {','.join(sorted({*granted, *missing}))}")
    if unused := _difference(granted, used):
        yield note("agents.yaml", f"VAULT_SECRETS names {', '.join(unused)}, which no agent uses", "remove it")


def _difference(names: set[str], others: set[str]) -> list[str]:
    lowered = {name.lower() for name in others}
    return sorted(name for name in names if name.lower() not in lowered)


def _keys_beyond_versions(agent: AgentSpec) -> str:
    release = agent.release
    keys = {"verify": release.verify, "evaluate": release.evaluate, "check": release.check, "tools": agent.tools}
    return " and ".join(name for name, value in keys.items() if value)
