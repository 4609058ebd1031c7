"""Answers of Key Vault, the registry and storage, below their SDKs."""

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
from tests.fuzz.values import CODES, LEAVES, as_bytes, mutated, pick, serialized
from tests.fuzz.wire import Answer, ScriptedSession, answer, script, unauthorized

Calls = dict[str, Callable[[], Awaitable[Any]]]
HTTP, CLOCK = ScriptedSession(), ManualClock()
VAULT_URL, REGISTRY_URL = "https://demo.vault.azure.net", "https://demo.azurecr.io"
LOGIN = "https://login.microsoftonline.com/tenant"
VAULT_CHALLENGE = unauthorized(f'Bearer authorization="{LOGIN}", resource="https://vault.azure.net"')
SECRET = {
    "value": "canary-77c0-secret",
    "id": f"{VAULT_URL}/secrets/hello-key/4387e9f3d6e14c459867679a90fd0f79",
    "attributes": {"enabled": True, "created": 1790000000, "updated": 1790000000, "exp": 1990000000, "nbf": 1690000000},
    "tags": {"agent": "a", "env": "KEY"},
    "contentType": "text/plain",
}
LISTED = {"value": [{key: value for key, value in SECRET.items() if key != "value"}], "nextLink": None}


class ScriptedKeyVault(AzureKeyVault):
    """The product's gateway on a scripted connection."""

    def __init__(self) -> None:
        super().__init__(VAULT_URL, AsyncLocalCredential())
        self._client.instance = SecretClient(VAULT_URL, AsyncLocalCredential(), transport=HTTP.transport(), **VAULT)


class ScriptedRegistry(AzureRegistry):
    """The product's gateway on a scripted connection."""

    def __init__(self) -> None:
        super().__init__(REGISTRY_URL, AsyncLocalCredential())
        self._client.instance = ContainerRegistryClient(
            REGISTRY_URL, AsyncLocalCredential(), transport=HTTP.transport(), **IMAGES
        )


def _account() -> StorageAccount:
    options = {"credential": AsyncLocalCredential(), "transport": HTTP.transport(), **CLIENT_OPTIONS}
    blobs = BlobServiceClient("https://demo.blob.core.windows.net", **options)
    return StorageAccount(blobs, lambda: QueueServiceClient("https://demo.queue.core.windows.net", **options))


ACCOUNT = _account()
STATE_STORE, JOURNAL, QUEUE = BlobStateStore(ACCOUNT, CLOCK), BlobJournal(ACCOUNT, CLOCK), StorageReleaseQueue(ACCOUNT)
REGISTRY = ScriptedRegistry()


async def _vault(call_and_answers: tuple[str, list[Answer]]) -> None:
    call, answers = call_and_answers
    HTTP.answers = [VAULT_CHALLENGE, *answers]
    vault = ScriptedKeyVault()
    try:
        result = await (vault.get_secret("hello-key", None) if call == "read" else vault.tagged_secrets("a"))
        if isinstance(result, Secret):
            secret_problem(result, AT)
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

WRONG_ANSWERS = answer(INDEX, CONFIG)


@st.composite
def _image(draw: st.DrawFn) -> tuple[str, list[Answer]]:
    """A manifest with a correct digest, which the client checks, and its configuration."""
    config = as_bytes(draw(serialized(mutated(CONFIG))))
    descriptor = {"mediaType": CONFIG_MEDIA, "digest": digest_of(config), "size": len(config)}
    image = {"schemaVersion": 2, "mediaType": MEDIA, "layers": [], "config": descriptor}
    manifest = as_bytes(draw(serialized(mutated(image, image, INDEX))))
    answers = [_content(manifest), _content(config)]
    code, add_wrong = pick(draw(CODES), [True, False])
    at = code % 3
    return digest_of(manifest), [*answers[:at], *([draw(WRONG_ANSWERS)] if add_wrong else ()), *answers[at:]]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _content(data: bytes) -> Answer:
    headers = {"Docker-Content-Digest": digest_of(data), "Content-Type": MEDIA, "Content-Length": str(len(data))}
    return Answer(headers=tuple(headers.items()), body=data)


async def _registry(call_and_answers: tuple[str, list[Answer]]) -> None:
    """Before each call, the client gets a challenge and two tokens."""
    call, answers = call_and_answers
    HTTP.answers = [step for last in answers for step in (REGISTRY_CHALLENGE, TOKEN, TOKEN, last)]
    await (REGISTRY.list_tags("agents/hello") if call == "tags" else REGISTRY.inspect("agents/hello", call))


