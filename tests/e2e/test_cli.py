"""The operator's command line against a running stack: what it says, what it does, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.running import Running, eventually, stack
from local.settings import ROOT

pytestmark = pytest.mark.timeout(180)

RULES = """
agents:
  billing-agent:
    repository: agents/billing
    release: {mode: manual}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "agents.yaml").write_text(RULES)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as up:
        up.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        yield up


def slipway(running: Running, *arguments: str, code: int = 0) -> str:
    """What the command prints; on stderr where it refuses."""
    environment = {
        **running.endpoints["env"],
        "PATH": "/usr/bin:/bin",
        "USER": "ann",
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "cli", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code in (0, 4) else done.stderr


def status(running: Running) -> dict[str, object]:
    (found,) = json.loads(slipway(running, "status", "--json"))
    assert isinstance(found, dict)
    return found


def test_a_version_that_waits_is_approved_by_name(running: Running) -> None:
    assert status(running)["live"] is None
    assert "NOTHING_TO_APPROVE" in slipway(running, "approve", "billing-agent", code=4)
    running.push("agents/billing", "v1", "one")
    eventually(lambda: running.journal("AWAITING_APPROVAL"), "version 1 waits")
    assert status(running)["candidate"] == "1"
    assert "version 1 by ann" in slipway(running, "approve", "billing-agent", "--version", "1")
    eventually(lambda: status(running)["reason"] == "LIVE", "version 1 is live")
    assert status(running)["live"] == "1"


def test_a_pause_stops_and_a_resume_goes_on(running: Running) -> None:
    assert "PAUSED by ann: an incident" in slipway(running, "pause", "all", "--why", "an incident")
    assert status(running)["paused"] == "by ann: an incident"
    running.push("agents/billing", "v2", "two")
    eventually(lambda: running.journal("PAUSED"), "the pause is told")
    slipway(running, "resume", "all")
    eventually(lambda: status(running)["candidate"] == "2", "version 2 waits for its approval")
    assert "NOTHING_PAUSED" in slipway(running, "resume", "billing-agent", code=4)


def test_an_image_is_held_and_the_hold_is_lifted(running: Running) -> None:
    assert "HOLD_SET" in slipway(running, "hold", "billing-agent", "--why", "a bad feeling")
    assert "HOLD_SET" in str(status(running)["held"])
    assert "HOLD_LIFTED" in slipway(running, "lift", "billing-agent")
    assert status(running)["held"] == []


def test_the_plan_and_the_images_are_read_and_nothing_is_deleted(running: Running) -> None:
    assert "billing-agent 1 KEPT_" in slipway(running, "prune", "--dry-run")
    assert slipway(running, "digests").startswith("demo.azurecr.io/agents/billing@sha256:")
    assert len(running.versions("billing-agent")) == 2


def test_an_unknown_agent_is_told_with_the_nearest(running: Running) -> None:
    assert "did you mean billing-agent?" in slipway(running, "status", "biling-agent", code=2)


def test_a_service_that_is_not_there_is_named(running: Running) -> None:
    environment = running.endpoints["env"]
    running.endpoints["env"] = environment | {"FOUNDRY_PROJECT_ENDPOINT": "https://127.0.0.1:9/api/projects/demo"}
    assert "Foundry: unreachable" in slipway(running, "status", code=3)
    running.endpoints["env"] = environment | {"KEY_VAULT_URL": "nonsense"}
    assert "KEY_VAULT_URL" in slipway(running, "status", code=2)
    running.endpoints["env"] = environment


def test_a_file_is_validated_offline(tmp_path: Path, running: Running) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(RULES.replace("mode", "mood"))
    assert "did you mean mode" in slipway(running, "validate", str(file), code=2)
    file.write_text(RULES)
    assert "1 agents, no mistake" in slipway(running, "validate", str(file))
    assert "No such file" in slipway(running, "validate", str(tmp_path / "none"), code=2)
    assert json.loads(slipway(running, "validate", "--schema"))["$schema"]
