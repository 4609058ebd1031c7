"""The registry gateway: the real client against images that were really pushed, and against faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.containerregistry.aio import ContainerRegistryClient

from core.image_manifest import ImageFacts, RegistryTag
from handlers.gateways.errors import GatewayError, PermanentError, TransientError
from handlers.gateways.in_memory.registry import InMemoryRegistry
from handlers.gateways.interfaces import Registry as RegistryGateway
from handlers.gateways.registry import AzureRegistry
from local.images import Kind, push
from local.registry.server import Registry
from local.tls import Authority
from tests.support.local_clients import AsyncLocalCredential, client_options, plan_faults

REPOSITORY = "agents/hello"


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
