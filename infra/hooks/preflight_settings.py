"""Preflight without Azure: every variable must be set and have a valid value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from handlers.settings_validation import find_mistakes
from infra.hooks.deploy_request import PROJECT_ID, VAULT_ID, DeployRequest
from infra.hooks.findings import Finding, error
from infra.hooks.preflight_subscription import STORAGE_SKUS

ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
GROUP = re.compile(r"[\w().-]{0,89}[\w()-]")
REGISTRY = re.compile(r"[A-Za-z0-9]{5,50}")
FOUNDRY = re.compile(r"[A-Za-z0-9][\w.-]{1,63}", re.ASCII)
TOPIC = re.compile(r"[A-Za-z0-9-]{3,50}")
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
VAULT = re.compile(r"(?=.{3,24}$)[A-Za-z](-?[A-Za-z0-9])+")
SUBNET = re.compile(r"/subscriptions/[^/]+/resourceGroups/.+/virtualNetworks/[^/]+/subnets/[^/]+", re.IGNORECASE)
BOOLEAN = re.compile(r"[10tTfF]|true|True|TRUE|false|False|FALSE")
"""What azd reads as a boolean: Go's strconv.ParseBool, which takes no other letters."""
SWITCHES = (
    *("CREATE_REGISTRY", "CREATE_VAULT", "GRANT_PROJECT_PULL", "ASSIGN_ROLES"),
    *("PRUNE_DRY_RUN", "OUTCOME_TOPIC", "VNET_ENABLED", "ALERT_RULES", "REGISTER_PROVIDERS"),
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
    "STORAGE_SKU": STORAGE_SKUS,
    "INSTANCE_MEMORY_MB": ("512", "2048", "4096"),
}
LISTS = {
    "VAULT_SECRETS": (re.compile(r"[A-Za-z0-9-]{1,127}"), "must be names of secrets, separated by commas"),
    "MORE_PROJECT_IDS": (PROJECT_ID, "must be resource ids of Foundry projects, separated by commas"),
    "MORE_VAULT_IDS": (VAULT_ID, "must be resource ids of vaults, separated by commas, each alone or with :<topic>"),
    "ALERT_EMAILS": (re.compile(r"[^@\s]+@[^@\s]+"), "must be e-mail addresses, separated by commas"),
}
"""Spaces around an item are allowed; infra/main.bicep removes them."""
APP_SETTINGS = ("PRUNE_SCHEDULE", "RESUME_SCHEDULE", "POLL_SECONDS", "FOUNDRY_READS_PER_SECOND")
"""Checked by the app's own checks."""


Rule = tuple[str, str, re.Pattern[str], str]
"""A variable, its value, what it must match, and how the message says that."""


def names(env: Mapping[str, str], request: DeployRequest) -> Iterator[Finding]:
    """Names that are missing or invalid."""
    for variable, meaning in required_variables(request).items():
        if not env.get(variable):
            yield error("names", f"{variable} is not set", f"azd env set {variable} <{meaning}>")
    rules = (
        ("AZURE_ENV_NAME", request.environment, ENVIRONMENT, "must be 1 to 40 letters, digits and hyphens"),
        ("AZURE_RESOURCE_GROUP_NAME", request.group, GROUP, "must have at most 90 characters and not end with a dot"),
        ("REGISTRY_NAME", request.registry.name, REGISTRY, "must be 5 to 50 letters and digits, without .azurecr.io"),
        (
            *("VAULT_NAME", request.vault.name, VAULT),
            "must be 3 to 24 letters, digits and single hyphens, and begin with a letter",
        ),
        ("APP_SUBNET_ID", request.subnet, SUBNET, "must be /subscriptions/<id>/resourceGroups/…/subnets/<name>"),
    )
    for variable, value, pattern, rule in (*rules, *_names_of_existing(env, request)):
        if value and not pattern.fullmatch(value):
            yield error("names", f"{variable} {rule}; it is {value!r}", f"azd env set {variable} <a valid name>")


def _names_of_existing(env: Mapping[str, str], request: DeployRequest) -> Iterator[Rule]:
    """A name that Azure cannot have would make an address that asks for something else."""
    project = request.projects[0]
    name_rule = "must be 2 to 64 letters, digits, hyphens, dots and underscores, not an address"
    yield "FOUNDRY_ACCOUNT_NAME", project.account, FOUNDRY, name_rule
    yield "FOUNDRY_PROJECT_NAME", project.name, FOUNDRY, name_rule
    for kind in ("FOUNDRY", "REGISTRY", "VAULT"):
        group = env.get(f"{kind}_RESOURCE_GROUP", "")
        yield f"{kind}_RESOURCE_GROUP", group, GROUP, "must have at most 90 characters and not end with a dot"
    for source in (request.registry, request.vault):
        yield f"{source.kind}_TOPIC_NAME", source.topic, TOPIC, "must be 3 to 50 letters, digits and hyphens"
    yield "OPERATOR_GROUP_ID", request.operator_group, GUID, "must be the object id of a group: 8-4-4-4-12 hex digits"


