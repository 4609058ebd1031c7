"""The situations of a night on call: two commands name the cause and the line that ends it, and that line ends it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.ai.projects.models import AgentEndpointConfig, FixedRatioVersionSelectionRule, VersionSelector
from azure.keyvault.secrets import SecretClient
from azure.storage.queue import QueueServiceClient, TextBase64EncodePolicy

from core.reasons import Reason
from local.credentials import LocalCredential
from local.endpoints import ROOT
from local.stack_client import StackClient, eventually, stack
from local.storage.account import connection_string
from tests.e2e.remedies import SITUATIONS
from tests.support.builders import push_data, push_event
from tests.support.cli_schemas import validated

pytestmark = pytest.mark.timeout(900)

NAMES = (
    *("exits", "disabled", "missing", "forbidden", "platform", "held", "paused", "moved", "poisoned", "approval"),
    *("waiting", "throttled"),
)
OF_AGENT = {
    "disabled": "env: {KEY: {secret: disabled-key}}",
    "missing": "env: {KEY: {secret: missing-key}}",
    "approval": "release: {mode: manual}",
}
AGENTS = "agents:\n" + "".join(
    f"  {name}-agent: {{repository: night/{name}, {OF_AGENT.get(name, 'cpu: 1, memory: 2Gi')}}}\n" for name in NAMES
)


class Night:
    """A stack, and the commands that a person types."""

    def __init__(self, running: StackClient) -> None:
        self.running = running
        self.agents = running.folder / "agents.yaml"

    def slipway(self, command: str, *codes: int, file: str = "good.yaml") -> str:
        """Run a command line as it is printed; it reads a copy of agents.yaml that nobody broke."""
        program, *arguments = shlex.split(command)
        assert program == "slipway"
        environment = {**self.running.endpoints["env"], "PATH": "/usr/bin:/bin", "USER": "ann"}
        environment["AGENTS_FILE"] = str(self.running.folder / file)
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, *codes), done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, dict[str, Any]]:
        """What ``slipway status`` knows of each agent, by the first word of its name."""
        rows = validated("status", self.slipway("slipway status --json", 3))
        return {row["agent"].removesuffix("-agent"): row for row in rows}

    def problem(self, subject: str) -> dict[str, Any]:
        """The last thing that needs a person, as ``slipway why`` names it."""
        (problem,) = validated("why", self.slipway(f"slipway why {subject} --json"))["problems"]
        return dict(problem)

    def push(self, name: str, tag: str = "v1", **options: Any) -> str:
        return self.running.push(f"night/{name}", tag, f"{name} {tag}", **options)

    def line(self, reason: str, name: str) -> bool:
        """True once the decision about the agent has arrived."""
        return any(line.get("slipway.agent") == f"{name}-agent" for line in self.running.journal(reason))

    def count(self, reason: str, name: str) -> int:
        """How many decisions about the agent with the reason have arrived."""
        return sum(line.get("slipway.agent") == f"{name}-agent" for line in self.running.journal(reason))

    def wait_for_more(self, reason: str, name: str, known: int) -> None:
        eventually(lambda: self.count(reason, name) > known, f"another {reason} of {name}-agent", 120)

    def wait_for(self, reason: str, name: str) -> None:
        eventually(lambda: self.line(reason, name), f"{reason} of {name}-agent", 120)

    def secrets(self) -> SecretClient:
        return SecretClient(
            self.running.endpoints["vault"],
            LocalCredential(),
            connection_verify=self.running.endpoints["ca"],
            verify_challenge_resource=False,
        )

    def move_traffic(self, name: str, version: str) -> None:
        rule = FixedRatioVersionSelectionRule(agent_version=version, traffic_percentage=100)
        endpoint = AgentEndpointConfig(version_selector=VersionSelector(version_selection_rules=[rule]))
        with self.running.foundry() as project:
            project.agents.update_details(f"{name}-agent", agent_endpoint=endpoint)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "good.yaml").write_text(AGENTS)
    # the stack makes every secret that the file names when it starts
    (folder / "agents.yaml").write_text(AGENTS.replace(OF_AGENT["missing"], "cpu: 1, memory: 2Gi"))
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        (folder / "agents.yaml").write_text(AGENTS)
        yield Night(up)


def test_an_event_that_waits_for_agents_yaml_is_found_and_released_by_itself(night: Night) -> None:
    night.agents.write_text(AGENTS + "nonsense: true\n")
    night.push("waiting")
    eventually(lambda: night.running.journal("CONFIG_INVALID"), "the broken file was reported")
    problem = night.problem("v1")
    assert (problem["reason"], "nonsense" in problem["detail"]) == ("CONFIG_INVALID", True)
    night.agents.write_text(AGENTS)
    night.slipway(f"{problem['remedy']} --yes")
    night.wait_for("LIVE", "waiting")


def provoke(night: Night) -> None:
    """Bring every situation about at once; none waits for another."""
    error = {"code": "ImageError", "message": "the container exited with code 1"}
    night.running.put("foundry", "/_local/provisioning", {"seconds": 0.2, "fail": {"exits-v1": error}})
    refusal = {"error": {"code": "Forbidden", "message": "no"}}
    night.running.put(
        "foundry",
        "/_local/faults",
        [{"path": "/agents(/forbidden-agent/versions)?([?]|$)", "method": "POST", "status": 403, "body": refusal}],
    )
    night.push("forbidden")
    night.wait_for("FORBIDDEN", "forbidden")
    night.running.put("foundry", "/_local/faults", [])
    with night.secrets() as vault:
        vault.set_secret("disabled-key", "the value that is disabled", enabled=False)
    held = night.running.push("scratch/held", "v1", "held v1")
    night.slipway(f"slipway hold held-agent --digest {held} --why 'a rumour'")
    night.slipway("slipway pause paused-agent --why lunch")
    night.push("moved")
    for name in ("disabled", "missing", "held", "paused", "approval"):
        night.push(name)
    night.push("exits", "exits-v1")
    night.push("platform", kind="arm64")
    night.wait_for("LIVE", "moved")
    night.push("moved", "v2")
    for reason, name in {
        "IMAGE_ERROR": "exits",
        "SECRET_DISABLED": "disabled",
        "SECRET_MISSING": "missing",
        "WRONG_PLATFORM": "platform",
        "HELD": "held",
        "PAUSED": "paused",
        "APPROVAL_WAITING": "approval",
    }.items():
        night.wait_for(reason, name)
    eventually(lambda: len([line for line in night.running.journal("LIVE") if line["slipway.tag"] == "v2"]), "v2 lives")
    night.move_traffic("moved", "1")


def mend(night: Night) -> None:
    """Remove each cause, as the help says."""
    night.running.put("foundry", "/_local/provisioning", {"seconds": 0.2, "fail": {}})
    with night.secrets() as vault:
        vault.set_secret("disabled-key", "the value that is enabled")
        vault.set_secret("missing-key", "the value that was missing")


def test_the_command_that_status_names_ends_each_situation(night: Night) -> None:
    provoke(night)
    status = night.status()
    expected = {
        "exits": "slipway retry exits-agent",
        "disabled": "slipway retry disabled-agent",
        "missing": "slipway retry missing-agent",
        "forbidden": "slipway retry forbidden-agent",
        "held": "slipway unhold held-agent",
        "paused": "slipway resume paused-agent",
        "moved": "slipway retry moved-agent",
        "approval": "slipway approve approval-agent --version 1",
    }
    assert {name: status[name]["remedy"] for name in expected} == expected
    assert night.problem("platform-agent")["remedy"].startswith("docker buildx build --platform linux/amd64 --push")
    mend(night)
    for command in expected.values():
        night.slipway(command)
    night.push("platform", "v2")
    for name in ("exits", "disabled", "missing", "forbidden", "held", "paused", "approval", "platform"):
        night.wait_for("LIVE", name)
    # for 75 s after its own move Slipway takes another routing for an answer that is late
    eventually(lambda: night.status()["moved"]["live_tag"] == "v2", "the traffic is back", 120)


def test_a_poisoned_event_is_found_and_sent_again(night: Night) -> None:
    digest = night.running.push("scratch/poisoned", "v1", "poisoned v1")
    lost = push_event(id="lost-1", data=push_data(repository="night/poisoned", tag="v1", digest=digest))
    send_to_queue(night.running, "events-poison", json.dumps(lost))
    eventually(lambda: night.running.journal("POISONED"), "the message was recorded")
    problem = night.problem("lost-1")
    assert problem["remedy"] == "slipway replay --poisoned-since 24h"
    assert night.problem("poisoned-agent")["reason"] == "POISONED"
    night.slipway(f"{problem['remedy']} --yes")
    night.wait_for("ACCEPTED", "poisoned")


def send_to_queue(running: StackClient, queue: str, message: str) -> None:
    service = QueueServiceClient.from_connection_string(
        connection_string(running.endpoints), connection_verify=running.endpoints["ca"]
    )
    with service, service.get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy()) as client:
        client.send_message(message)


REASONS = {reason.lower().replace("_", "-"): reason for reason in SITUATIONS}
NAMED = {name: SITUATIONS[reason] for name, reason in REASONS.items()}
LIVE_BEFORE = {name: situation.after for name, situation in NAMED.items() if situation.after}
MORE_AGENTS = "".join(
    f"  {name}-agent: {{repository: night/{name}, {situation.agent}}}\n" for name, situation in NAMED.items()
)


def test_the_remedy_of_each_reason_ends_its_situation(night: Night) -> None:
    for file in ("agents.yaml", "more.yaml"):
        (night.running.folder / file).write_text(AGENTS + MORE_AGENTS)
    for name, tag in LIVE_BEFORE.items():
        night.push(name, tag)
    for name in LIVE_BEFORE:
        night.wait_for("LIVE", name)
    break_everything(night)
    for name, situation in NAMED.items():
        night.push(name, situation.tag)
    for name, reason in REASONS.items():
        night.wait_for(reason, name)
    before = {name: night.count(situation.end, name) for name, situation in NAMED.items()}
    mend_everything(night)
    for name, reason in REASONS.items():
        image = f"night/{name}:{NAMED[name].tag}"
        night.slipway(Reason[reason].remedy_for(f"{name}-agent", image=image, version="1"), file="more.yaml")
    for name, situation in NAMED.items():
        night.wait_for_more(situation.end, name, before[name])


def break_everything(night: Night) -> None:
    """Bring about what each situation needs beside its push."""
    failing = {name: situation.fails_with for name, situation in NAMED.items() if situation.fails_with}
    provisioning = {
        "seconds": 0.2,
        "fail": {f"night/{name}@": {"code": code, "message": "no"} for name, code in failing.items()},
        "answer": {f"night/{name}@.* {item.tag}$": item.answer for name, item in NAMED.items() if item.answer},
    }
    night.running.put("foundry", "/_local/provisioning", provisioning)
    faults = [refusal(name, *situation.refuse) for name, situation in NAMED.items() if situation.refuse]
    night.running.put("foundry", "/_local/faults", faults)
    error = {"error": {"code": "Forbidden", "message": "no"}}
    forbidden = {"method": "GET", "path": "/secrets/forbidden-key", "status": 403, "body": error}
    night.running.put("vault", "/_local/faults", [forbidden])
    with night.secrets() as vault, night.running.foundry() as project:
        vault.set_secret("forbidden-key", "the value that nobody may read")
        vault.set_secret("expired-key", "the value that has expired", expires_on=datetime(2026, 1, 1, tzinfo=UTC))
        project.agents.disable("agent-disabled-agent")


def refusal(name: str, method: str, path: str, status: int, code: str) -> dict[str, Any]:
    error = {"code": code, "message": "no"}
    path = f"/agents/{name}-agent{path}([/?]|$)"
    return {"method": method, "path": path, "status": status, "body": {"error": error}}


def mend_everything(night: Night) -> None:
    """Remove each cause, as the help of its reason says."""
    night.running.put("foundry", "/_local/provisioning", {"seconds": 0.2, "fail": {}, "answer": {}})
    for part in ("foundry", "vault"):
        night.running.put(part, "/_local/faults", [])
    with night.secrets() as vault, night.running.foundry() as project:
        vault.set_secret("expired-key", "the value that is valid")
        project.agents.enable("agent-disabled-agent")


def test_what_a_command_answers_names_a_command_that_works(night: Night) -> None:
    agent = "disabled-agent"
    for command, codes, reason in (
        (f"slipway unhold {agent}", (4,), Reason.NOTHING_HELD),
        (f"slipway approve {agent} --version 99", (4,), Reason.NOTHING_TO_APPROVE),
        (f"slipway hold {agent} --digest sha256:{'a' * 64} --why rumour", (), Reason.HOLD_SET),
    ):
        (change,) = validated(command.split()[1], night.slipway(f"{command} --json", *codes))
        assert (change["reason"], change["remedy"]) == (reason.value, reason.remedy_for(agent))
        night.slipway(change["remedy"])
    assert night.status()["disabled"]["holds"] == []


def test_a_service_that_throttles_is_named(night: Night) -> None:
    # the last test: the app asks Foundry nothing for the ten minutes of the answer
    busy = {"path": "/agents", "status": 429, "headers": {"Retry-After": "600"}, "body": {"error": {"code": "429"}}}
    night.running.put("foundry", "/_local/faults", [busy])
    night.push("throttled")
    night.wait_for("SERVICE_UNAVAILABLE", "throttled")
    problem = night.problem("throttled-agent")
    assert (problem["reason"], "429" in problem["detail"]) == ("SERVICE_UNAVAILABLE", True)
    assert problem["remedy"] == "slipway retry throttled-agent"
    night.running.put("foundry", "/_local/faults", [])
