"""Dead letters: events that Event Grid gave up, and keeps until somebody sends them again."""

from __future__ import annotations

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from cli.doctor.arm import Arm, Json
from cli.doctor.checks import Check, ok, unclear, wrong
from cli.doctor.events import dead_letters, subscriptions
from cli.doctor.resources import KINDS, Resources

MOST = 1000
"""Blobs that are counted."""


async def checks(found: Resources, arm: Arm) -> list[Check]:
    """Each container that a subscription of ours buries in."""
    sources = [str(one["id"]) for one in (found.registry, found.vault) if one]
    told = [dead_letters(one) for source in sources for one in await subscriptions(found, arm, source)]
    places = {(str(one["resourceId"]), str(one["blobContainerName"])) for one in told if one}
    return [await _container(arm, account, container) for account, container in sorted(places)]


async def _container(arm: Arm, account: str, container: str) -> Check:
    what = f"dead letters in {container}"
    resource: Json | None = await arm.get(account, KINDS["storage"][1])
    address = str((((resource or {}).get("properties") or {}).get("primaryEndpoints") or {}).get("blob") or "")
    if not address:
        return unclear(what, f"the storage account {account.rpartition('/')[2]} is not among what you may read")
    try:
        count = await _count(address, container)
    except ResourceNotFoundError:
        return ok(what, "none")
    except HttpResponseError as error:
        return unclear(what, f"storage answers {error.status_code}", f"get Storage Blob Data Reader on {account}")
    except AzureError:
        return unclear(what, "storage does not answer", f"see whether this machine reaches {address}")
    if not count:
        return ok(what, "none")
    name = account.rpartition("/")[2]
    fetch = f"az storage blob download-batch --account-name {name} --auth-mode login -s {container} -d dead-letters"
    return wrong(what, f"{count} blobs", f"{fetch}; then slipway replay dead-letters/**/*.json --dry-run")


async def _count(address: str, container: str) -> int:
    async with (
        DefaultAzureCredential(require_envvar=True) as credential,
        BlobServiceClient(address, credential, retry_total=1, connection_timeout=5, read_timeout=10) as client,
    ):
        count = 0
        async for _ in client.get_container_client(container).list_blob_names():
            count += 1
            if count >= MOST:
                break
        return count
