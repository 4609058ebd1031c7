"""The requested deployment, read from the azd environment: the values behind infra/main.parameters.json."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

TRUE_VALUES = frozenset({"1", "t", "true"})
"""The values that azd reads as true, in upper or lower case."""
ID = r"/subscriptions/([0-9A-Fa-f-]{36})/resourceGroups/([\w().-]{1,90})/providers/"
PROJECT_ID = re.compile(rf"{ID}Microsoft\.CognitiveServices/accounts/([\w.-]+)/projects/([\w.-]+)", re.IGNORECASE)
VAULT_ID = re.compile(rf"{ID}Microsoft\.KeyVault/vaults/([a-z0-9-]{{3,24}})(?::([a-z0-9-]{{3,50}}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Project:
    """A Foundry project, and the output with the principal of its identity."""

    account: str
    name: str
    group: str
    subscription: str
    principal: str
    is_first: bool = True
    """Whether it is the project of the settings."""

    @property
    def account_id(self) -> str:
        """The resource id of its account."""
        return (
            f"{group_id(self.subscription, self.group)}/providers/Microsoft.CognitiveServices/accounts/{self.account}"
        )

    @property
    def id(self) -> str:
        """Its resource id."""
        return f"{self.account_id}/projects/{self.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """The registry or the vault: where it is, whether the deployment creates it, and its existing system topic."""

    kind: str
    """The prefix of its variables: REGISTRY or VAULT."""
    type: str
    name: str
    group: str
    subscription: str
    topic: str
    created: bool
    topic_id: str = ""
    """The resource id of its system topic, after the deployment."""
    topic_principal: str = ""
    """The principal of the topic's identity, after the deployment."""
    is_first: bool = True
    """Whether it has variables of its own; else it is in MORE_VAULT_IDS."""

    @property
    def id(self) -> str:
        """Its resource id."""
        return f"{group_id(self.subscription, self.group)}/providers/{self.type}/{self.name}"


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A requested deployment, with the defaults filled in."""

    environment: str
    token: str
    """The part of every name that no other environment has; empty before the first deployment."""
    location: str
    subscription: str
    group: str
    projects: tuple[Project, ...]
    """The first is that of the settings."""
    registry: Source
    vaults: tuple[Source, ...]
    """The first is that of the settings."""
    secret_names: tuple[str, ...]
    assign_roles: bool
    foundry_role: str
    register_providers: bool
    """Whether preflight may register resource providers."""
    operator_group: str
    grant_project_pull: bool
    event_delivery: str
    python_version: str
    vnet_enabled: bool
    subnet: str
    storage_sku: str

    @property
    def label(self) -> str:
        """Environment and token, by which a deployment's custom role and the project's assignments are named."""
        return f"{self.environment} {self.token}".rstrip()

    @property
    def vault(self) -> Source:
        """The vault of the settings."""
        return self.vaults[0]

    @property
    def sources(self) -> tuple[Source, ...]:
        """What sends events."""
        return self.registry, *self.vaults

    @property
    def subscriptions(self) -> list[str]:
        """Every subscription that the deployment touches, the app's first."""
        of_projects = (project.subscription for project in self.projects)
        of_sources = (source.subscription for source in self.sources)
        return list(dict.fromkeys((self.subscription, *of_projects, *of_sources)))


VAULT_TYPE = "Microsoft.KeyVault/vaults"


