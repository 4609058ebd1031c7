"""The command line against a running stack: refusals, service errors, prompts and Ctrl-C."""

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

from handlers.gateways.storage.state_store import CONTAINER
from local.endpoints import ROOT
from local.stack_client import StackClient, eventually, stack
from tests.support.builders import push_data, push_event
from tests.support.cli_schemas import validated

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
    """Run the command and return its output; stderr if it refuses."""
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


def set_faults(running: StackClient, part: str, *faults: dict[str, Any]) -> None:
    running.put(part, "/_local/faults", list(faults))


def document(running: StackClient, *arguments: str, code: int = 0) -> Any:
    """Run the command with ``--json``; return what it prints, if its schema allows that."""
    return validated(arguments[0], slipway(running, *arguments, "--json", code=code))


def wait_for_approval(running: StackClient) -> str:
    """Version 1 waits for its approval, whichever test runs first; returns the digest of its image."""
    digest = running.push("agents/billing", "v1", "one")
    eventually(lambda: running.journal("APPROVAL_WAITING"), "version 1 waits")
    return digest


def test_the_commands_print_json(running: StackClient) -> None:
    (refused,) = document(running, "approve", AGENT, "--version", "1", code=4)
    assert (refused["reason"], refused["detail"]) == ("NOTHING_TO_APPROVE", "no version waits")
    (paused,) = document(running, "pause", AGENT, "--why", "lunch", "--until", "1h")
    author = "you@laptop (your-object-id)"
    assert (paused["reason"], paused["pause"]["by"], paused["pause"]["why"]) == ("PAUSED", author, "lunch")
    assert document(running, "resume", AGENT)[0]["reason"] == "UNPAUSED"
    assert document(running, "validate", str(running.folder / "agents.yaml"))["errors"] == []
    assert json.loads(slipway(running, "validate", "--schema"))["$schema"]


def test_a_live_plan_sends_only_reads_to_foundry(running: StackClient) -> None:
    digest = wait_for_approval(running)
    before = len(running.get("foundry", "/_local/requests"))
    plan = json.loads(slipway(running, "plan", AGENT, "--image", f"agents/billing@{digest}", "--json"))
    assert [step["reason"] for step in plan["steps"]] == ["SAME_PUSH", "APPROVAL_WAITING"]
    requests = running.get("foundry", "/_local/requests")[before:]
    assert requests
    assert {request["method"] for request in requests} == {"GET"}


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
    stand_in = {"storage": "blob", "registry": "registry_tls"}.get(part, part)
    set_faults(
        running, stand_in, {"path": path, "status": 403, "body": {"error": {"code": "Forbidden", "message": "no"}}}
    )
    error = slipway(running, *command, code=3)
    set_faults(running, stand_in)
    assert f"{'Foundry' if part == 'foundry' else part}: " in error
    assert role in error


def test_a_wrong_tenant_a_missing_sign_in_and_no_service_give_different_errors(running: StackClient) -> None:
    set_faults(running, "foundry", {"path": "/agents/", "status": 401, "body": {"error": {"code": "Unauthorized"}}})
    assert "az login --tenant" in slipway(running, "status", code=3)
    set_faults(running, "foundry")
    assert "not signed in" in slipway(running, "status", code=3, AZURE_TOKEN_CREDENTIALS="AzureCliCredential")
    gone = {"FOUNDRY_PROJECT_ENDPOINT": "https://127.0.0.1:9/api/projects/demo"}
    assert "Foundry does not answer" in slipway(running, "status", code=3, **gone)
    assert "KEY_VAULT_URL" in slipway(running, "status", code=2, KEY_VAULT_URL="nonsense")


def test_a_state_of_a_newer_version_is_not_overwritten(running: StackClient) -> None:
    with running.blobs() as account, account.get_blob_client(CONTAINER, "desired/later-agent.json") as blob:
        blob.upload_blob(b'{"schema": 2, "new": true}')
        agents = running.folder / "later.yaml"
        agents.write_text("agents: {later-agent: {repository: agents/later}}")
        error = slipway(running, "pause", "later-agent", "--why", "x", code=3, AGENTS_FILE=str(agents))
        assert "a newer Slipway may have written it" in error
        assert blob.download_blob().readall() == b'{"schema": 2, "new": true}'


def test_a_slow_command_reports_what_it_waits_for_and_ctrl_c_stops_it(running: StackClient) -> None:
    set_faults(running, "foundry", {"path": "/agents/", "delay_s": 20})
    # a suite that a shell started in the background ignores Ctrl-C, and so does a child, unless a handler is set
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = [sys.executable, "-m", "cli", "status"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(running), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        if line == "… connecting\n":  # a slow machine is seen connecting first
            line = process.stderr.readline()
        assert line == f"… reading {AGENT}\n"
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=30)
    set_faults(running, "foundry")
    assert process.returncode == 130, "not the end of the slow request"
    assert rest == "stopped; what was written stays, and the app continues with it\n"
    assert out == ""


