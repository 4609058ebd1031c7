"""Events as Azure sends them, with changes for a test."""

from __future__ import annotations

from typing import Any

DIGEST = f"sha256:{'a' * 64}"
REGISTRY = "/subscriptions/local/resourceGroups/local/providers/Microsoft.ContainerRegistry/registries/demo"
VAULT = "/subscriptions/local/resourceGroups/local/providers/Microsoft.KeyVault/vaults/demo-vault"


def push_event(**changes: Any) -> dict[str, Any]:
    """An ImagePushed event in Event Grid's own schema."""
    return {
        "id": "event-1",
        "topic": REGISTRY,
        "subject": "agents/hello:v1",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": "2026-11-24T12:00:00.1234567Z",
        "data": push_data(),
        "dataVersion": "1.0",
        "metadataVersion": "1",
    } | changes


def push_data(**target: Any) -> dict[str, Any]:
    """The data of a push event; a target value of None leaves the key out."""
    defaults = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "size": 856,
        "digest": DIGEST,
        "length": 856,
        "repository": "agents/hello",
        "tag": "v1",
    }
    return {
        "id": "event-1",
        "timestamp": "2026-11-24T11:59:59.9876543Z",
        "action": "push",
        "target": {key: value for key, value in (defaults | target).items() if value is not None},
        "request": {"id": "r", "host": "demo.azurecr.io", "method": "PUT", "useragent": "docker"},
    }


def cloud_event(**changes: Any) -> dict[str, Any]:
    """The same push as CloudEvents 1.0."""
    return {
        "specversion": "1.0",
        "id": "event-1",
        "source": REGISTRY,
        "subject": "agents/hello:v1",
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "time": "2026-11-24T12:00:00.1234567Z",
        "data": push_data(),
    } | changes


def secret_event(**changes: Any) -> dict[str, Any]:
    """A new secret version, with the stray space that Azure's sample has."""
    version = "4387e9f3d6e14c459867679a90fd0f79"
    data = {
        "Id": f"https://Demo-Vault.vault.azure.net/secrets/Hello-Key/{version}",
        "VaultName": "demo-vault",
        "ObjectType": "Secret",
        "ObjectName ": "Hello-Key",
        "Version": " ",
        "NBF": "",
        "EXP": 1559082102,
    }
    return {
        "id": "event-2",
        "topic": VAULT,
        "subject": "Hello-Key",
        "eventType": "Microsoft.KeyVault.SecretNewVersionCreated",
        "eventTime": "2026-11-24T12:00:00Z",
        "data": data,
        "dataVersion": "1",
    } | changes
