"""A complete and correct set of Resource Manager resources for the local stack."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from local.arm import (
    ACCOUNT,
    ACCOUNT_ID,
    ACR_PULL,
    APP,
    BLOB_OWNER,
    CLIENT,
    FOUNDRY_USER,
    GROUP,
    OWNER,
    PROJECT,
    QUEUE_CONTRIBUTOR,
    REGISTRY,
    REPOSITORY_READER,
    ROLES,
    SECRETS_USER,
    STORAGE,
    TOPIC,
    VAULT,
    VAULT_TOPIC,
    Arm,
)

DEFINITIONS: dict[str, tuple[str, list[str], list[str]]] = {
    FOUNDRY_USER: ("Foundry User", [], ["Microsoft.CognitiveServices/*"]),
    SECRETS_USER: ("Key Vault Secrets User", [], ["Microsoft.KeyVault/vaults/secrets/getSecret/action"]),
    ACR_PULL: ("AcrPull", ["Microsoft.ContainerRegistry/registries/pull/read"], []),
    REPOSITORY_READER: (
        "Container Registry Repository Reader",
        [],
        ["Microsoft.ContainerRegistry/registries/repositories/content/read"],
    ),
    BLOB_OWNER: ("Storage Blob Data Owner", [], ["Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"]),
    QUEUE_CONTRIBUTOR: (
        "Storage Queue Data Contributor",
        [],
        ["Microsoft.Storage/storageAccounts/queueServices/queues/messages/*"],
    ),
    OWNER: ("Owner", ["*"], []),
}
GRANTS = (
    (APP, ACR_PULL, REGISTRY),
    (APP, BLOB_OWNER, STORAGE),
    (APP, QUEUE_CONTRIBUTOR, STORAGE),
    (PROJECT, ACR_PULL, REGISTRY),
    (ACCOUNT, ACR_PULL, REGISTRY),
)
Grant = tuple[str, str, str]
"""Principal, role, scope."""


def populate(arm: Arm, endpoints: dict[str, Any], projects: Iterable[str] = (), vaults: Iterable[str] = ()) -> None:
    """Add every resource, with the addresses of the other stand-ins.

    ``projects`` are names of further ones in the account, ``vaults`` those of further ones below ``/vaults/``.
    """
    for role, (name, actions, data_actions) in DEFINITIONS.items():
        permissions = [{"actions": actions, "notActions": [], "dataActions": data_actions, "notDataActions": []}]
        arm.put(f"{ROLES}/{role}", properties={"roleName": name, "permissions": permissions})
    policies = {"azureADAuthenticationAsArmPolicy": {"status": "enabled"}}
    mode = {"roleAssignmentMode": "LegacyRegistryPermissions", "publicNetworkAccess": "Enabled", "policies": policies}
    arm.put(REGISTRY, properties={"loginServer": "demo.azurecr.io", **mode})
    foundry = {"endpoints": {"AI Foundry API": f"{endpoints['foundry']}/"}}
    arm.put(ACCOUNT_ID, identity={"principalId": ACCOUNT}, properties=foundry)
    grants = list(GRANTS)
    for name in dict.fromkeys(("demo", *projects)):
        grants += _put_project(arm, f"{ACCOUNT_ID}/projects/{name}")
    grants += _put_vault(arm, VAULT, VAULT_TOPIC, f"{endpoints['vault']}/")
    for name in vaults:
        address = f"{endpoints['vault']}/vaults/{name}"
        grants += _put_vault(arm, f"{VAULT}-{name}", f"{VAULT_TOPIC}-{name}", address)
    for number, (principal, role, scope) in enumerate(grants):
        assignment = {"principalId": principal, "roleDefinitionId": f"{ROLES}/{role}", "scope": scope}
        arm.put(f"{scope}/providers/Microsoft.Authorization/roleAssignments/{number}", properties=assignment)
    arm.put(STORAGE, properties={"primaryEndpoints": {"blob": endpoints["blob"], "queue": endpoints["queue"]}})
    identity = {"clientId": CLIENT, "principalId": APP}
    arm.put(f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/slipway", properties=identity)
    _put_topic(arm, TOPIC, REGISTRY, "Microsoft.ContainerRegistry.ImagePushed")


def _put_project(arm: Arm, project: str) -> list[Grant]:
    arm.put(project, identity={"principalId": PROJECT}, properties={})
    connection = {"category": "ContainerRegistry", "target": "https://demo.azurecr.io", "authType": "ManagedIdentity"}
    arm.put(f"{project}/connections/registry", properties=connection)
    return [(APP, FOUNDRY_USER, project)]


def _put_vault(arm: Arm, vault: str, topic: str, address: str) -> list[Grant]:
    arm.put(vault, properties={"vaultUri": address, "enableRbacAuthorization": True})
    _put_topic(arm, topic, vault, "Microsoft.KeyVault.SecretNewVersionCreated")
    return [(APP, SECRETS_USER, vault)]


def _put_topic(arm: Arm, topic: str, source: str, event_type: str) -> None:
    arm.put(topic, properties={"source": source})
    arm.put(f"{topic}/eventSubscriptions/slipway", properties=_subscription(event_type))


def _subscription(event_type: str) -> dict[str, Any]:
    """Deliver to the queue with the topic's identity, as infra/ deploys it."""
    queue = {"endpointType": "StorageQueue", "properties": {"resourceId": STORAGE, "queueName": "events"}}
    dead_letters = {
        "endpointType": "StorageBlob",
        "properties": {"resourceId": STORAGE, "blobContainerName": "deadletters"},
    }
    identity = {"type": "SystemAssigned"}
    return {
        "provisioningState": "Succeeded",
        "deliveryWithResourceIdentity": {"identity": identity, "destination": queue},
        "deadLetterWithResourceIdentity": {"identity": identity, "deadLetterDestination": dead_letters},
        "filter": {"includedEventTypes": [event_type]},
    }
