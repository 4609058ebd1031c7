"""Counts dead letters: events that Event Grid could not deliver and keeps until an operator sends them again."""

from __future__ import annotations

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient

from cli import arm_versions
from cli.arm_client import ArmClient, Json
from cli.doctor.event_subscriptions import dead_letter_destination, subscriptions
from cli.doctor.resources import Resources
from cli.doctor.result import Check, failed, ok, unknown
from handlers import bootstrap

MAX_COUNTED_BLOBS = 1000


async def checks(resources: Resources, arm: ArmClient) -> list[Check]:
    """Check each container that keeps the dead letters of the app's subscriptions."""
    sources = [str(source["id"]) for source in resources.sources]
    destinations = [
        dead_letter_destination(subscription)
        for source in sources
        for subscription in await subscriptions(resources, arm, source)
    ]
    containers = {(str(item["resourceId"]), str(item["blobContainerName"])) for item in destinations if item}
    return [await _container(arm, account, container) for account, container in sorted(containers)]


async def _container(arm: ArmClient, account: str, container: str) -> Check:
    check = f"dead letters in {container}"
    name = account.rpartition("/")[2]
    resource: Json | None = await arm.get(account, arm_versions.STORAGE)
    endpoint = str((((resource or {}).get("properties") or {}).get("primaryEndpoints") or {}).get("blob") or "")
    if not endpoint:
        return unknown(check, f"you may not read the storage account {name}")
    try:
        count = await _count(endpoint, container)
    except ResourceNotFoundError:
        return ok(check, "none")
    except HttpResponseError as error:
        return unknown(check, f"storage answers {error.status_code}", f"get Storage Blob Data Reader on {account}")
    except AzureError:
        return unknown(check, "storage does not answer", f"check that this machine can reach {endpoint}")
    if not count:
        return ok(check, "none")
    fetch = f"az storage blob download-batch --account-name {name} --auth-mode login -s {container} -d dead-letters"
    return failed(check, f"{count} blobs", f"mkdir -p dead-letters && {fetch} && slipway replay dead-letters --dry-run")


async def _count(endpoint: str, container: str) -> int:
    credential = bootstrap.credential()
    async with BlobServiceClient(endpoint, credential, retry_total=1, connection_timeout=5, read_timeout=10) as client:
        count = 0
        async for _ in client.get_container_client(container).list_blob_names():
            count += 1
            if count >= MAX_COUNTED_BLOBS:
                break
        return count