def sources_to_create(request: DeployRequest) -> Iterator[Finding]:
    """What a registry or a vault that the deployment creates cannot have yet."""
    for source in (request.registry, request.vault):
        if source.created and source.topic and not request.token:
            message = f"{source.kind}_TOPIC_NAME is {source.topic}, but CREATE_{source.kind} creates what has no topic"
            yield error("names", message, f"azd env set {source.kind}_TOPIC_NAME ''")
    if request.vault.created and request.secret_names and not request.token:
        message = "VAULT_SECRETS names secrets, but CREATE_VAULT creates a vault without any"
        yield error("names", message, "azd env set VAULT_SECRETS ''\nand again once they exist")


def required_variables(request: DeployRequest) -> dict[str, str]:
    """Variable → its meaning."""
    existing = [source for source in (request.registry, request.vault) if not source.created]
    return {
        "AZURE_SUBSCRIPTION_ID": "the subscription for the app",
        "AZURE_LOCATION": "the region",
        "FOUNDRY_ACCOUNT_NAME": "the Foundry account",
        "FOUNDRY_PROJECT_NAME": "the project in it",
        "FOUNDRY_RESOURCE_GROUP": "the account's resource group",
        "REGISTRY_NAME": "the registry, without .azurecr.io",
        "VAULT_NAME": "the vault, without .vault.azure.net",
        **{
            f"{source.kind}_RESOURCE_GROUP": f"its resource group; or CREATE_{source.kind}=true for a first try"
            for source in existing
        },
    }


def values(env: Mapping[str, str]) -> Iterator[Finding]:
    """Invalid switches, numbers and choices, and settings that the app would reject when it starts."""
    for variable, value in env.items():
        if value and (rule := _violated_rule(variable, value)):
            yield error("values", f"{variable} {rule}; it is {value!r}", f"azd env set {variable} <a valid value>")
    for mistake in find_mistakes({variable: env[variable] for variable in APP_SETTINGS if env.get(variable)}):
        yield error("values", mistake, f"azd env set {mistake.split(' ')[0]} <a valid value>")


def duplicates(request: DeployRequest) -> Iterator[Finding]:
    """What is named twice, however it is written: Azure would refuse its second role or topic."""
    places = (
        ("MORE_PROJECT_IDS", "the project of FOUNDRY_PROJECT_NAME", [project.id for project in request.projects]),
        ("MORE_VAULT_IDS", "the vault of VAULT_NAME", [vault.id for vault in request.vaults]),
    )
    for variable, first, ids in places:
        lowered = [item.lower() for item in ids]
        for number, item in enumerate(lowered[1:], 1):
            if item in lowered[:number]:
                what = f"{first}, which has its roles already" if item == lowered[0] else f"{ids[number]} twice"
                yield error("values", f"{variable} names {what}", "remove it from the list")
    secrets = [name.lower() for name in request.secret_names]
    for secret in dict.fromkeys(name for name in secrets if secrets.count(name) > 1):
        yield error("values", f"VAULT_SECRETS names {secret} twice", "remove it from the list")


def _violated_rule(variable: str, value: str) -> str:
    if variable in SWITCHES and not BOOLEAN.fullmatch(value):
        return "must be true or false"
    if variable in CHOICES and value not in CHOICES[variable]:
        return f"must be one of {', '.join(CHOICES[variable])}"
    if variable in LISTS:
        pattern, rule = LISTS[variable]
        return "" if all(pattern.fullmatch(item.strip(" ")) for item in value.split(",")) else rule
    if variable == "LOG_DAILY_QUOTA_GB" and re.fullmatch("-?0+", value):
        return "must be -1 for no limit, or 1 or more: with 0 no telemetry is kept"
    if variable in NUMBERS:
        minimum, maximum = NUMBERS[variable]
        is_valid = re.fullmatch(r"-?[0-9]{1,9}", value) and minimum <= int(value) <= maximum
        return "" if is_valid else f"must be a number from {minimum} to {maximum}"
    return ""
