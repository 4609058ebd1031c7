"""The registry stand-in: real clients push to it, and each push is reported as Azure Container Registry reports it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from core.events import ImagePushed, parse_events
from local.images import build, push
from local.registry.repository import digest_of
from local.registry.server import Registry

needs_skopeo = pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is a Debian package that is not installed")


@dataclass
class RecordingRegistry:
    server: Registry
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.server.url.removeprefix("http://")


@pytest.fixture
async def registry() -> AsyncIterator[RecordingRegistry]:
    events: list[dict[str, Any]] = []

    async def record(event: dict[str, Any]) -> None:
        events.append(event)

    server = Registry("demo", on_event=record)
    await server.start()
    yield RecordingRegistry(server, events)
    await server.stop()


async def skopeo(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec("skopeo", *arguments, stderr=subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def test_a_push_sends_an_event_that_the_product_can_read(registry: RecordingRegistry) -> None:
    digest = await push(registry.address, "agents/hello", "v1")
    (parsed,) = parse_events(json.dumps(registry.events), "demo", datetime.now(UTC))
    assert isinstance(parsed, ImagePushed)
    assert (parsed.push.repository, parsed.push.tag, parsed.push.digest) == ("agents/hello", "v1", digest)


async def test_an_index_sends_events_for_its_untagged_children_first(registry: RecordingRegistry) -> None:
    await push(registry.address, "agents/hello", "v1", kind="index")
    assert [event["data"]["target"].get("tag") for event in registry.events] == [None, None, "v1"]
    assert [event["subject"] for event in registry.events] == ["agents/hello", "agents/hello", "agents/hello:v1"]


async def test_a_manifest_with_missing_blobs_is_rejected(registry: RecordingRegistry) -> None:
    url = f"{registry.server.url}/v2/agents/hello/manifests/v1"
    async with ClientSession() as session:
        for body in (build("image", "x").manifest, b"{half", b"[]"):
            async with session.put(url, data=body) as answer:
                assert answer.status == 400
    assert registry.events == []


async def test_content_that_does_not_match_its_digest_is_rejected(registry: RecordingRegistry) -> None:
    url = f"{registry.server.url}/v2/agents/hello/blobs/uploads/"
    async with ClientSession() as session:
        async with session.post(url, params={"digest": digest_of(b"other")}, data=b"this") as answer:
            assert answer.status == 400
        async with session.post(url, params={"digest": digest_of(b"this")}, data=b"this") as answer:
            assert answer.status == 201


async def test_a_delete_sends_an_event_and_removes_the_tags(registry: RecordingRegistry) -> None:
    digest = await push(registry.address, "agents/hello", "v1")
    async with ClientSession() as session:
        async with session.delete(f"{registry.server.url}/v2/agents/hello/manifests/{digest}") as answer:
            assert answer.status == 202
        async with session.get(f"{registry.server.url}/v2/agents/hello/manifests/v1") as answer:
            assert answer.status == 404
    assert registry.events[-1]["eventType"].endswith("ImageDeleted")


@needs_skopeo
async def test_skopeo_pushes_retags_inspects_and_pulls(registry: RecordingRegistry, tmp_path: Path) -> None:
    digest = await push(registry.address, "agents/hello", "v1")
    reference = f"docker://{registry.address}/agents"
    insecure = ["--insecure-policy"]
    copy = [*insecure, "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]
    await skopeo(*copy, f"{reference}/hello:v1", f"oci:{tmp_path}/layout:v1")
    await skopeo(*insecure, "copy", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:v1", f"{reference}/other:v2")
    await skopeo(*copy, f"{reference}/other:v2", f"{reference}/other:stable")
    await skopeo("inspect", "--tls-verify=false", f"{reference}/other:stable")
    targets = [event["data"]["target"] for event in registry.events]
    assert [(target["repository"], target["tag"], target["digest"]) for target in targets] == [
        ("agents/hello", "v1", digest),
        ("agents/other", "v2", digest),
        ("agents/other", "stable", digest),
    ]
