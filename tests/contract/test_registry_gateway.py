"""The registry gateway: the real client against images that were really pushed, and against faults."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.containerregistry.aio import ContainerRegistryClient

from core.image_manifest import ImageFacts, RegistryTag
from core.model import UNKNOWN_TIME
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.interfaces import Registry as RegistryGateway
from handlers.gateways.registry import AzureRegistry
from local.images import Artifact, Kind, build, push, push_artifact
from local.registry.repository import digest_of
from local.registry.server import Registry
from local.tls import Authority
from tests.support.local_clients import AsyncLocalCredential, client_options, plan_faults

REPOSITORY = "agents/hello"
INDEX = "application/vnd.oci.image.index.v1+json"
OTHER_DIGEST = f"sha256:{'0' * 64}"


class LocalRegistry(AzureRegistry):
    """The gateway with a client for the stand-in."""

    def __init__(self, endpoint: str, ca: Path) -> None:
        super().__init__(endpoint, AsyncLocalCredential())
        self._client.instance = ContainerRegistryClient(endpoint, AsyncLocalCredential(), **client_options(ca))


@dataclass
class Served:
    gateway: RegistryGateway
    registry: Registry
    url: str

    async def push(self, tag: str | None, kind: Kind = "image", salt: str = "") -> str:
        return await push(self.registry.url.removeprefix("http://"), REPOSITORY, tag, salt=salt, kind=kind)

    async def push_artifact(self, artifact: Artifact) -> str:
        return await push_artifact(self.registry.url.removeprefix("http://"), REPOSITORY, "v1", artifact)

    @property
    def reads(self) -> list[str]:
        """The manifests and blobs that were read with a token."""
        requests = [request for request in self.registry.requests if request["method"] == "GET"]
        return [request["path"] for request in requests if request["status"] < 400]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    authority, registry = Authority(tmp_path), Registry("demo")
    await registry.start()
    url = await registry.start(tls=authority.server())
    gateway = LocalRegistry(url, authority.ca)
    yield Served(gateway, registry, url)
    await gateway.close()
    await registry.stop()


KINDS: list[Any] = [
    pytest.param("image", "", id="an image"),
    pytest.param("index", "", id="an index"),
    pytest.param("arm64", "WRONG_PLATFORM", id="an image for arm64"),
    pytest.param("chart", "NOT_AN_IMAGE", id="a Helm chart"),
    pytest.param("signature", "NOT_AN_IMAGE", id="a signature"),
    pytest.param("cache", "NOT_AN_IMAGE", id="a build cache"),
]


@pytest.mark.parametrize(("kind", "reason"), KINDS)
async def test_the_kind_of_an_artifact_is_recognized(served: Served, kind: Kind, reason: str) -> None:
    digest = await served.push("v1", kind)
    facts = await served.gateway.inspect(REPOSITORY, digest)
    assert facts is not None
    assert facts.reason == reason
    if kind == "image":
        assert facts.amd64 == digest
    if kind == "index":
        child = await served.gateway.inspect(REPOSITORY, facts.amd64)
        assert child == ImageFacts(amd64=facts.amd64)


def index_of(*children: Artifact, **fields: Any) -> Artifact:
    entries = [child.descriptor | fields for child in children]
    manifest = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return Artifact(INDEX, json.dumps(manifest).encode(), children=list(children))


def image_with(config: dict[str, Any], salt: str = "", **fields: Any) -> Artifact:
    image = build("image", salt)
    return image_of(json.dumps({**json.loads(image.blobs[0]), **config}).encode(), salt, **fields)


def image_of(config_blob: bytes, salt: str = "", **fields: Any) -> Artifact:
    image = build("image", salt)
    manifest = json.loads(image.manifest) | fields
    manifest["config"] |= {"digest": digest_of(config_blob), "size": len(config_blob)}
    return Artifact(image.media_type, json.dumps(manifest).encode(), [config_blob, image.blobs[1]])


IMAGE, ARM64, CHART = build("image", ""), build("arm64", ""), build("chart", "")
V3 = image_with({"variant": "v3"}, "v3")
AMD64_DIGEST = digest_of(IMAGE.manifest)
INDEXES: list[Any] = [
    pytest.param(index_of(ARM64, IMAGE), id="children without a platform"),
    pytest.param(index_of(ARM64, IMAGE, platform={"os": "linux", "architecture": ""}), id="an empty architecture"),
    pytest.param(index_of(index_of(ARM64), index_of(index_of(IMAGE))), id="nested indexes"),
    pytest.param(index_of(V3, IMAGE), id="a variant first"),
    pytest.param(index_of(CHART, IMAGE), id="a chart beside it"),
    pytest.param(index_of(index_of(IMAGE), index_of(IMAGE, ARM64)), id="named twice"),
]


@pytest.mark.parametrize("index", INDEXES)
async def test_the_children_of_an_index_are_judged_by_their_configuration(served: Served, index: Artifact) -> None:
    digest = await served.push_artifact(index)
    facts = await served.gateway.inspect(REPOSITORY, digest)
    assert facts == ImageFacts(amd64=AMD64_DIGEST)
    assert len(served.reads) == len(set(served.reads)), "something is read twice"


ODD: list[Any] = [
    pytest.param(image_with({"architecture": "x86_64"}), "", "", id="x86_64"),
    pytest.param(image_with({"os": "Linux", "architecture": "AMD64"}), "", "", id="capitals"),
    pytest.param(image_with({"architecture": ""}), "", "", id="an empty architecture"),
    pytest.param(image_with({}, artifactType="application/x-agent"), "", "", id="an image with an artifactType"),
    pytest.param(image_of(b"hello"), "WRONG_PLATFORM", "unknown", id="a configuration that is not JSON"),
    pytest.param(image_of(b"[" * 9_000), "WRONG_PLATFORM", "unknown", id="a configuration that is too deep"),
    pytest.param(index_of(ARM64), "WRONG_PLATFORM", "linux/arm64", id="an index of arm64"),
    pytest.param(index_of(CHART), "NOT_AN_IMAGE", "a Helm chart", id="an index of a chart"),
    pytest.param(index_of(build("cache", "")), "NOT_AN_IMAGE", "a build cache", id="an index of a cache"),
    pytest.param(
        index_of(IMAGE, annotations={"vnd.docker.reference.type": "attestation-manifest"}),
        "NOT_AN_IMAGE",
        "an index without an image",
        id="an attestation alone",
    ),
    pytest.param(
        index_of(index_of(index_of(index_of(IMAGE)))), "WRONG_PLATFORM", "more than 4 levels", id="too many levels"
    ),
    pytest.param(
        index_of(*(build("arm64", str(number)) for number in range(40)), IMAGE),
        "WRONG_PLATFORM",
        "more than 24 manifests",
        id="too many children",
    ),
]


@pytest.mark.parametrize(("artifact", "reason", "detail"), ODD)
async def test_odd_artifacts_are_judged(served: Served, artifact: Artifact, reason: str, detail: str) -> None:
    digest = await served.push_artifact(artifact)
    facts = await served.gateway.inspect(REPOSITORY, digest)
    assert facts is not None
    assert facts.reason == reason
    assert detail in facts.detail
    assert bool(facts.amd64) == (not reason)
    assert len(served.reads) <= 2 * 24


async def test_docker_images_of_schema_1_are_named_whatever_their_digest(served: Served) -> None:
    media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    body = json.dumps({"schemaVersion": 1, "fsLayers": [], "signatures": [{}]}).encode()
    digest = await served.push_artifact(Artifact(media_type, body))
    served.registry.repositories[REPOSITORY].manifests[OTHER_DIGEST] = (media_type, body)
    for name in (digest, OTHER_DIGEST):
        facts = await served.gateway.inspect(REPOSITORY, name)
        assert facts is not None
        assert facts.reason == "NOT_AN_IMAGE"
        assert "schema 1" in facts.detail


async def test_an_index_whose_image_is_missing_is_not_there_yet(served: Served) -> None:
    digest = await served.push_artifact(index_of(ARM64, IMAGE))
    manifests = served.registry.repositories[REPOSITORY].manifests
    image = manifests.pop(AMD64_DIGEST)
    assert await served.gateway.inspect(REPOSITORY, digest) is None
    manifests[AMD64_DIGEST] = image
    del manifests[digest_of(ARM64.manifest)]
    assert await served.gateway.inspect(REPOSITORY, digest) == ImageFacts(amd64=AMD64_DIGEST)


async def test_a_child_that_may_not_be_read_is_an_error(served: Served) -> None:
    digest = await served.push_artifact(index_of(ARM64, IMAGE))
    await plan_faults(served.registry.url, {"path": f"/manifests/{AMD64_DIGEST}", "status": 403})
    with pytest.raises(PermanentError):
        await served.gateway.inspect(REPOSITORY, digest)


async def test_the_children_of_an_index_are_listed_at_every_level(served: Served) -> None:
    inner = index_of(ARM64, build("arm64", "x"))
    digest = await served.push_artifact(index_of(IMAGE, inner))
    expected = sorted(digest_of(child.manifest) for child in (IMAGE, inner, *inner.children))
    assert await served.gateway.list_children(REPOSITORY, digest) == expected
    assert await served.gateway.list_children(REPOSITORY, AMD64_DIGEST) == []
    assert await served.gateway.list_children(REPOSITORY, await served.push("cache", "cache")) == []
    assert await served.gateway.list_children(REPOSITORY, OTHER_DIGEST) == []
    deep = await served.push_artifact(index_of(index_of(index_of(index_of(index_of(IMAGE))))))
    with pytest.raises(PermanentError):
        await served.gateway.list_children(REPOSITORY, deep)
    wide = await served.push_artifact(index_of(*(index_of(build("arm64", str(number))) for number in range(25))))
    with pytest.raises(PermanentError):
        await served.gateway.list_children(REPOSITORY, wide)
    await plan_faults(served.registry.url, {"path": "/manifests/", "status": 403})
    with pytest.raises(PermanentError):
        await served.gateway.list_children(REPOSITORY, digest)


async def test_an_inspection_takes_five_round_trips_and_the_next_one_two(served: Served) -> None:
    """Challenge, exchange, token, manifest, configuration; the token is used again for the next image."""
    for count in (5, 2):
        digest = await served.push("v1", salt=str(count))
        served.registry.requests.clear()
        assert await served.gateway.inspect(REPOSITORY, digest)
        assert len(served.registry.requests) == count


async def test_a_token_that_the_registry_no_longer_accepts_is_replaced(served: Served) -> None:
    digest = await served.push("v1")
    await served.gateway.inspect(REPOSITORY, digest)
    challenge = f'Bearer realm="{served.url}/oauth2/token",service="demo",scope="repository:{REPOSITORY}:pull"'
    refused = {"path": "/manifests/", "status": 401, "times": 1, "headers": {"WWW-Authenticate": challenge}}
    await plan_faults(served.registry.url, refused)
    served.registry.requests.clear()
    assert await served.gateway.inspect(REPOSITORY, digest)
    assert len(served.registry.requests) == 5


async def test_a_missing_image_is_none_and_a_missing_repository_has_no_tags(served: Served) -> None:
    assert await served.gateway.inspect(REPOSITORY, f"sha256:{'0' * 64}") is None
    assert list(await served.gateway.list_tags("agents/nobody")) == []


async def test_tags_are_read_from_all_pages_newest_first(served: Served) -> None:
    pushed = [(f"v{number}", await served.push(f"v{number}", salt=str(number))) for number in range(105)]
    tags = await served.gateway.list_tags(REPOSITORY)
    assert [(tag.tag, tag.digest) for tag in tags] == pushed[::-1]
    assert all(tag.pushed_at.tzinfo is not None for tag in tags)


async def test_recent_tags_are_one_request_beside_the_inspection_and_name_an_older_tag_too(served: Served) -> None:
    """Challenge, exchange, token, list: no more round trips than the inspection beside it; the token is used again."""
    pushed = [(f"v{number}", await served.push(f"v{number}", salt=str(number))) for number in range(60)]
    for count in (4, 1):
        served.registry.requests.clear()
        tags = await served.gateway.recent_tags(REPOSITORY, "v59")
        assert len(served.registry.requests) == count
    assert [(tag.tag, tag.digest) for tag in tags] == pushed[::-1][:50]
    older = await served.gateway.recent_tags(REPOSITORY, "v3")
    assert [(tag.tag, tag.digest) for tag in older] == [*pushed[::-1][:50], pushed[3]]
    assert len(await served.gateway.recent_tags(REPOSITORY, "no-such-tag")) == 50
    assert list(await served.gateway.recent_tags("agents/nobody", "v1")) == []


async def test_a_tag_without_a_time_or_a_readable_digest_affects_no_other(served: Served) -> None:
    digest = await served.push("v1")
    odd = {"name": "odd", "digest": digest, "changeableAttributes": None}
    tags = [
        odd,
        {"name": "broken", "digest": "?"},
        {"name": "red\x1b[31m", "digest": digest},
        {"name": "without-zone", "digest": digest, "lastUpdateTime": "2026-01-01T00:00:00"},
        {"name": "v1", "digest": digest, "createdTime": "2026-01-01T00:00:00Z"},
    ]
    body = json.dumps({"registry": "demo", "imageName": REPOSITORY, "tags": tags})
    answer = {"path": "/_tags", "status": 200, "body": body}
    await plan_faults(served.registry.url, {**answer, "method": "GET"})
    found = await served.gateway.list_tags(REPOSITORY)
    first_of_2026 = datetime(2026, 1, 1, tzinfo=UTC)
    expected = [("odd", UNKNOWN_TIME), ("without-zone", first_of_2026), ("v1", first_of_2026)]
    assert [(tag.tag, tag.pushed_at) for tag in found] == expected
    assert {tag.digest for tag in found} == {digest}


FAULTS: list[Any] = [
    pytest.param({"status": 401}, PermanentError, id="401 for ever"),
    pytest.param({"status": 403}, PermanentError, id="403"),
    pytest.param({"status": 429}, TransientError, id="429"),
    pytest.param({"status": 500}, TransientError, id="500"),
    pytest.param({"status": 503}, TransientError, id="503"),
    pytest.param({"status": 200, "body": "<html>"}, TransientError, id="HTML"),
    pytest.param({"status": 200, "body": '{"schemaVersi'}, TransientError, id="half an answer"),
    pytest.param({"drop": True}, TransientError, id="a closed connection"),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
async def test_a_fault_of_the_registry_raises_a_gateway_error(
    served: Served, fault: dict[str, Any], expected: type[GatewayError]
) -> None:
    digest = await served.push("v1")
    await plan_faults(served.registry.url, {"path": "/(v2|acr)/", "method": "GET", **fault})
    with pytest.raises(expected):
        await served.gateway.inspect(REPOSITORY, digest)
    with pytest.raises(expected):
        await served.gateway.list_tags(REPOSITORY)
    with pytest.raises(expected):
        await served.gateway.recent_tags(REPOSITORY, "v1")


async def test_a_manifest_that_does_not_match_its_digest_is_rejected(served: Served) -> None:
    digest = await served.push("v1")
    other_digest = await served.push("v2", salt="other")
    manifests = served.registry.repositories[REPOSITORY].manifests
    manifests[digest] = manifests[other_digest]
    with pytest.raises(TransientError):
        await served.gateway.inspect(REPOSITORY, digest)


async def test_a_registry_that_is_down_raises_a_transient_error(served: Served) -> None:
    await served.registry.stop()
    with pytest.raises(TransientError):
        await served.gateway.inspect(REPOSITORY, f"sha256:{'0' * 64}")


async def test_the_registry_in_memory_returns_what_a_test_sets() -> None:
    in_memory = InMemoryRegistry()
    assert await in_memory.inspect(REPOSITORY, "sha256:a") is None
    in_memory.images[REPOSITORY, "sha256:a"] = ImageFacts(amd64="sha256:a")
    assert await in_memory.inspect(REPOSITORY, "sha256:a") == ImageFacts(amd64="sha256:a")
    assert list(await in_memory.list_tags(REPOSITORY)) == []
    assert isinstance(RegistryTag, type)


async def test_a_list_takes_one_request_a_page_and_ends_where_the_caller_has_enough(served: Served) -> None:
    for number in range(205):
        await served.push(f"v{number}", salt=str(number))
    served.registry.requests.clear()
    assert len(await served.gateway.list_tags(REPOSITORY)) == 205
    assert len(served.registry.requests) == 3 + 3, "challenge, exchange and token come once, and then three pages"
    served.registry.requests.clear()
    tags = await served.gateway.list_tags(REPOSITORY, lambda page: any(tag.tag == "v150" for tag in page))
    assert (len(tags), len(served.registry.requests)) == (100, 1)
