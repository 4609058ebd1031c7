"""The demo as a newcomer runs it: all of it is true, it fits 80 columns, and a log file can be read."""

from __future__ import annotations

import os
import subprocess
import sys

from local.endpoints import ROOT

SHOWN = (
    "CREATE",
    "LIVE",
    "ALREADY_LIVE",
    "TRAFFIC_MOVED",
    "IMAGE_ERROR",
    "ARTIFACT_TAG",
    "UNTAGGED_PUSH",
    "VERIFY_FAILED",
    "ROLLBACK",
    "CHECK_FAILED",
    "HELD",
    "PRUNED_STALE",
    "PRUNED_FAILED",
    "KEPT_LIVE",
)


def test_all_of_the_demo_is_true_and_readable_in_a_log() -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS")}
    command = [sys.executable, "-m", "local", "demo"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert not [code for code in SHOWN if code not in done.stdout]
    assert "NO  " not in done.stdout
