"""The registry stand-in: real clients push to it, and each push is told as Azure Container Registry tells it."""

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
class Told:
    registry: Registry
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.registry.url.removeprefix("http://")


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    events: list[dict[str, Any]] = []

    async def keep(event: dict[str, Any]) -> None:
        events.append(event)

    registry = Registry("demo", on_event=keep)
    await registry.start()
    yield Told(registry, events)
    await registry.stop()


async def skopeo(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec("skopeo", *arguments, stderr=subprocess.PIPE)
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()


async def test_a_push_is_an_event_that_the_product_reads(told: Told) -> None:
    digest = await push(told.address, "agents/hello", "v1")
    (parsed,) = parse_events(json.dumps(told.events), "demo", datetime.now(UTC))
    assert isinstance(parsed, ImagePushed)
    assert (parsed.push.repository, parsed.push.tag, parsed.push.digest) == ("agents/hello", "v1", digest)


async def test_an_index_is_told_with_its_children_first_and_they_have_no_tag(told: Told) -> None:
    await push(told.address, "agents/hello", "v1", kind="index")
    assert [event["data"]["target"].get("tag") for event in told.events] == [None, None, "v1"]
    assert [event["subject"] for event in told.events] == ["agents/hello", "agents/hello", "agents/hello:v1"]


async def test_a_manifest_whose_parts_are_missing_is_refused(told: Told) -> None:
    url = f"{told.registry.url}/v2/agents/hello/manifests/v1"
    async with ClientSession() as session:
        for body in (build("image", "x").manifest, b"{half", b"[]"):
            async with session.put(url, data=body) as answer:
                assert answer.status == 400
    assert told.events == []


async def test_content_that_is_not_its_digest_is_refused(told: Told) -> None:
    url = f"{told.registry.url}/v2/agents/hello/blobs/uploads/"
    async with ClientSession() as session:
        async with session.post(url, params={"digest": digest_of(b"other")}, data=b"this") as answer:
            assert answer.status == 400
        async with session.post(url, params={"digest": digest_of(b"this")}, data=b"this") as answer:
            assert answer.status == 201


async def test_a_delete_is_told_and_takes_the_tags_along(told: Told) -> None:
    digest = await push(told.address, "agents/hello", "v1")
    async with ClientSession() as session:
        async with session.delete(f"{told.registry.url}/v2/agents/hello/manifests/{digest}") as answer:
            assert answer.status == 202
        async with session.get(f"{told.registry.url}/v2/agents/hello/manifests/v1") as answer:
            assert answer.status == 404
    assert told.events[-1]["eventType"].endswith("ImageDeleted")


@needs_skopeo
async def test_skopeo_pushes_retags_inspects_and_pulls(told: Told, tmp_path: Path) -> None:
    digest = await push(told.address, "agents/hello", "v1")
    reference = f"docker://{told.address}/agents"
    insecure = ["--insecure-policy"]
    copy = [*insecure, "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]
    await skopeo(*copy, f"{reference}/hello:v1", f"oci:{tmp_path}/layout:v1")
    await skopeo(*insecure, "copy", "--dest-tls-verify=false", f"oci:{tmp_path}/layout:v1", f"{reference}/other:v2")
    await skopeo(*copy, f"{reference}/other:v2", f"{reference}/other:stable")
    await skopeo("inspect", "--tls-verify=false", f"{reference}/other:stable")
    targets = [event["data"]["target"] for event in told.events]
    assert [(one["repository"], one["tag"], one["digest"]) for one in targets] == [
        ("agents/hello", "v1", digest),
        ("agents/other", "v2", digest),
        ("agents/other", "stable", digest),
    ]
