"""What people really push: the registry is asked before a release starts, on the running stack."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from local.credentials import LocalCredential
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
    with running.foundry() as project:
        return len(list(project.agents.list_versions("moving-agent")))


def deliver(running: StackClient, tag: str, digest: str, at: datetime) -> None:
    """An event that was late, or of a replica."""
    data = push_data(repository=REPOSITORY, tag=tag, digest=digest)
    event = push_event(id=f"late {digest[:19]} {at}", eventTime=at.isoformat(), data=data)
    event["topic"] = event["topic"].rpartition("/")[0] + "/demo"
    options: dict[str, Any] = {"credential": LocalCredential(), "connection_verify": running.endpoints["ca"]}
    with QueueClient(running.endpoints["env"]["AzureWebJobsStorage__queueServiceUri"], "events", **options) as queue:
        queue.send_message(base64.b64encode(json.dumps(event).encode()).decode())


def test_a_chart_two_seconds_after_an_image_displaces_nothing(running: StackClient) -> None:
    digest = running.push(REPOSITORY, "v5", "five")
    time.sleep(2)
    running.push(REPOSITORY, "chart", kind="chart")
    eventually(lambda: running.journal("NOT_AN_IMAGE"), "the chart is rejected")
    eventually(lambda: running.journal("LIVE"), "the image goes live")
    assert running.journal("SUPERSEDED") == []
    assert (live_digest(running), versions(running)) == (digest, 1)


def test_late_events_bring_no_older_build_back(running: StackClient) -> None:
    before = datetime.now(UTC)
    older = running.push(REPOSITORY, "latest", "a")
    eventually(lambda: len(running.journal("LIVE")) == 2, "the first build goes live")
    newer = running.push(REPOSITORY, "latest", "b")
    eventually(lambda: len(running.journal("LIVE")) == 3, "the second build goes live")
    deliver(running, "latest", older, before)
    deliver(running, "latest", older, datetime.now(UTC))
    eventually(lambda: running.journal("TAG_MOVED"), "the registry names the second build")
    time.sleep(3)
    assert (live_digest(running), versions(running)) == (newer, 3)
