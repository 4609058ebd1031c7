"""What can be wrong before Azure is asked: names, values, and rules that want more than the deployment's rights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from core.rules import AgentRule, Agents, SecretRef
from handlers.config_checks import mistakes
from infra.hooks.deploy_request import DeployRequest
from infra.hooks.findings import Finding, error, note, ok

ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
GROUP = re.compile(r"[\w().-]{0,89}[\w()-]")
REGISTRY = re.compile(r"[A-Za-z0-9]{5,50}")
VAULT = re.compile(r"(?=.{3,24}$)[A-Za-z](-?[A-Za-z0-9])+")
SUBNET = re.compile(r"/subscriptions/[^/]+/resourceGroups/.+/virtualNetworks/[^/]+/subnets/[^/]+", re.IGNORECASE)
TRUTH = re.compile(r"1|0|t|f|true|false", re.IGNORECASE)
SWITCHES = (
    *("CREATE_REGISTRY", "CREATE_VAULT", "GRANT_PROJECT_PULL", "ASSIGN_ROLES"),
    *("PRUNE_DRY_RUN", "OUTCOME_TOPIC", "VNET_ENABLED", "ALERT_RULES"),
)
NUMBERS = {
    "MAXIMUM_INSTANCE_COUNT": (1, 1000),
    "ALWAYS_READY": (0, 20),
    "LOG_RETENTION_DAYS": (30, 730),
    "LOG_DAILY_QUOTA_GB": (-1, 10_000),
}
CHOICES = {
    "FOUNDRY_ROLE": ("user", "versions"),
    "EVENT_DELIVERY": ("queue", "function"),
    "INSTANCE_MEMORY_MB": ("512", "2048", "4096"),
}
READ_BY_THE_APP = ("PRUNE_SCHEDULE", "RESUME_SCHEDULE", "POLL_SECONDS", "LOOKS_PER_SECOND")


def names(env: Mapping[str, str], request: DeployRequest) -> Iterator[Finding]:
    """What is missing or cannot be a name of its kind."""
    for name, what in _needed(request).items():
        if not env.get(name):
            yield error("names", f"{name} is not set", f"azd env set {name} <{what}>")
    shapes = (
        ("AZURE_ENV_NAME", request.environment, ENVIRONMENT, "1 to 40 letters, digits and hyphens"),
        ("AZURE_RESOURCE_GROUP_NAME", request.group, GROUP, "at most 90 characters, no dot at the end"),
        ("REGISTRY_NAME", request.registry.name, REGISTRY, "5 to 50 letters and digits, without .azurecr.io"),
        ("VAULT_NAME", request.vault.name, VAULT, "3 to 24 letters, digits and single hyphens, a letter first"),
        ("APP_SUBNET_ID", request.subnet, SUBNET, "the form /subscriptions/<id>/resourceGroups/…/subnets/<name>"),
    )
    for name, value, shape, words in shapes:
        if value and not shape.fullmatch(value):
            yield error("names", f"{name} has {words}; it is {value!r}", f"azd env set {name} <another>")


def _needed(request: DeployRequest) -> dict[str, str]:
    """Variable → what belongs there."""
    sources = [source for source in (request.registry, request.vault) if not source.created]
    return {
        "AZURE_SUBSCRIPTION_ID": "the subscription that the app comes to",
        "AZURE_LOCATION": "the region",
        "FOUNDRY_ACCOUNT_NAME": "the Foundry account",
        "FOUNDRY_PROJECT_NAME": "the project in it",
        "FOUNDRY_RESOURCE_GROUP": "the account's resource group",
        "REGISTRY_NAME": "the registry, without .azurecr.io",
        "VAULT_NAME": "the vault, without .vault.azure.net",
        **{f"{one.kind}_RESOURCE_GROUP": f"its group; or CREATE_{one.kind}=true for a first try" for one in sources},
    }


def values(env: Mapping[str, str]) -> Iterator[Finding]:
    """Switches, numbers, choices, and what the app itself would refuse at its start."""
    for name, value in env.items():
        if value and (told := _misfit(name, value)):
            yield error("values", f"{name} {told}; it is {value!r}", f"azd env set {name} <such a value>")
    for told in mistakes({name: env[name] for name in READ_BY_THE_APP if env.get(name)}):
        yield error("values", told, f"azd env set {told.split(' ')[0]} <such a value>")


def _misfit(name: str, value: str) -> str:
    if name in SWITCHES and not TRUTH.fullmatch(value):
        return "is true or false"
    if name in CHOICES and value not in CHOICES[name]:
        return f"is one of {', '.join(CHOICES[name])}"
    if name in NUMBERS:
        least, most = NUMBERS[name]
        fits = re.fullmatch(r"-?\d{1,9}", value) and least <= int(value) <= most
        return "" if fits else f"is a number from {least} to {most}"
    return ""


def rights_of_rules(request: DeployRequest, agents: Agents) -> Iterator[Finding]:
    """Rules that want more than the rights that are asked for."""
    rules = agents.agents.values()
    for rule in rules:
        if request.foundry_role == "versions" and (more := _beyond_versions(rule)):
            told = f"agent {rule.name} has {more}, which a role of the agent actions alone does not cover"
            yield error("rules", told, "azd env set FOUNDRY_ROLE user")
        if request.secrets and rule.env_from_vault:
            told = f"agent {rule.name} has env_from_vault, which lists the vault; VAULT_SECRETS gives single secrets"
            yield error("rules", told, "azd env set VAULT_SECRETS ''")
    used = {value.secret for rule in rules for value in rule.env.values() if isinstance(value, SecretRef)}
    if request.secrets:
        yield from _single_secrets(set(request.secrets), used)
    yield ok("rules", f"{len(rules)} agents, {len(used)} secrets")


def _single_secrets(given: set[str], used: set[str]) -> Iterator[Finding]:
    """Key Vault ignores case."""
    missing = sorted(one for one in used if one.lower() not in {name.lower() for name in given})
    if missing:
        told = f"agents.yaml uses {', '.join(missing)}, and VAULT_SECRETS does not name it"
        yield error("rules", told, f"azd env set VAULT_SECRETS {','.join(sorted({*given, *missing}))}")
    unused = sorted(one for one in given if one.lower() not in {name.lower() for name in used})
    if unused:
        yield note("rules", f"VAULT_SECRETS names {', '.join(unused)}, which no agent uses", "leave it out")


def _beyond_versions(rule: AgentRule) -> str:
    wants = {"verify": rule.release.verify, "check": rule.release.check, "tools": rule.tools}
    return " and ".join(name for name, given in wants.items() if given)
