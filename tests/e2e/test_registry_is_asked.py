"""What people really push: the registry is asked before a release starts, on the running stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy

from local.stack_client import StackClient, eventually, stack
from tests.support.builders import push_data, push_event

pytestmark = pytest.mark.timeout(300)

REPOSITORY = "agents/moving"
AGENTS = """
agents:
  moving-agent:
    repository: agents/moving
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder: Path = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(AGENTS)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as client:
        client.put("foundry", "/_local/provisioning", {"seconds": 5})
        yield client


def live_digest(running: StackClient) -> str:
    with running.foundry() as project:
        agent: Any = project.agents.get("moving-agent")
        (rule,) = agent.agent_endpoint["version_selector"]["version_selection_rules"]
        version: Any = project.agents.get_version("moving-agent", rule["agent_version"])
        return str(version.definition["container_configuration"]["image"]).rpartition("@")[2]


def versions(running: StackClient) -> int:
    try:
        return len(running.versions("moving-agent"))
    except ResourceNotFoundError:
        return 0


def deliver(running: StackClient, tag: str, digest: str, at: datetime) -> None:
    """An event that was late, or of a replica."""
    data = push_data(repository=REPOSITORY, tag=tag, digest=digest)
    event = push_event(id=f"late {digest[:19]} {at}", eventTime=at.isoformat(), data=data)
    event["topic"] = event["topic"].rpartition("/")[0] + "/demo"
    with running.queues() as queues:
        queue = queues.get_queue_client("events", message_encode_policy=TextBase64EncodePolicy())
        queue.send_message(json.dumps(event))


def test_a_chart_pushed_while_an_image_is_released_displaces_nothing(running: StackClient) -> None:
    digest = running.push(REPOSITORY, "v5", "five")
    eventually(lambda: versions(running) == 1, "its version is created")
    running.push(REPOSITORY, "chart", kind="chart")
    eventually(lambda: running.journal("NOT_AN_IMAGE"), "the chart is rejected")
    eventually(lambda: went_live(running, digest), "the image goes live")
    assert running.journal("SUPERSEDED") == []
    assert (live_digest(running), versions(running)) == (digest, 1)


def test_late_events_bring_no_older_build_back(running: StackClient) -> None:
    before, made = datetime.now(UTC), versions(running)
    older = running.push(REPOSITORY, "latest", "a")
    eventually(lambda: went_live(running, older), "the first build goes live")
    newer = running.push(REPOSITORY, "latest", "b")
    eventually(lambda: went_live(running, newer), "the second build goes live")
    deliver(running, "latest", older, before)
    deliver(running, "latest", older, datetime.now(UTC))
    eventually(lambda: running.journal("NOT_NEWER"), "the event of the first push is late")
    eventually(lambda: running.journal("TAG_MOVED"), "the registry names the second build")
    eventually(lambda: running.journal("IMAGE_LAGS"), "the registry is asked again later: it may lag behind the event")
    assert (live_digest(running), versions(running)) == (newer, made + 2)


def went_live(running: StackClient, digest: str) -> bool:
    return any(line["slipway.digest"] == digest for line in running.journal("LIVE"))
