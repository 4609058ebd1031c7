"""The demo as a new user runs it: every check passes, it fits 80 columns, and its log is readable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.endpoints import ROOT

EXPECTED = (
    "CREATE",
    "LIVE",
    "ALREADY_LIVE",
    "TRAFFIC_MOVED",
    "IMAGE_ERROR",
    "ARTIFACT_TAG",
    "UNTAGGED_PUSH",
    "VERIFY_FAILED",
    "EVALUATION_FAILED",
    "ROLLBACK",
    "CHECK_FAILED",
    "HELD",
    "PRUNED_STALE",
    "PRUNED_FAILED",
    "KEPT_LIVE",
    "WINDOW_CLOSED",
    "STAGE_WAITING",
    "STAGE_CANCELLED",
    "SIGNATURE_MISSING",
    "SIGNATURE_INVALID",
)
OF_PROCESSES = ("real processes", "proven, not printed", "azure-ai-agentserver", "the container exited with")


LOOPBACK = {"", "127.0.0.1", "::1", "localhost"}


@pytest.mark.timeout(300)
def test_every_check_of_the_demo_passes_its_log_is_readable_and_nothing_leaves_the_machine(tmp_path: Path) -> None:
    lookups = tmp_path / "lookups"
    environment = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS")}
    environment |= {"PYTHONPATH": str(ROOT / "tests/support/lookups"), "HOST_LOOKUPS": str(lookups)}
    command = [sys.executable, "-m", "local", "demo"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert not [code for code in EXPECTED if code not in done.stdout]
    if "could not be installed" not in done.stdout:  # Microsoft's server for agents needs PyPI once
        assert not [text for text in OF_PROCESSES if text not in done.stdout]
    assert "NO  " not in done.stdout
    hosts = set(lookups.read_text().splitlines())
    assert "127.0.0.1" in hosts, "nothing was recorded"
    assert hosts <= LOOPBACK
