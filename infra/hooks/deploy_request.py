"""What the azd environment asks for: the values behind infra/main.parameters.json, and what infra/ told of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

YES = frozenset({"1", "t", "true"})
"""What azd takes for true, in any case of letters."""


@dataclass(frozen=True, slots=True)
class Source:
    """The registry or the vault: where it is, whether it is made, and the topic that it has already."""

    kind: str
    """What its variables begin with: REGISTRY or VAULT."""
    type: str
    name: str
    group: str
    subscription: str
    topic: str
    topic_group: str
    created: bool

    @property
    def id(self) -> str:
        """Its address in Azure Resource Manager."""
        return f"{group_id(self.subscription, self.group)}/providers/{self.type}/{self.name}"


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """What somebody wants deployed."""

    environment: str
    location: str
    subscription: str
    group: str
    account: str
    project: str
    foundry_group: str
    foundry_subscription: str
    registry: Source
    vault: Source
    secrets: tuple[str, ...]
    assign_roles: bool
    foundry_role: str
    project_pull: bool
    delivery: str
    python: str
    private: bool
    subnet: str

    @property
    def project_id(self) -> str:
        """The Foundry project's address in Azure Resource Manager."""
        return f"{self.account_id}/projects/{self.project}"

    @property
    def account_id(self) -> str:
        """The Foundry account's."""
        group = group_id(self.foundry_subscription, self.foundry_group)
        return f"{group}/providers/Microsoft.CognitiveServices/accounts/{self.account}"

    @property
    def subscriptions(self) -> list[str]:
        """Every subscription that is touched, the app's first."""
        all_of_them = (self.subscription, self.foundry_subscription, self.registry.subscription)
        return list(dict.fromkeys((*all_of_them, self.vault.subscription)))


def group_id(subscription: str, group: str) -> str:
    """A resource group's address."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def from_env(env: Mapping[str, str]) -> DeployRequest:
    """Read it as azd and infra/main.bicep do, defaults too."""
    here, name = env.get("AZURE_SUBSCRIPTION_ID", ""), env.get("AZURE_ENV_NAME", "")
    own = env.get("AZURE_RESOURCE_GROUP_NAME") or f"rg-slipway-{name}"
    return DeployRequest(
        environment=name,
        location=env.get("AZURE_LOCATION", ""),
        subscription=here,
        group=own,
        account=env.get("FOUNDRY_ACCOUNT_NAME", ""),
        project=env.get("FOUNDRY_PROJECT_NAME", ""),
        foundry_group=env.get("FOUNDRY_RESOURCE_GROUP", ""),
        foundry_subscription=env.get("FOUNDRY_SUBSCRIPTION_ID") or here,
        registry=_source(env, "REGISTRY", "Microsoft.ContainerRegistry/registries", here, own),
        vault=_source(env, "VAULT", "Microsoft.KeyVault/vaults", here, own),
        secrets=tuple(one for one in env.get("VAULT_SECRETS", "").split(",") if one),
        assign_roles=_yes(env, "ASSIGN_ROLES", "true"),
        foundry_role=env.get("FOUNDRY_ROLE") or "user",
        project_pull=_yes(env, "GRANT_PROJECT_PULL", "false"),
        delivery=env.get("EVENT_DELIVERY") or "queue",
        python=env.get("PYTHON_VERSION") or "3.13",
        private=_yes(env, "VNET_ENABLED", "false"),
        subnet=env.get("APP_SUBNET_ID", ""),
    )


def _source(env: Mapping[str, str], kind: str, type_: str, here: str, own: str) -> Source:
    created = _yes(env, f"CREATE_{kind}", "false")
    group = own if created else env.get(f"{kind}_RESOURCE_GROUP", "")
    return Source(
        kind=kind,
        type=type_,
        name=env.get(f"{kind}_NAME", ""),
        group=group,
        subscription=env.get(f"{kind}_SUBSCRIPTION_ID") or here,
        topic=env.get(f"{kind}_TOPIC_NAME", ""),
        topic_group=env.get(f"{kind}_TOPIC_GROUP") or group,
        created=created,
    )


def _yes(env: Mapping[str, str], name: str, default: str) -> bool:
    return (env.get(name) or default).lower() in YES
