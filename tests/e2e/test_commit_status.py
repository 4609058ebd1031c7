"""From a push of a labelled image to the deployment of its commit on GitHub, through the real triggers and queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local.stack_client import StackClient, eventually, stack

pytestmark = pytest.mark.timeout(300)

REPOSITORY = "agents/hello"
AGENTS = """
github: {app_id: 123456, private_key: github-app-key, repositories: [contoso/hello]}
agents:
  hello-agent: {repository: agents/hello}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("stack")
    agents = folder / "agents.yaml"
    agents.write_text(AGENTS)
    with stack(folder, "--agents", str(agents)) as client:
        client.put("foundry", "/_local/provisioning", {"seconds": 0.5})
        yield client


def labels(letter: str, repository: str = "contoso/hello") -> dict[str, str]:
    return {
        "org.opencontainers.image.source": f"https://github.com/{repository}",
        "org.opencontainers.image.revision": letter * 40,
    }


def deployments(running: StackClient) -> list[Any]:
    found: list[Any] = running.get("github", "/_local/deployments").get("contoso/hello", [])
    return found


def states(deployment: Any) -> list[str]:
    return [status["state"] for status in deployment["statuses"]]


def test_a_release_is_shown_on_its_commit(running: StackClient) -> None:
    running.push(REPOSITORY, "v1", "one", labels=labels("a"))
    wanted = ["queued", "in_progress", "success"]
    eventually(lambda: any(states(item) == wanted for item in deployments(running)), "the commit has its statuses")
    (deployment,) = deployments(running)
    assert (deployment["sha"], deployment["environment"]) == ("a" * 40, "hello-agent")
    assert deployment["statuses"][-1]["description"].startswith("LIVE: ")


def test_github_that_is_down_delays_no_release_and_is_caught_up(running: StackClient) -> None:
    running.put("github", "/_local/faults", [{"path": "/deployments", "status": 503, "times": 1}])
    running.push(REPOSITORY, "v2", "two", labels=labels("b"))
    eventually(lambda: len(running.journal("LIVE")) == 2, "the release is live")
    eventually(lambda: running.journal("COMMIT_STATUS_WAITING"), "the fault is recorded")
    wanted = ["queued", "in_progress", "success"]
    eventually(lambda: [states(item) for item in deployments(running)][1:] == [wanted], "it is caught up", 120)
    assert states(deployments(running)[0]) == [*wanted, "inactive"]


def test_the_commit_of_an_index_is_found(running: StackClient) -> None:
    running.push(REPOSITORY, "v3", "three", "index", labels=labels("c"))
    eventually(
        lambda: any(item["sha"] == "c" * 40 and states(item)[-1:] == ["success"] for item in deployments(running)),
        "the commit of the linux/amd64 image has its statuses",
    )


def test_a_repository_that_is_not_listed_is_ignored_and_recorded(running: StackClient) -> None:
    running.push(REPOSITORY, "v4", "four", labels=labels("d", "contoso/other"))
    eventually(lambda: running.journal("REPOSITORY_NOT_ALLOWED"), "it is recorded")
    assert list(running.get("github", "/_local/deployments")) == ["contoso/hello"]
