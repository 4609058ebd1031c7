"""Preflight: the subscriptions, the region and the new names must be ready for the deployment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cli.arm_client import Json
from infra.hooks.deploy_request import DeployRequest, Source
from infra.hooks.findings import Finding, error, note, ok
from infra.hooks.own_resources import is_own_group

STORAGE_SKUS = ("Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_GZRS")
PROVIDERS = {
    "app": (
        *("Microsoft.App", "Microsoft.EventGrid", "Microsoft.Insights", "Microsoft.ManagedIdentity"),
        *("Microsoft.OperationalInsights", "Microsoft.Storage", "Microsoft.Web"),
    ),
    "foundry": ("Microsoft.CognitiveServices", "Microsoft.App"),
    "registry": ("Microsoft.ContainerRegistry", "Microsoft.EventGrid"),
    "vault": ("Microsoft.KeyVault", "Microsoft.EventGrid"),
}


def unregistered_providers(listed: Sequence[Json], needed: Sequence[str]) -> dict[str, str]:
    """The needed resource providers that are not registered, with their states."""
    states = {provider["namespace"].lower(): str(provider["registrationState"]) for provider in listed}
    found = {name: states.get(name.lower(), "unknown") for name in needed}
    return {name: state for name, state in found.items() if state != "Registered"}


def ask_to_register(missing: Mapping[str, str], subscription: str) -> Iterator[Finding]:
    """Providers that somebody must register, or let preflight register; it takes a minute or two."""
    for name, state in missing.items():
        help_ = (
            f"az provider register --namespace {name} --subscription {subscription} --wait\n"
            "or let preflight register what is missing: azd env set REGISTER_PROVIDERS true"
        )
        yield error("providers", f"{name} is {state} in {subscription}", help_)


def needed_providers(subscription: str, request: DeployRequest) -> list[str]:
    """The resource providers that the deployment uses in a subscription."""
    subscriptions = {
        "app": {request.subscription},
        "foundry": {project.subscription for project in request.projects},
        "registry": {request.registry.subscription},
        "vault": {vault.subscription for vault in request.vaults},
    }
    names = [name for part, part_of in subscriptions.items() if subscription in part_of for name in PROVIDERS[part]]
    network = ["Microsoft.Network"] if request.vnet_enabled and subscription == request.subscription else []
    return list(dict.fromkeys([*names, *network]))


def subscription(visible: Sequence[Json], subscription_id: str) -> Finding:
    """Whether the signed-in account can see the subscription, and whether it takes changes."""
    found = next((item for item in visible if item["subscriptionId"].lower() == subscription_id.lower()), None)
    if found is None:
        message = f"the subscription {subscription_id} does not exist, or your account cannot see it"
        return error(
            "account", message, "correct its id, or sign in to its tenant: azd auth login --tenant-id <tenant>"
        )
    name, state = found.get("displayName", subscription_id), found.get("state", "Enabled")
    if state != "Enabled":
        return error(
            "account", f"the subscription {name} is {state}", "enable it: portal, Subscriptions; or use another"
        )
    return ok("account", f"signed in, with the subscription {name}")


def region(locations: Sequence[Json], location: str) -> Finding:
    """Whether the region has Flex Consumption; Azure lists the display names of regions."""
    known = sorted({_normalized(item["name"]) for item in locations if item.get("name")})
    if not known:
        message = f"Azure lists no region with Flex Consumption; the deployment will show if {location} has it"
        return note("region", message)
    if _normalized(location) in known:
        return ok("region", f"{location} has Flex Consumption")
    help_ = f"azd env set AZURE_LOCATION <one of {', '.join(known)}>"
    return error("region", f"{location} has no Flex Consumption", help_)


def python_version(stacks: Sequence[Json], version: str) -> Finding:
    """Whether the region offers this Python version on Flex Consumption."""
    known = list(dict.fromkeys(_flex_versions(stacks)))
    if version in known:
        return ok("region", f"Python {version} is available")
    if not known:
        return note("region", f"Azure lists no Python versions; the deployment will show if {version} is available")
    help_ = f"azd env set PYTHON_VERSION <one of {', '.join(known)}>"
    return error("region", f"Python {version} is not available in the region", help_)


def _flex_versions(stacks: Sequence[Json]) -> Iterator[str]:
    """The versions of a list of stacks that run on Linux in the plan FC1, which is Flex Consumption."""
    majors = [major for stack in stacks for major in (stack.get("properties") or {}).get("majorVersions") or []]
    for minor in (minor for major in majors for minor in major.get("minorVersions") or []):
        linux = (minor.get("stackSettings") or {}).get("linuxRuntimeSettings") or {}
        for sku in linux.get("Sku") or []:
            if sku.get("skuCode") == "FC1":
                runtime = (sku.get("functionAppConfigProperties") or {}).get("runtime") or {}
                yield str(runtime.get("version") or minor.get("value"))


def storage_sku(listed: Sequence[Json], request: DeployRequest) -> Finding:
    """Whether the region offers the replication of STORAGE_SKU; six regions of Flex Consumption have no zones."""
    offered = sorted(
        item["name"]
        for item in listed
        if item.get("kind") == "StorageV2"
        and _normalized(request.location) in map(_normalized, item.get("locations") or [])
        and not item.get("restrictions")
    )
    if request.storage_sku in offered:
        return ok("region", f"storage of {request.storage_sku} is available")
    if not offered:
        return note("region", f"Azure lists no storage; the deployment will show if {request.storage_sku} is available")
    help_ = f"azd env set STORAGE_SKU <one of {', '.join(name for name in offered if name in STORAGE_SKUS)}>"
    return error("region", f"{request.location} has no storage of {request.storage_sku}", help_)


def resource_group(group: Json | None, resources: Sequence[Json], request: DeployRequest) -> Finding:
    """A group of somebody else is refused: azd would take it over, and azd down would delete everything in it."""
    if group is None:
        return ok("group", f"{request.group} will be created")
    help_ = "azd env set AZURE_RESOURCE_GROUP_NAME <a name that is free>, or '' for rg-slipway-<environment>"
    if not is_own_group(group, resources, request):
        message = (
            f"{request.group} exists and was not created by this environment: azd down would delete all that is in it"
        )
        return error("group", message, help_)
    if _normalized(str(group.get("location", request.location))) != _normalized(request.location):
        message = f"{request.group} is in {group['location']}, and a group cannot move to {request.location}"
        return error("group", message, f"azd env set AZURE_LOCATION {group['location']}\nor: {help_}")
    return ok("group", f"{request.group} is this environment's")


def name_available(answer: Json, source: Source) -> Finding:
    """Whether the name of the new registry or vault is free."""
    subject = source.kind.lower()
    if answer.get("nameAvailable"):
        return ok(subject, f"the name {source.name} is free")
    reason = answer.get("message") or answer.get("reason") or "it is taken"
    help_ = f"azd env set {source.kind}_NAME <another name>"
    return error(subject, f"the name {source.name} is not available: {reason}", help_)


def _normalized(region_name: str) -> str:
    return region_name.replace(" ", "").lower()
