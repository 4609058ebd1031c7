"""The operator's command line against a running stack: how it refuses, what it meets, and that it stops when told."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from local.endpoints import ROOT
from local.stack_client import StackClient, eventually, stack
from local.storage.account import connection_string
from tests.support.builders import push_data, push_event

pytestmark = pytest.mark.timeout(180)

AGENT = "billing-agent"
QUESTION = b"Send 1 of them? [y/N]: "
RULES = """
agents:
  billing-agent:
    repository: agents/billing
    env: {KEY: {secret: billing-key}}
    release: {mode: manual}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(RULES)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        yield up


def environment(running: StackClient, **changes: str) -> dict[str, str]:
    return {**running.endpoints["env"], "PATH": "/usr/bin:/bin", "USER": "ann", **changes}


def slipway(running: StackClient, *arguments: str, code: int = 0, **changes: str) -> str:
    """What the command prints; on stderr where it refuses."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env=environment(running, **changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code in (0, 1, 4) else done.stderr


def faults(running: StackClient, part: str, *listed: dict[str, Any]) -> None:
    running.put(part, "/_local/faults", list(listed))


def test_every_word_answers_as_data_too(running: StackClient) -> None:
    (told,) = json.loads(slipway(running, "approve", AGENT, "--json", code=4))
    assert told == {"agent": AGENT, "reason": "NOTHING_TO_APPROVE", "detail": "no version waits"}
    (paused,) = json.loads(slipway(running, "pause", AGENT, "--why", "lunch", "--until", "1h", "--json"))
    assert (paused["reason"], paused["detail"]) == ("PAUSED", "by ann: lunch")
    assert json.loads(slipway(running, "resume", AGENT, "--json"))[0]["reason"] == "UNPAUSED"
    assert json.loads(slipway(running, "validate", str(running.folder / "agents.yaml"), "--json"))["mistakes"] == []
    assert json.loads(slipway(running, "validate", "--schema"))["$schema"]


def test_a_plan_of_what_is_there_asks_foundry_for_nothing_but_reads(running: StackClient) -> None:
    digest = running.push("agents/billing", "v1", "one")
    eventually(lambda: running.journal("APPROVAL_WAITING"), "version 1 waits")
    before = len(running.get("foundry", "/_local/requests"))
    told = json.loads(slipway(running, "plan", AGENT, "--image", f"agents/billing@{digest}", "--json"))
    assert [one["reason"] for one in told["steps"]] == ["SAME_PUSH", "APPROVAL_WAITING"]
    asked = running.get("foundry", "/_local/requests")[before:]
    assert asked
    assert {one["method"] for one in asked} == {"GET"}


@pytest.mark.parametrize(
    ("part", "path", "command", "role"),
    [
        ("foundry", "/agents/", ("status", AGENT), "Foundry User on the project"),
        ("storage", "slipway", ("why", "v1"), "Storage Blob Data Contributor"),
        (
            "registry",
            "_tags",
            ("release", AGENT, "--image", "agents/billing:v1"),
            "Container Registry Repository Reader",
        ),
    ],
)
def test_a_missing_right_names_the_service_and_the_role(
    running: StackClient, part: str, path: str, command: tuple[str, ...], role: str
) -> None:
    where = {"storage": "blob", "registry": "registry_tls"}.get(part, part)
    faults(running, where, {"path": path, "status": 403, "body": {"error": {"code": "Forbidden", "message": "no"}}})
    told = slipway(running, *command, code=3)
    faults(running, where)
    assert f"{'Foundry' if part == 'foundry' else part}: " in told
    assert role in told


def test_another_tenant_no_sign_in_and_no_service_are_told_apart(running: StackClient) -> None:
    faults(running, "foundry", {"path": "/agents/", "status": 401, "body": {"error": {"code": "Unauthorized"}}})
    assert "az login --tenant" in slipway(running, "status", code=3)
    faults(running, "foundry")
    assert "not signed in" in slipway(running, "status", code=3, AZURE_TOKEN_CREDENTIALS="AzureCliCredential")
    gone = {"FOUNDRY_PROJECT_ENDPOINT": "https://127.0.0.1:9/api/projects/demo"}
    assert "Foundry does not answer" in slipway(running, "status", code=3, **gone)
    assert "KEY_VAULT_URL" in slipway(running, "status", code=2, KEY_VAULT_URL="nonsense")


def test_a_record_of_a_newer_version_is_left_alone(running: StackClient) -> None:
    client = BlobServiceClient.from_connection_string(
        connection_string(running.endpoints), connection_verify=running.endpoints["ca"]
    )
    with client, client.get_blob_client("slipway", "desired/later-agent.json") as blob:
        blob.upload_blob(b'{"schema": 2, "new": true}')
        rules = running.folder / "later.yaml"
        rules.write_text("agents: {later-agent: {repository: agents/later}}")
        told = slipway(running, "pause", "later-agent", "--why", "x", code=3, AGENTS_FILE=str(rules))
        assert "a newer Slipway may have written it" in told
        assert blob.download_blob().readall() == b'{"schema": 2, "new": true}'


def test_what_takes_longer_than_a_second_says_what_it_waits_for_and_ctrl_c_stops_it(running: StackClient) -> None:
    faults(running, "foundry", {"path": "/agents/", "delay_s": 20})
    command = [sys.executable, "-m", "cli", "status"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(running), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"… reading {AGENT}\n"
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=10)
    faults(running, "foundry")
    assert process.returncode == 130
    assert rest == "stopped; what was written stays, and the app goes on with it\n"
    assert out == ""


def test_a_question_is_answered_by_a_key_and_ctrl_c_is_an_answer(running: StackClient) -> None:
    code, told = asked(running, b"n\n")
    assert (code, told.rpartition("\n")[2]) == (0, "nothing was sent")
    code, told = asked(running, b"\x03")
    assert code == 130
    assert told.endswith("stopped; what was written stays, and the app goes on with it")


def asked(running: StackClient, keys: bytes) -> tuple[int, str]:
    """What a replay comes to on a terminal, where these keys are the answer to its question."""
    (running.folder / "one.json").write_text(json.dumps(push_event()))
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "cli", "replay", str(running.folder / "one.json")]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(running, TERM="dumb"), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # how the end of a terminal reads; until then it is read, or its other side would wait
            while True:
                if select.select([ours], [], [], 0.5)[0]:
                    shown += os.read(ours, 1000)
                elif QUESTION in shown:  # again where it came before Python waited for it
                    os.write(ours, keys)
        os.close(ours)
        process.wait(timeout=20)
    return process.returncode, shown.decode().strip()


def test_an_event_is_published_again_to_a_custom_topic(running: StackClient, tmp_path: Path) -> None:
    event = push_event(id="replayed-1", data=push_data(repository="agents/nobody"))
    (tmp_path / "letters.json").write_text("\n".join([json.dumps(event)] * 2))
    topic = running.endpoints["env"]["OUTCOME_TOPIC_ENDPOINT"]
    told = slipway(running, "replay", str(tmp_path / "letters.json"), "--topic", topic, "--yes")
    assert "1 left out: they are here twice" in told
    eventually(
        lambda: [one for one in running.journal("NOT_FOLLOWED") if one["slipway.event"] == "replayed-1"], "it came"
    )
    refused = slipway(running, "replay", str(tmp_path / "letters.json"), code=2)
    assert "say --yes, or look first with --dry-run" in refused
    faults(running, "eventgrid", {"path": "/api/events", "status": 403, "body": {}})
    told = slipway(running, "replay", str(tmp_path / "letters.json"), "--topic", topic, "--yes", code=3)
    faults(running, "eventgrid")
    assert "EventGrid Data Sender" in told


def test_doctor_finds_what_is_wrong_and_goes_on_where_something_cannot_be_asked(running: StackClient) -> None:
    registry = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/local/providers"
    registry += "/Microsoft.ContainerRegistry/registries/demo"
    off = {"properties": {"policies": {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}}}
    running.put("arm", "/_local/arm", {registry: off})
    told = json.loads(slipway(running, "doctor", "--json", code=1))
    (wrong,) = [one for one in told if one["verdict"] == "wrong"]
    assert wrong["mend"] == "az acr config authentication-as-arm update -r demo --status enabled"
    faults(running, "arm", {"path": ".*", "status": 403, "body": {}})
    told = slipway(running, "doctor")
    faults(running, "arm")
    assert "roles, policies and subscriptions" in told
    assert "you lack Reader on the subscription" in told
    lines = slipway(running, "doctor", code=1, KEY_VAULT_URL="")
    assert "wrong  settings" in lines
    assert "KEY_VAULT_URL is not set" in lines


def test_a_shell_completes_the_commands(running: StackClient) -> None:
    command = [sys.executable, "-m", "cli"]
    asked = {"_SLIPWAY_COMPLETE": "complete_bash", "COMP_WORDS": "slipway ro", "COMP_CWORD": "1"}
    told = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment(running), **asked, "HOME": os.sep},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["rollback"]
