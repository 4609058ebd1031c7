"""The situations of a night on call: two commands name the cause and the line that ends it, and that line ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from azure.storage.queue import TextBase64EncodePolicy

from core.reasons import Reason
from local.stack_client import StackClient, eventually, stack
from tests.e2e.night import Night
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


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "good.yaml").write_text(AGENTS)
    # the stack makes every secret that the file names when it starts
    (folder / "agents.yaml").write_text(AGENTS.replace(OF_AGENT["missing"], "cpu: 1, memory: 2Gi"))
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        (folder / "agents.yaml").write_text(AGENTS)
        yield Night(up, folder)


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
    with night.running.vault() as vault:
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
    night.wait_for_all({name: reason for name, (reason, _) in ENDS_WITH.items() if name not in ("forbidden", "moved")})
    eventually(lambda: len([line for line in night.running.journal("LIVE") if line["slipway.tag"] == "v2"]), "v2 lives")
    night.move_traffic("moved", "1")


def mend(night: Night) -> None:
    """Remove each cause, as the help says."""
    night.running.put("foundry", "/_local/provisioning", {"seconds": 0.2, "fail": {}})
    with night.running.vault() as vault:
        vault.set_secret("disabled-key", "the value that is enabled")
        vault.set_secret("missing-key", "the value that was missing")


ENDS_WITH = {
    "exits": ("IMAGE_ERROR", "slipway retry exits-agent"),
    "disabled": ("SECRET_DISABLED", "slipway retry disabled-agent"),
    "missing": ("SECRET_MISSING", "slipway retry missing-agent"),
    "forbidden": ("FORBIDDEN", "slipway retry forbidden-agent"),
    "held": ("HELD", "slipway unhold held-agent"),
    "paused": ("PAUSED", "slipway resume paused-agent"),
    "approval": ("APPROVAL_WAITING", "slipway approve approval-agent --version 1"),
    "platform": (
        "WRONG_PLATFORM",
        "docker buildx build --platform linux/amd64 --push --tag REGISTRY/night/platform:v1 .",
    ),
    "moved": ("DRIFT", "slipway retry moved-agent"),
}
"""The cause and the line that ends it, for each situation that `provoke` brings about."""


def test_two_commands_name_the_cause_and_end_each_situation(night: Night) -> None:
    provoke(night)
    status = night.status()
    assert {name: status[name]["remedy"] for name in ENDS_WITH} == {name: line for name, (_, line) in ENDS_WITH.items()}
    night.typed.clear()
    for name, (reason, remedy) in ENDS_WITH.items():
        shown = night.slipway(f"slipway {'status' if name == 'moved' else 'why'} {name}-agent", 3)
        assert reason in shown
        assert remedy in shown
    mend(night)
    for _, remedy in ENDS_WITH.values():
        if remedy.startswith("slipway"):
            night.slipway(remedy)
    night.push("platform", "v2")  # what docker builds
    typed = {name: sum(f"{name}-agent" in command for command in night.typed) for name in ENDS_WITH}
    assert max(typed.values()) == 2
    night.wait_for_all({name: "LIVE" for name in ENDS_WITH if name != "moved"})
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
    with running.queues() as queues:
        queues.get_queue_client(queue, message_encode_policy=TextBase64EncodePolicy()).send_message(message)


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