def test_a_prompt_takes_a_key_and_ctrl_c_stops_the_command(running: StackClient) -> None:
    code, shown = answer_prompt(running, b"n\n")
    printed = [line for line in shown.splitlines() if line.strip() not in ("", "n")]  # keys may be echoed after the end
    assert (code, printed[-1]) == (0, "nothing was sent")
    code, shown = answer_prompt(running, b"\x03")
    assert code == 130
    assert "stopped; what was written stays, and the app continues with it" in shown


def answer_prompt(running: StackClient, keys: bytes) -> tuple[int, str]:
    """Run a replay on a terminal, answer its prompt with these keys, and return exit code and output."""
    (running.folder / "one.json").write_text(json.dumps(push_event()))
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "cli", "replay", str(running.folder / "one.json")]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(running, TERM="dumb"), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown, quiet = b"", 0
        with suppress(OSError):  # a closed terminal raises it; until then, read, or the process would block on writing
            while True:
                if select.select([ours], [], [], 0.5)[0]:
                    shown += os.read(ours, 1000)
                elif QUESTION in shown:
                    # repeated, as keys before Python waits for them are lost; rarely, as a second Ctrl-C kills its exit
                    if quiet % 20 == 0:
                        os.write(ours, keys)
                    quiet += 1
        os.close(ours)
        process.wait(timeout=20)
    return process.returncode, shown.decode().strip()


def test_replay_publishes_to_a_custom_topic(running: StackClient, tmp_path: Path) -> None:
    event = push_event(id="replayed-1", data=push_data(repository="agents/nobody"))
    (tmp_path / "letters.json").write_text("\n".join([json.dumps(event)] * 2))
    topic = running.endpoints["env"]["OUTCOME_TOPIC_ENDPOINT"]
    shown = slipway(running, "replay", str(tmp_path / "letters.json"), "--topic", topic, "--yes")
    assert "1 skipped: duplicates" in shown
    eventually(
        lambda: [line for line in running.journal("NOT_FOLLOWED") if line["slipway.event"] == "replayed-1"],
        "the event arrives",
    )
    refused = slipway(running, "replay", str(tmp_path / "letters.json"), code=2)
    assert "add --yes, or see what would be done with --dry-run" in refused
    set_faults(running, "eventgrid", {"path": "/api/events", "status": 403, "body": {}})
    error = slipway(running, "replay", str(tmp_path / "letters.json"), "--topic", topic, "--yes", code=3)
    set_faults(running, "eventgrid")
    assert "EventGrid Data Sender" in error


def test_doctor_finds_a_fault_and_continues_after_a_refusal(running: StackClient) -> None:
    wait_for_approval(running)
    registry = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/local/providers"
    registry += "/Microsoft.ContainerRegistry/registries/demo"
    off = {"properties": {"policies": {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}}}
    running.put("arm", "/_local/arm", {registry: off})
    checks = json.loads(slipway(running, "doctor", "--json", code=1))
    (failed,) = [check for check in checks if check["status"] == "failed" and "registry" in check["name"]]
    assert failed["fix"] == "az acr config authentication-as-arm update -r demo --status enabled"
    set_faults(running, "arm", {"path": ".*", "status": 403, "body": {}})
    shown = slipway(running, "doctor", code=1)  # the version that waits for its approval needs somebody
    assert f"slipway approve {AGENT} --version 1" in shown, shown
    set_faults(running, "arm")
    assert "roles, policies and subscriptions" in shown
    assert "you lack Reader on the subscription" in shown
    shown = slipway(running, "doctor", code=1, KEY_VAULT_URL="")
    assert "failed  settings" in shown
    assert "KEY_VAULT_URL is not set" in shown


def test_what_a_user_changes_is_printed_as_fields(running: StackClient) -> None:
    wait_for_approval(running)
    digest = f"sha256:{'a' * 64}"
    (hold,) = document(running, "hold", AGENT, "--digest", digest, "--why", "a rumour")[0]["holds"]
    assert (hold["digest"], hold["detail"], hold["until"]) == (digest, "a rumour", None)
    assert document(running, "unhold", AGENT)[0]["holds"] == []
    assert document(running, "approve", AGENT, "--version", "1")[0]["approved"] == "1"
    released = document(running, "status", AGENT)[0]["digest"]
    assert document(running, "wait", AGENT, "--digest", released) == {AGENT: "LIVE"}
    assert document(running, "rollback", AGENT, "--why", "orders are lost", code=4)[0]["remedy"].startswith("slipway")
    assert document(running, "retry", AGENT, "--watch") == {AGENT: "ALREADY_LIVE"}
    (change,) = document(running, "release", AGENT, "--image", "agents/billing:v1")
    assert (change["desired"]["tag"], change["enqueued"]) == ("v1", True)
    (running.folder / "again.json").write_text(json.dumps(push_event()))
    (event,) = document(running, "replay", str(running.folder / "again.json"), "--yes")
    assert (event["kind"], event["id"]) == ("push", push_event()["id"])
    assert [row["delete"] for row in document(running, "prune", AGENT, "--yes")] == [False]


def test_a_shell_completes_the_commands(running: StackClient) -> None:
    command = [sys.executable, "-m", "cli"]
    completion = {"_SLIPWAY_COMPLETE": "complete_bash", "COMP_WORDS": "slipway ro", "COMP_CWORD": "1"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment(running), **completion, "HOME": os.sep},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["rollback"]
