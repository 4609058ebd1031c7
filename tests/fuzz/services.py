"""What Key Vault, the registry and storage answer, below their SDKs."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from azure.containerregistry.aio import ContainerRegistryClient
from azure.keyvault.secrets.aio import SecretClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient
from hypothesis import strategies as st

from core.definition import secret_problem
from core.model import Secret
from core.state.desired import DesiredState
from handlers.gateways.errors import GatewayError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.key_vault import OPTIONS as VAULT
from handlers.gateways.key_vault import AzureKeyVault
from handlers.gateways.registry import OPTIONS as IMAGES
from handlers.gateways.registry import AzureRegistry
from handlers.gateways.storage.account import CLIENT_OPTIONS, StorageAccount
from handlers.gateways.storage.journal import BlobJournal
from handlers.gateways.storage.release_queue import StorageReleaseQueue
from handlers.gateways.storage.state_store import BlobStateStore
from local.credentials import AsyncLocalCredential
from tests.fuzz.records import AT, STORED
from tests.fuzz.target import Target
from tests.fuzz.values import CODES, LEAVES, as_bytes, bent, pick, written
from tests.fuzz.wire import Answer, Line, answer, refused, script

Calls = dict[str, Callable[[], Awaitable[Any]]]
LINE, CLOCK = Line(), ManualClock()
VAULT_URL, REGISTRY_URL = "https://demo.vault.azure.net", "https://demo.azurecr.io"
LOGIN = "https://login.microsoftonline.com/tenant"
CHALLENGE = refused(f'Bearer authorization="{LOGIN}", resource="https://vault.azure.net"')
SECRET = {
    "value": "canary-77c0-secret",
    "id": f"{VAULT_URL}/secrets/hello-key/4387e9f3d6e14c459867679a90fd0f79",
    "attributes": {"enabled": True, "created": 1790000000, "updated": 1790000000, "exp": 1990000000, "nbf": 1690000000},
    "tags": {"agent": "a", "env": "KEY"},
    "contentType": "text/plain",
}
LISTED = {"value": [{key: value for key, value in SECRET.items() if key != "value"}], "nextLink": None}


class ReachedVault(AzureKeyVault):
    """The gateway as it ships, on a line that we play."""

    def __init__(self) -> None:
        super().__init__(VAULT_URL, AsyncLocalCredential())
        self._client = SecretClient(VAULT_URL, AsyncLocalCredential(), transport=LINE.transport(), **VAULT)


class ReachedImages(AzureRegistry):
    """The gateway as it ships, on a line that we play."""

    def __init__(self) -> None:
        super().__init__(REGISTRY_URL, AsyncLocalCredential())
        self._client.instance = ContainerRegistryClient(
            REGISTRY_URL, AsyncLocalCredential(), transport=LINE.transport(), **IMAGES
        )


def _account() -> StorageAccount:
    options = {"credential": AsyncLocalCredential(), "transport": LINE.transport(), **CLIENT_OPTIONS}
    blobs = BlobServiceClient("https://demo.blob.core.windows.net", **options)
    return StorageAccount(blobs, QueueServiceClient("https://demo.queue.core.windows.net", **options))


ACCOUNT = _account()
LEDGER, JOURNAL, QUEUE = BlobStateStore(ACCOUNT, CLOCK), BlobJournal(ACCOUNT, CLOCK), StorageReleaseQueue(ACCOUNT)
IMAGES_GATEWAY = ReachedImages()


async def _vault(given: tuple[str, list[Answer]]) -> None:
    LINE.answers = [CHALLENGE, *given[1]]
    vault = ReachedVault()
    try:
        came = await (vault.get_secret("hello-key", None) if given[0] == "read" else vault.tagged_secrets("a"))
        if isinstance(came, Secret):
            secret_problem(came, AT)
    except GatewayError as error:
        assert "canary" not in str(error)
        raise


CONFIG = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
CONFIG_MEDIA = "application/vnd.oci.image.config.v1+json"
MEDIA = "application/vnd.oci.image.manifest.v1+json"
INDEX = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    "manifests": [{"digest": f"sha256:{'b' * 64}", "platform": {"os": "linux", "architecture": "amd64"}}],
}
TOKEN = Answer(body=b'{"refresh_token": "r", "access_token": "a"}')
TAGS = {"registry": "demo.azurecr.io", "imageName": "agents/hello", "tags": [
    {"name": "v1", "digest": f"sha256:{'a' * 64}", "createdTime": "2026-11-24T12:00:00.1Z",
     "lastUpdateTime": "2026-11-24T12:00:00.1234567Z", "changeableAttributes": {}}]}  # fmt: skip

ODD_ANSWERS = answer(INDEX, CONFIG)


@st.composite
def _image(draw: st.DrawFn) -> tuple[str, list[Answer]]:
    """A manifest under its own digest, as the client checks it, and the configuration that it names."""
    config = as_bytes(draw(written(bent(CONFIG))))
    about = {"mediaType": CONFIG_MEDIA, "digest": digest_of(config), "size": len(config)}
    named = {"schemaVersion": 2, "mediaType": MEDIA, "layers": [], "config": about}
    manifest = as_bytes(draw(written(bent(named, named, INDEX))))
    honest = [_of(manifest), _of(config)]
    code, odd = pick(draw(CODES), [True, False])
    at = code % 3
    return digest_of(manifest), [*honest[:at], *([draw(ODD_ANSWERS)] if odd else ()), *honest[at:]]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _of(data: bytes) -> Answer:
    told = {"Docker-Content-Digest": digest_of(data), "Content-Type": MEDIA, "Content-Length": str(len(data))}
    return Answer(headers=tuple(told.items()), body=data)


async def _registry(given: tuple[str, list[Answer]]) -> None:
    """Each call of the client first asks who it is, and then for a token."""
    what, answers = given
    LINE.answers = [one for real in answers for one in (WHO, TOKEN, TOKEN, real)]
    await (IMAGES_GATEWAY.list_tags("agents/hello") if what == "tags" else IMAGES_GATEWAY.inspect("agents/hello", what))


WHO = refused('Bearer realm="https://demo.azurecr.io/oauth2/token",service="demo.azurecr.io",scope="x"')
_BLOB = "<Blob><Name>{0}/a.json</Name><Properties><BlobType>BlockBlob</BlobType></Properties>{1}</Blob>"
LISTING = (
    '<?xml version="1.0"?><EnumerationResults ServiceEndpoint="https://demo.blob.core.windows.net/" '
    'ContainerName="slipway"><Blobs>'
    + _BLOB.format("desired", "<Metadata><generation>{0}</generation></Metadata>")
    + _BLOB.format("release", "<Metadata><seen>{1}</seen><state>{2}</state></Metadata>")
    + "</Blobs><NextMarker/></EnumerationResults>"
)
STORAGE: Calls = {
    "wanted": lambda: LEDGER.get_desired("a"),
    "record": lambda: LEDGER.get_release("a"),
    "note": lambda: LEDGER.update_desired("a", lambda desired: DesiredState(generation=desired.generation + 1)),
    "lease": lambda: LEDGER.acquire_lease("a"),
    "agents": lambda: LEDGER.list_agents(frozenset({"open", "due"})),
    "remembered": lambda: LEDGER.read_marker("deployed"),
    "remember": lambda: LEDGER.write_marker("deployed", "0" * 64),
    "journal": lambda: JOURNAL.read_day(AT),
    "told": lambda: JOURNAL.append({"reason": "LIVE"}),
    "send": lambda: QUEUE.enqueue("a"),
    "depth": lambda: QUEUE.count_messages("releases"),
}
VALUE, LINES = {"value": "0" * 64}, {"reason": "LIVE", "agent": "a", "at": AT.isoformat()}


@st.composite
def _listing(draw: st.DrawFn) -> Answer:
    told = [str(draw(LEAVES)).replace("<", "")[:40] if draw(st.booleans()) else "3" for _ in range(3)]
    return Answer(headers=(("Content-Type", "application/xml"),), body=as_bytes(LISTING.format(*told)))


BLOBS = answer(*STORED, VALUE)
STORED_FOR = dict.fromkeys(STORAGE, BLOBS) | {"agents": _listing() | BLOBS, "journal": answer(LINES)}
"""Call -> what storage has for it."""


def _stored(call: str) -> st.SearchStrategy[tuple[str, list[Answer]]]:
    answers = st.lists(STORED_FOR[call].map(as_blob), min_size=1, max_size=3)
    return st.tuples(st.just(call), answers)


def as_blob(told: Answer) -> Answer:
    """With the headers that a blob's download has, where nothing else was drawn."""
    if told.headers or told.breaks:
        return told
    size = len(told.body)
    ranged = (("Content-Range", f"bytes 0-{max(0, size - 1)}/{size}"), ("Content-Length", str(size)), ("ETag", '"1"'))
    return Answer(206 if told.status == 200 else told.status, (*ranged, ("x-ms-blob-type", "BlockBlob")), told.body)


async def _storage(given: tuple[str, list[Answer]]) -> None:
    LINE.answers = list(given[1])
    await STORAGE[given[0]]()


TARGETS = (
    Target(
        "vault",
        "Key Vault's answers, through azure-keyvault-secrets",
        st.tuples(st.just("read"), script(SECRET)) | st.tuples(st.just("tagged"), script(LISTED)),
        _vault,
        (GatewayError,),
        share=4,
    ),
    Target(
        "registry",
        "manifests, configurations and tags, through azure-containerregistry",
        _image() | st.tuples(st.just("tags"), script(TAGS)),
        _registry,
        (GatewayError,),
        share=4,
    ),
    Target(
        "storage",
        "what storage answers to the ledger, the journal and the queue",
        st.sampled_from(list(STORAGE)).flatmap(_stored),
        _storage,
        (GatewayError,),
        share=4,
    ),
)
