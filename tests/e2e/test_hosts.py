"""Deliveries, timers, a stop and a kill behind the local host, and behind Azure's own dispatchers where they are."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy

from local.endpoints import ROOT
from local.stack_client import Host, StackClient, eventually, host, stack

pytestmark = pytest.mark.timeout(300)
BESIDE = ROOT.parent / "shared" / "tools" / "azure-dispatch" / "azure-dispatch"
PROGRAM = Path(os.environ.get("LOCAL_DISPATCHER") or BESIDE)
AGENT, REPOSITORY = "hello-agent", "agents/hello"
HIDDEN_SECONDS = 601
"""After which the message of a killed host is visible again, and its lease is over."""


@dataclass
class Hosts:
    """A stack without a host, and the settings of the hosts that the tests start."""

    client: StackClient
    settings: dict[str, str]

    def start(self, *only: str) -> Any:
        return host(self.client, only=only, settings=self.settings)

    def live(self) -> str:
        """The version with the traffic; empty before the first."""
        with self.client.foundry() as project:
            try:
                agent: Any = project.agents.get(AGENT)
            except ResourceNotFoundError:
                return ""
        (rule,) = agent.agent_endpoint["version_selector"]["version_selection_rules"]
        return "" if rule["agent_version"] == "@latest" else str(rule["agent_version"])

    def created(self, count: int) -> bool:
        """Whether the agent has so many versions."""
        try:
            return len(self.client.versions(AGENT)) == count
        except ResourceNotFoundError:
            return False


@pytest.fixture(scope="module", params=["local host", "dispatchers"])
def hosts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    program = str(PROGRAM.resolve()) if request.param == "dispatchers" else ""
    if program and not PROGRAM.exists():
        pytest.skip("no program with Azure's dispatchers: LOCAL_DISPATCHER names it")
    with stack(tmp_path_factory.mktemp("stack"), "--no-functions") as client:
        client.put("foundry", "/_local/provisioning", {"seconds": 2})
        settings = {"LOCAL_DISPATCHER": program, "LOCAL_STOP_SECONDS": "40", "RESUME_SCHEDULE": "*/2 * * * * *"}
        yield Hosts(client, settings)


def test_a_push_goes_live_and_timers_run(hosts: Hosts) -> None:
    with hosts.start() as running:
        hosts.client.push(REPOSITORY, "v1", "one")
        eventually(lambda: hosts.live() == "1", "version 1 is live")
        eventually(lambda: len(ended(running, "resume_releases")) >= 2, "the timer ran twice")
        assert len(ended(running, "event_queued")) == 1


def test_odd_messages_run_once_and_what_is_not_base64_is_poisoned(hosts: Hosts) -> None:
    with hosts.start() as running, hosts.client.queues() as queues:
        encoded = queues.get_queue_client("events", message_encode_policy=TextBase64EncodePolicy())
        for text in ("[]", "{not json", '{"eventType": 5}'):
            encoded.send_message(text)
        queues.get_queue_client("events").send_message("not base64 !!")
        poison = queues.get_queue_client("events-poison")
        eventually(lambda: length(poison) == 1, "what cannot be decoded is in the poison queue")
        eventually(lambda: length(queues.get_queue_client("events")) == 0, "the others are done")
        assert len(ended(running, "event_queued")) == 3
        poison.clear_messages()


def test_event_grid_gets_the_answers_of_the_host(hosts: Hosts) -> None:
    with hosts.start("image_pushed") as running:
        # 503 while the host starts, which Event Grid sends again
        eventually(lambda: deliver(running, "image_pushed", b'[{"id": "1"}]') == 202, "it answers")
        before = len(ended(running, "image_pushed"))
        assert deliver(running, "image_pushed", b'[{"id": "2"}, {"id": "3"}]') == 202
        assert deliver(running, "image_pushed", b"not json") == 500
        assert deliver(running, "nobody", b"[]") == 404
        assert len(ended(running, "image_pushed")) - before == 2


def test_a_stop_finishes_the_release_that_runs(hosts: Hosts) -> None:
    with hosts.start("event_queued", "release_agent"):  # no timer that sends one more message
        hosts.client.push(REPOSITORY, "v2", "two")
        eventually(lambda: hosts.created(2), "version 2 is created")
    assert hosts.live() == "2"
    with hosts.client.queues() as queues:
        assert length(queues.get_queue_client("releases")) == 0


def test_a_release_of_a_killed_host_is_finished_by_the_next(hosts: Hosts) -> None:
    with hosts.start() as killed:
        hosts.client.push(REPOSITORY, "v3", "three")
        eventually(lambda: hosts.created(3), "version 3 is created")
        os.kill(killed.pid, signal.SIGKILL)
    hosts.client.put("blob", "/_local/clock", {"advance_s": HIDDEN_SECONDS})
    with hosts.start():
        eventually(lambda: hosts.live() == "3", "the next host moves the traffic")
    assert hosts.created(3), "no second version"


def ended(running: Host, function: str) -> list[dict[str, Any]]:
    return [run for run in running.invocations(function) if run["ended"]]


def length(queue: Any) -> int:
    return int(queue.get_queue_properties().approximate_message_count)


def deliver(running: Host, function: str, body: bytes) -> int:
    """Deliver as Event Grid does; return the status."""
    url = f"{running.url}/runtime/webhooks/EventGrid?functionName={function}"
    request = urllib.request.Request(url, body, {"aeg-event-type": "Notification"})
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
