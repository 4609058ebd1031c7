"""Images that say little of themselves, what a purge must keep of them, and a message that no function takes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from local.endpoints import ROOT
from local.images import Artifact, build, push_artifact
from local.registry.repository import digest_of
from local.stack_client import StackClient, eventually, stack

pytestmark = pytest.mark.timeout(180)

AGENT, REPOSITORY = "billing-agent", "agents/billing"
INDEX = "application/vnd.oci.image.index.v1+json"
AGENTS_FILE = """
agents:
  billing-agent:
    repository: agents/billing
    image: amd64
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(AGENTS_FILE)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        yield up


def index_of(*children: Artifact) -> Artifact:
    """An index that says of no child what it runs on."""
    manifest = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child.descriptor for child in children]}
    return Artifact(INDEX, json.dumps(manifest).encode(), children=list(children))


def test_an_image_in_nested_indexes_goes_live_and_a_purge_keeps_all_of_them(running: StackClient) -> None:
    image, other = build("image", "one"), build("arm64", "one")
    inner = index_of(image)
    outer = index_of(other, inner)
    asyncio.run(push_artifact(running.endpoints["registry"], REPOSITORY, "v1", outer))
    eventually(lambda: running.journal("LIVE"), "the image is live")
    (version,) = running.versions(AGENT)
    assert version.definition["container_configuration"]["image"].endswith(digest_of(image.manifest))
    done = subprocess.run(
        [sys.executable, "-m", "cli", "digests", "--json"],
        cwd=ROOT,
        env={**running.endpoints["env"], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    listed = {name.partition("@")[2] for name in json.loads(done.stdout)}
    assert listed == {digest_of(part.manifest) for part in (image, other, inner, outer)}


def test_a_build_cache_is_named(running: StackClient) -> None:
    running.push(REPOSITORY, "cache", kind="cache")
    (line, *_) = eventually(lambda: running.journal("NOT_AN_IMAGE"), "the cache is rejected")
    assert "a build cache of BuildKit" in line["slipway.detail"]
    assert len(running.versions(AGENT)) == 1


def test_a_message_that_no_function_takes_is_reported_by_the_second_run(running: StackClient) -> None:
    with running.queues() as queues:
        queues.get_queue_client("events").send_message("not base64 !!")
        poison = queues.get_queue_client("events-poison")
        eventually(lambda: poison.get_queue_properties().approximate_message_count == 1, "the host gives it up")
    for _ in range(3):
        running.run_timer("resume_releases")
    (line,) = eventually(lambda: running.journal("POISON_QUEUE_STUCK"), "the message is reported")
    assert (line["slipway.queue"], str(line["slipway.messages"])) == ("events-poison", "1")