REGISTRY_CHALLENGE = unauthorized(
    'Bearer realm="https://demo.azurecr.io/oauth2/token",service="demo.azurecr.io",scope="x"'
)
_BLOB = "<Blob><Name>{0}/a.json</Name><Properties><BlobType>BlockBlob</BlobType></Properties>{1}</Blob>"
_BEGIN = (
    '<?xml version="1.0"?><EnumerationResults ServiceEndpoint="https://demo.blob.core.windows.net/" '
    'ContainerName="slipway"><Blobs>'
)
_END = "</Blobs><NextMarker/></EnumerationResults>"
LISTING = (
    _BEGIN
    + _BLOB.format("desired", "<Metadata><generation>{0}</generation></Metadata>")
    + _BLOB.format("release", "<Metadata><observed_generation>{1}</observed_generation><state>{2}</state></Metadata>")
    + _END
)
JOURNAL_PART = (
    "<Blob><Name>journal/{0}.jsonl</Name><Properties><BlobType>AppendBlob</BlobType>"
    "<Content-Length>{1}</Content-Length></Properties></Blob>"
)
STORAGE: Calls = {
    "get_desired": lambda: STATE_STORE.get_desired("a"),
    "get_release": lambda: STATE_STORE.get_release("a"),
    "update_desired": lambda: STATE_STORE.update_desired(
        "a", lambda desired: DesiredState(generation=desired.generation + 1)
    ),
    "acquire_lease": lambda: STATE_STORE.acquire_lease("a"),
    "list_agents": lambda: STATE_STORE.list_agents(unfinished=True),
    "list_desired": STATE_STORE.list_desired,
    "read_marker": lambda: STATE_STORE.read_marker("deployed"),
    "write_marker": lambda: STATE_STORE.write_marker("deployed", "0" * 64),
    "read_day": lambda: JOURNAL.read_day(AT),
    "end": lambda: JOURNAL.end(AT),
    "read_new": lambda: JOURNAL.read_new(AT, {}),
    "append": lambda: JOURNAL.append({"reason": "LIVE"}),
    "enqueue": lambda: QUEUE.enqueue("a"),
    "count_messages": lambda: QUEUE.count_messages("releases"),
}
VALUE, LINES = {"value": "0" * 64}, {"reason": "LIVE", "agent": "a", "at": AT.isoformat()}


@st.composite
def _listing(draw: st.DrawFn) -> Answer:
    values = [str(draw(LEAVES)).replace("<", "")[:40] if draw(st.booleans()) else "3" for _ in range(3)]
    return Answer(headers=(("Content-Type", "application/xml"),), body=as_bytes(LISTING.format(*values)))


def journal_listing(day: str = f"{AT:%Y-%m-%d}", size: str = "100") -> Answer:
    """The list of a day's parts: one part."""
    body = _BEGIN + JOURNAL_PART.format(day, size) + _END
    return Answer(headers=(("Content-Type", "application/xml"),), body=as_bytes(body))


@st.composite
def _journal(draw: st.DrawFn) -> Answer:
    values = [str(draw(LEAVES)).replace("<", "")[:40] for _ in range(2)]
    return journal_listing(*values) if draw(st.booleans()) else journal_listing()


MAX_BLOB_BYTES = 100_000
"""The account is the app's own: its answers have no limit of ours, and large ones take their time."""
BLOBS = answer(*STORED, VALUE)
STORAGE_ANSWERS = dict.fromkeys(STORAGE, BLOBS) | {
    "list_agents": _listing() | BLOBS,
    "list_desired": _listing() | BLOBS,
    "read_day": _journal() | answer(LINES),
    "end": _journal() | answer(LINES),
    "read_new": _journal() | answer(LINES),
}
"""Call -> storage's answers to it."""


def _storage_answers(call: str) -> st.SearchStrategy[tuple[str, list[Answer]]]:
    small = STORAGE_ANSWERS[call].filter(lambda item: len(item.body) < MAX_BLOB_BYTES)
    answers = st.lists(small.map(as_blob), min_size=1, max_size=3)
    return st.tuples(st.just(call), answers)


def as_blob(answer: Answer) -> Answer:
    """The answer with the headers of a blob's download, unless it has other headers or breaks."""
    if answer.headers or answer.breaks:
        return answer
    size = len(answer.body)
    ranged = (("Content-Range", f"bytes 0-{max(0, size - 1)}/{size}"), ("Content-Length", str(size)), ("ETag", '"1"'))
    status = 206 if answer.status == 200 else answer.status
    return Answer(status, (*ranged, ("x-ms-blob-type", "BlockBlob")), answer.body)


async def _storage(call_and_answers: tuple[str, list[Answer]]) -> None:
    call, answers = call_and_answers
    HTTP.answers = list(answers)
    await STORAGE[call]()


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
        "storage's answers to the state store, the journal and the queue",
        st.sampled_from(list(STORAGE)).flatmap(_storage_answers),
        _storage,
        (GatewayError,),
        share=4,
    ),
)
