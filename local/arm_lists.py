"""What Resource Manager lists for every subscription: providers, regions, runtimes and kinds of storage."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PROVIDERS: list[Json] = [
    {"namespace": f"Microsoft.{name}", "registrationState": "Registered"}
    for name in (
        *("App", "CognitiveServices", "ContainerRegistry", "EventGrid", "Insights", "KeyVault", "ManagedIdentity"),
        *("Network", "OperationalInsights", "Resources", "Storage", "Web"),
    )
]
REGIONS: list[Json] = [{"name": name} for name in ("West Europe", "North Europe", "North Central US")]
"""Regions with Flex Consumption, by their display names."""
ZONELESS = "northcentralus"
"""A region without zone-redundant storage."""
STORAGE_SKUS: list[Json] = [
    {"resourceType": "storageAccounts", "kind": "StorageV2", "name": sku, "locations": [location]}
    for location in ("westeurope", "northeurope", ZONELESS)
    for sku in ("Standard_LRS", "Standard_GRS", "Premium_LRS", *(() if location == ZONELESS else ("Standard_ZRS",)))
]


def _minor(version: str) -> Json:
    runtime = {"runtime": {"name": "python", "version": version}}
    sku = {"skuCode": "FC1", "functionAppConfigProperties": runtime}
    return {"value": version, "stackSettings": {"linuxRuntimeSettings": {"runtimeVersion": version, "Sku": [sku]}}}


FLEX_STACKS: list[Json] = [
    {
        "name": "python",
        "properties": {"majorVersions": [{"value": "3", "minorVersions": [_minor("3.13"), _minor("3.12")]}]},
    }
]
