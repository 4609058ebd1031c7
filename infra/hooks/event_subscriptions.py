"""The event subscriptions of the system topics: Event Grid's side of the app's triggers.

They are created after the deployment of the app: Event Grid refuses a subscription until the roles of its topic have
taken effect, and a template cannot wait these ten minutes. Delivery to a function also needs the function.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

from cli.arm_client import Json
from cli.arm_versions import EVENT_GRID
from handlers.gateways.errors import GatewayError
from infra.hooks.azure_client import Azure, explain
from infra.hooks.deploy_request import DeployRequest, Source, group_id
from infra.hooks.findings import Finding, error, note, ok

EVENTS = {
    "REGISTRY": ("Microsoft.ContainerRegistry.ImagePushed", "image_pushed"),
    "VAULT": ("Microsoft.KeyVault.SecretNewVersionCreated", "secret_changed"),
}
"""Event type and function for each kind of source."""
MAX_ROLE_MINUTES = 10
RETRY_SECONDS = 30.0
IDENTITY_ERRORS = ("managed identity", "egmsivalidation")
"""Parts of the messages for an identity without its roles."""
Sleep = Callable[[float], None]


def names(token: str) -> dict[str, str]:
    """The name of this deployment's subscription for each kind of delivery."""
    return {delivery: f"slipway-{token}-{delivery}" for delivery in ("queue", "function")}


def properties(source: Source, request: DeployRequest, env: Mapping[str, str]) -> Json:
    """A subscription to one event type, for every repository or secret: a new agent needs no new subscription."""
    event_type, function = EVENTS[source.kind]
    providers = f"{group_id(request.subscription, request.group)}/providers"
    storage = f"{providers}/Microsoft.Storage/storageAccounts/{env['AZURE_STORAGE_ACCOUNT_NAME']}"
    identity = {"type": "SystemAssigned"}
    delivery: Json
    if request.event_delivery == "queue":
        queue = {"resourceId": storage, "queueName": "events", "queueMessageTimeToLiveInSeconds": 604800}
        destination = {"endpointType": "StorageQueue", "properties": queue}
        delivery = {"deliveryWithResourceIdentity": {"identity": identity, "destination": destination}}
    else:
        app = f"{providers}/Microsoft.Web/sites/{env['AZURE_FUNCTION_NAME']}"
        target = {
            "resourceId": f"{app}/functions/{function}",
            "maxEventsPerBatch": 1,
            "preferredBatchSizeInKilobytes": 64,
        }
        delivery = {"destination": {"endpointType": "AzureFunction", "properties": target}}
    container = {"resourceId": storage, "blobContainerName": "deadletters"}
    dead_letters = {"endpointType": "StorageBlob", "properties": container}
    return {
        **delivery,
        "eventDeliverySchema": "CloudEventSchemaV1_0",
        "filter": {"includedEventTypes": [event_type]},
        "retryPolicy": {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440},
        "deadLetterWithResourceIdentity": {"identity": identity, "deadLetterDestination": dead_letters},
    }


def subscribe(
    source: Source, request: DeployRequest, env: Mapping[str, str], azure: Azure, sleep: Sleep
) -> Iterator[Finding]:
    """Create the requested subscription, then delete that of the other delivery: a double delivery does no harm."""
    subject, own = source.kind.lower(), names(env["SLIPWAY_TOKEN"])
    topic = source.topic_id
    path = f"{topic}/eventSubscriptions/{own.pop(request.event_delivery)}"
    wanted = properties(source, request, env)
    if not _is_current(azure.get(path, EVENT_GRID), wanted):
        refusal = yield from _create(path, wanted, azure, sleep, subject)
        if refusal:
            message, help_ = explain(refusal)
            help_ = _role_help(source) if _is_about_identity(refusal) else help_
            help_ = f"{help_}\nthen: azd hooks run postdeploy".strip()
            yield error(subject, f"Event Grid refuses the subscription: {message}", help_)
            return
    for obsolete in own.values():
        azure.delete(f"{topic}/eventSubscriptions/{obsolete}", EVENT_GRID)
    yield ok(subject, f"its events are delivered to the {request.event_delivery}")


def _create(
    path: str, wanted: Json, azure: Azure, sleep: Sleep, subject: str
) -> Generator[Finding, None, GatewayError | None]:
    """Try until the topic's roles have taken effect; return the last refusal, or None if the subscription is there."""
    refusal: GatewayError | None = None
    for attempt in range(int(MAX_ROLE_MINUTES * 60 / RETRY_SECONDS)):
        try:
            azure.put(path, EVENT_GRID, {"properties": wanted})
        except GatewayError as failure:
            refusal = failure
        else:
            return None
        if not _is_about_identity(refusal):
            break
        minutes, rest = divmod(attempt * RETRY_SECONDS, 60)
        if not rest:
            waited = f"minute {minutes:.0f} of {MAX_ROLE_MINUTES}"
            yield note(subject, f"waiting until Event Grid accepts the roles of the topic's identity: {waited}")
        sleep(RETRY_SECONDS)
    return refusal


def _is_about_identity(refusal: GatewayError) -> bool:
    """Whether the roles may be missing; a subscription that ends as Failed does not always say why."""
    text = str(refusal).lower()
    return refusal.code == "Failed" or any(part in text for part in IDENTITY_ERRORS)


def _is_current(subscription: Json | None, wanted: Json) -> bool:
    """Whether the subscription exists as wanted; Azure adds properties and changes the case of ids."""
    found = (subscription or {}).get("properties") or {}
    return found.get("provisioningState") == "Succeeded" and _contains(found, wanted)


def _contains(actual: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(_contains(actual.get(key), value) for key, value in wanted.items())
    return str(actual).lower() == str(wanted).lower()


def _role_help(source: Source) -> str:
    return (
        f"the reason: az monitor activity-log list --resource-id {source.topic_id} --status Failed --offset 1h\n"
        "the topic's identity needs Storage Queue Data Message Sender on the storage account (not on a queue)\n"
        "and Storage Blob Data Contributor on the container deadletters; it has: "
        f"az role assignment list --all --assignee {source.topic_principal}"
    )
