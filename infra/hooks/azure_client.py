"""Azure for a hook: Resource Manager, and the clients with which the app itself uses its registry and its storage.

Clients are imported where they are used: those of storage take a second, and most hooks need none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.identity.aio import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

from cli import arm_versions
from cli.arm_client import NOT_JSON, ArmClient, Json
from cli.errors import DENIED, ROLES, sign_in_failure
from handlers.gateways.azure_http import CLIENT_OPTIONS, UNREADABLE_ANSWER, gateway_error
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.settings import STORAGE_URIS
from infra.hooks.findings import Finding, error

if TYPE_CHECKING:
    from handlers.gateways.storage.account import StorageAccount

T = TypeVar("T")
AUTHORIZATION = "providers/Microsoft.Authorization"
NETWORK_HELP = "check the network and, behind a proxy, HTTPS_PROXY and its certificate (SSL_CERT_FILE)"


class Azure:
    """Synchronous calls, signed in as azd is, or else as az is; every method raises GatewayError."""

    def __init__(self, env: Mapping[str, str], credential: AsyncTokenCredential | None = None, **options: Any) -> None:
        self._env, self._options = env, options
        self._runner = asyncio.Runner()
        self._credential = credential or ChainedTokenCredential(AzureDeveloperCliCredential(), AzureCliCredential())
        self._arm = ArmClient(self._credential, env.get("ARM_ENDPOINT", ""), **options)
        self._account: StorageAccount | None = None

    def __enter__(self) -> Azure:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection."""
        self._run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        await self._arm.close()
        if self._account:
            await self._account.close()
        await self._credential.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def get(self, path: str, api: str) -> Json | None:
        """A resource, or None if it does not exist."""
        return self._run(self._arm.get(path, api))

    def list(self, path: str, api: str, **query: str) -> Sequence[Json]:
        """The items of a listing, all pages; empty if the scope does not exist."""
        return self._run(self._arm.list(path, api, **query))

    def put(self, path: str, api: str, body: Mapping[str, object]) -> None:
        """Create or change a resource, and wait until Azure has finished."""
        self._run(self._arm.put(path, api, body))

    def post(self, path: str, api: str, body: Mapping[str, object]) -> Json:
        """Call an action that answers at once."""
        return self._run(self._arm.post(path, api, body))

    def delete(self, path: str, api: str) -> None:
        """Delete a resource, and wait until it is gone; one that does not exist counts as deleted."""
        self._run(self._arm.delete(path, api))

    def find_resources(self, name: str, kind: str) -> Sequence[str]:
        """The ids of all resources of this name and type, in every subscription that the signed-in account can see."""
        condition = f"resourceType eq '{kind}' and name eq '{name}'"
        return [
            str(resource["id"])
            for subscription in self.list("/subscriptions", arm_versions.SUBSCRIPTIONS)
            if subscription.get("state", "Enabled") == "Enabled"
            for resource in self.list(
                f"{subscription['id']}/resources", arm_versions.RESOURCES, **{"$filter": condition}
            )
        ]

    def role_assignments(self, scope: str, principal: str) -> Sequence[Json]:
        """The role assignments of a principal at a scope, above it and below it."""
        path, condition = f"{scope}/{AUTHORIZATION}/roleAssignments", f"principalId eq '{principal}'"
        return self.list(path, arm_versions.AUTHORIZATION, **{"$filter": condition})

    def role_definitions(self, subscription: str, name: str) -> Sequence[Json]:
        """The roles of this name in a subscription: at most one."""
        path, condition = f"/subscriptions/{subscription}/{AUTHORIZATION}/roleDefinitions", f"roleName eq '{name}'"
        return self.list(path, arm_versions.AUTHORIZATION, **{"$filter": condition})

    def repositories(self, login_server: str) -> Sequence[str]:
        """The names of the registry's repositories."""
        return self._run(self._repositories(self._env.get("REGISTRY_ENDPOINT") or f"https://{login_server}"))

    async def _repositories(self, endpoint: str) -> Sequence[str]:
        from azure.containerregistry.aio import ContainerRegistryClient

        options = {**CLIENT_OPTIONS, **self._options}
        try:
            async with ContainerRegistryClient(endpoint, self._credential, **options) as client:
                return [name async for name in client.list_repository_names()]
        except (AzureError, *UNREADABLE_ANSWER) as error:
            raise gateway_error("registry", "list repositories", error) from error

    def send_event(self, event: Mapping[str, object]) -> None:
        """Put an event into the queue ``events``, in the encoding in which Event Grid writes it."""
        self._run(self._send_event(json.dumps(event)))

    async def _send_event(self, text: str) -> None:
        from handlers.gateways.storage.account import translate_errors

        with translate_errors("send to the queue events"):
            await self._storage().queue("events").send_message(text)

    def desired_etags(self) -> Mapping[str, str]:
        """The blobs of every agent's desired state, as name and ETag; empty before the first push."""
        return self._run(self._desired_etags())

    async def _desired_etags(self) -> Mapping[str, str]:
        from handlers.gateways.storage.account import translate_errors
        from handlers.gateways.storage.state_store import CONTAINER

        container = self._storage().container(CONTAINER)
        with translate_errors("list the desired states"):
            try:
                return {str(blob.name): str(blob.etag) async for blob in container.list_blobs("desired/")}
            except ResourceNotFoundError:
                return {}

    def journal(self, day: datetime) -> Sequence[Mapping[str, object]]:
        """The journal of a day."""
        from handlers.gateways.clock import SystemClock
        from handlers.gateways.storage.journal import BlobJournal

        return self._run(BlobJournal(self._storage(), SystemClock()).read_day(day))

    def _storage(self) -> StorageAccount:
        from handlers.gateways.storage.account import StorageAccount

        if self._account is None:
            name = self._env["AZURE_STORAGE_ACCOUNT_NAME"]
            hosts = (f"https://{name}.{service}.core.windows.net" for service in ("blob", "queue"))
            blob, queue = (self._env.get(uri) or host for uri, host in zip(STORAGE_URIS, hosts, strict=True))
            self._account = StorageAccount.from_uris(blob, queue, self._credential, **self._options)
        return self._account


