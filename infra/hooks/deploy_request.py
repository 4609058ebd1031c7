"""The requested deployment, read from the azd environment: the values behind infra/main.parameters.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TRUE_VALUES = frozenset({"1", "t", "true"})
"""The values that azd reads as true, in upper or lower case."""


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
    account: str
    project: str
    foundry_group: str
    foundry_subscription: str
    registry: Source
    vault: Source
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
    def project_id(self) -> str:
        """The resource id of the Foundry project."""
        return f"{self.account_id}/projects/{self.project}"

    @property
    def account_id(self) -> str:
        """The resource id of the Foundry account."""
        group = group_id(self.foundry_subscription, self.foundry_group)
        return f"{group}/providers/Microsoft.CognitiveServices/accounts/{self.account}"

    @property
    def subscriptions(self) -> list[str]:
        """Every subscription that the deployment touches, the app's first."""
        subscriptions = (self.subscription, self.foundry_subscription, self.registry.subscription)
        return list(dict.fromkeys((*subscriptions, self.vault.subscription)))


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
        account=env.get("FOUNDRY_ACCOUNT_NAME", ""),
        project=env.get("FOUNDRY_PROJECT_NAME", ""),
        foundry_group=env.get("FOUNDRY_RESOURCE_GROUP", ""),
        foundry_subscription=env.get("FOUNDRY_SUBSCRIPTION_ID") or app_subscription,
        registry=_source(env, "REGISTRY", "Microsoft.ContainerRegistry/registries", app_subscription, app_group),
        vault=_source(env, "VAULT", "Microsoft.KeyVault/vaults", app_subscription, app_group),
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
    return Source(
        kind=kind,
        type=type_,
        name=env.get(f"{kind}_NAME", ""),
        group=group,
        subscription=env.get(f"{kind}_SUBSCRIPTION_ID") or app_subscription,
        topic=env.get(f"{kind}_TOPIC_NAME", ""),
        created=created,
    )


def _is_true(env: Mapping[str, str], name: str, default: str) -> bool:
    return (env.get(name) or default).lower() in TRUE_VALUES
