"""What the Foundry stand-in can pull and run: what containerd runs on linux/amd64, so that odd good images go live."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.foundry.pull import WRONG_IMAGE, WRONG_INDEX, pull_error
from local.images import OCI, Artifact, push_artifact
from local.registry.repository import digest_of
from local.registry.server import Registry

AMD64, ARM64 = ({"os": "linux", "architecture": name} for name in ("amd64", "arm64"))
INDEX = f"{OCI}.index.v1+json"


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    server = Registry()
    await server.start()
    yield server
    await server.stop()


def image(config: bytes) -> Artifact:
    descriptor = {"mediaType": f"{OCI}.config.v1+json", "digest": digest_of(config), "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": descriptor, "layers": []}
    return Artifact(f"{OCI}.manifest.v1+json", json.dumps(manifest).encode(), [config])


def built_for(**platform: object) -> Artifact:
    return image(json.dumps(platform).encode())


def index(*children: Artifact, platform: object = None) -> Artifact:
    entries: list[dict[str, Any]] = [child.descriptor for child in children]
    named = [entry if platform is None else entry | {"platform": platform} for entry in entries]
    body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": named}
    return Artifact(INDEX, json.dumps(body).encode(), children=list(children))


@pytest.mark.parametrize(
    ("artifact", "problem"),
    [
        (built_for(**AMD64), None),
        (built_for(os="Linux", architecture="X86_64"), None),
        (built_for(os="linux"), None),
        (built_for(**ARM64), WRONG_IMAGE),
        (built_for(), WRONG_IMAGE),
        (image(b""), WRONG_IMAGE),
        (image(b"[]"), WRONG_IMAGE),
        (index(built_for(**AMD64), platform=AMD64), None),
        (index(built_for(**ARM64), built_for(**AMD64)), None),
        (index(built_for(**AMD64), platform=["linux/amd64"]), None),
        (index(built_for(**AMD64), platform={"os": "", "architecture": ""}), None),
        (index(index(index(built_for(**AMD64)))), None),
        (index(index(built_for(**ARM64))), WRONG_INDEX),
        (index(built_for(**ARM64), platform=ARM64), WRONG_INDEX),
        (index(), WRONG_INDEX),
    ],
)
async def test_what_containerd_runs_can_be_pulled(registry: Registry, artifact: Artifact, problem: str | None) -> None:
    digest = await push_artifact(registry.url.removeprefix("http://"), "agents/hello", "v1", artifact)
    assert await pull_error(registry.url, f"demo.azurecr.io/agents/hello@{digest}") == problem


@pytest.mark.parametrize("config", [b"hello", "{}".encode("utf-16")])
async def test_an_image_that_cannot_be_read_fails_and_the_stand_in_answers(registry: Registry, config: bytes) -> None:
    digest = await push_artifact(registry.url.removeprefix("http://"), "agents/hello", "v1", image(config))
    problem = await pull_error(registry.url, f"demo.azurecr.io/agents/hello@{digest}")
    assert problem is not None
    assert problem.startswith("the image cannot be read: ")