def group_id(subscription: str, group: str) -> str:
    """The resource id of a resource group."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def from_env(env: Mapping[str, str]) -> DeployRequest:
    """Read the azd environment with the defaults of infra/main.bicep."""
    app_subscription, environment = env.get("AZURE_SUBSCRIPTION_ID", ""), env.get("AZURE_ENV_NAME", "")
    app_group = env.get("AZURE_RESOURCE_GROUP_NAME") or f"rg-slipway-{environment}"
    return DeployRequest(
        environment=environment,
        token=env.get("SLIPWAY_TOKEN", ""),
        location=env.get("AZURE_LOCATION", ""),
        subscription=app_subscription,
        group=app_group,
        projects=tuple(_projects(env, app_subscription)),
        registry=_source(env, "REGISTRY", "Microsoft.ContainerRegistry/registries", app_subscription, app_group),
        vaults=(_source(env, "VAULT", VAULT_TYPE, app_subscription, app_group), *_more_vaults(env)),
        secret_names=tuple(name.strip() for name in env.get("VAULT_SECRETS", "").split(",") if name.strip()),
        assign_roles=_is_true(env, "ASSIGN_ROLES", "true"),
        foundry_role=env.get("FOUNDRY_ROLE") or "user",
        register_providers=_is_true(env, "REGISTER_PROVIDERS", "false"),
        operator_group=env.get("OPERATOR_GROUP_ID", ""),
        grant_project_pull=_is_true(env, "GRANT_PROJECT_PULL", "false"),
        event_delivery=env.get("EVENT_DELIVERY") or "queue",
        python_version=env.get("PYTHON_VERSION") or "3.13",
        vnet_enabled=_is_true(env, "VNET_ENABLED", "false"),
        subnet=env.get("APP_SUBNET_ID", ""),
        storage_sku=env.get("STORAGE_SKU") or "Standard_LRS",
    )


def _source(env: Mapping[str, str], kind: str, type_: str, app_subscription: str, app_group: str) -> Source:
    created = _is_true(env, f"CREATE_{kind}", "false")
    group = app_group if created else env.get(f"{kind}_RESOURCE_GROUP", "")
    subscription = "" if created else env.get(f"{kind}_SUBSCRIPTION_ID", "")
    return Source(
        kind=kind,
        type=type_,
        name=env.get(f"{kind}_NAME", ""),
        group=group,
        subscription=subscription or app_subscription,
        topic=env.get(f"{kind}_TOPIC_NAME", ""),
        created=created,
        topic_id=env.get(f"SLIPWAY_{kind}_TOPIC_ID", ""),
        topic_principal=env.get(f"SLIPWAY_{kind}_TOPIC_PRINCIPAL_ID", ""),
    )


def _projects(env: Mapping[str, str], app_subscription: str) -> Iterator[Project]:
    yield Project(
        account=env.get("FOUNDRY_ACCOUNT_NAME", ""),
        name=env.get("FOUNDRY_PROJECT_NAME", ""),
        group=env.get("FOUNDRY_RESOURCE_GROUP", ""),
        subscription=env.get("FOUNDRY_SUBSCRIPTION_ID") or app_subscription,
        principal=env.get("SLIPWAY_PROJECT_PRINCIPAL_ID", ""),
    )
    principals = _outputs(env, "SLIPWAY_MORE_PROJECT_PRINCIPAL_IDS")
    for number, match in enumerate(_listed(env, "MORE_PROJECT_IDS", PROJECT_ID)):
        subscription, group, account, name = match.groups()
        yield Project(account, name, group, subscription, _at(principals, number), is_first=False)


def _more_vaults(env: Mapping[str, str]) -> Iterator[Source]:
    topics, principals = (_outputs(env, f"SLIPWAY_MORE_VAULT_TOPIC_{name}") for name in ("IDS", "PRINCIPAL_IDS"))
    for number, match in enumerate(_listed(env, "MORE_VAULT_IDS", VAULT_ID)):
        subscription, group, name, topic = match.groups("")
        after = _at(topics, number), _at(principals, number)
        yield Source("VAULT", VAULT_TYPE, name, group, subscription, topic, False, *after, is_first=False)


def _listed(env: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """The items of a list; one that is not valid is reported by preflight."""
    return [match for item in env.get(name, "").split(",") if (match := pattern.fullmatch(item.strip()))]


def _outputs(env: Mapping[str, str], name: str) -> Sequence[str]:
    """The items of an output that is an array, which azd keeps as JSON; ends the hook where somebody broke it."""
    try:
        items = json.loads(env.get(name) or "[]")
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        sys.exit(f"{name} is not a JSON array of strings; azd env refresh reads it from the last deployment again")
    return items


def _at(items: Sequence[str], number: int) -> str:
    """An item of an output; empty where the list became longer since the last deployment."""
    return items[number] if number < len(items) else ""


def _is_true(env: Mapping[str, str], name: str, default: str) -> bool:
    return (env.get(name) or default).lower() in TRUE_VALUES