def report_failure(findings: Iterable[Finding], then: str = "") -> Iterator[Finding]:
    """The findings, and as the last one what Azure refused or why it was not reached; ``then`` says what comes next."""
    try:
        yield from findings
    except GatewayError as failure:
        message, help_ = explain(failure)
        yield error("Azure", message, f"{help_}\n{then}".strip())


def explain(failure: GatewayError) -> tuple[str, str]:
    """What went wrong, and what to do about it; the help is empty if only Azure's own message can say."""
    if (reason := sign_in_failure(failure)) is not None:
        return f"not signed in: {reason}", "sign in: azd auth login"
    if isinstance(failure, PermanentError):
        return str(failure), _help(failure)
    if failure.code == NOT_JSON:
        return f"{failure}: another server answered, such as a proxy or the sign-in page of a network", NETWORK_HELP
    if isinstance(failure, TransientError) and (failure.throttled or failure.code == "429"):
        return str(failure), f"Azure asks to wait: try again in {failure.retry_after or 60:.0f} seconds"
    if failure.code == "no answer":
        return f"{failure}: {_first_line(failure.__cause__)}", NETWORK_HELP
    return str(failure), "Azure has a fault: try again in some minutes, see https://status.azure.com"


def _help(failure: PermanentError) -> str:
    if failure.status == 401:
        return "sign in again, to the tenant of the subscription: azd auth login --tenant-id <tenant>"
    if failure.status == 403 or failure.code in DENIED:
        role = "the role Reader there, or more," if failure.service == "ARM" else f"{ROLES[failure.service]},"
        return f"ask for {role} or sign in with another account: azd auth login"
    return ""


def _first_line(cause: BaseException | None) -> str:
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:200]
