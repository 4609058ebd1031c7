"""A second run of a stack: afresh, or with all that the first one had."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cli.exit_codes import DONE, SERVICE_ERROR
from local.endpoints import ROOT
from local.stack_client import StackClient, eventually, stack

pytestmark = pytest.mark.timeout(300)

AGENT, REPOSITORY = "support-agent", "agents/support"


def status(running: StackClient) -> tuple[str | None, str | None]:
    """The live version and its tag, as the command line says; a first version has the traffic before it is released."""
    return eventually(lambda: answered_status(running), "slipway status is answered")


def answered_status(running: StackClient) -> tuple[str | None, str | None] | None:
    """The same, or None where a busy machine did not answer in time: that says nothing about the version."""
    environment = {**os.environ, **running.endpoints["env"]}
    command = [sys.executable, "-m", "cli", "status", AGENT, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    if done.returncode == SERVICE_ERROR:
        return None
    assert done.returncode == DONE, done.stderr
    (shown,) = json.loads(done.stdout)
    return (shown["live"], shown["live_tag"]) if shown["state"] == "LIVE" else (None, None)


def search_key(running: StackClient) -> str | None:
    with running.vault() as vault:
        return vault.get_secret("support-search-key").value


def push_until_live(running: StackClient, tag: str, version: str) -> None:
    running.push(REPOSITORY, tag, tag)
    eventually(lambda: status(running) == (version, tag), f"version {version} is live", timeout=60)


def test_a_kept_stack_goes_on_and_a_fresh_one_begins_empty(tmp_path: Path) -> None:
    with stack(tmp_path, "--keep") as first:
        assert "nothing was kept" in (tmp_path / "up.log").read_text()
        first.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        push_until_live(first, "1.0.0", "1")
        eventually(lambda: first.journal("LIVE"), "the telemetry of the release arrived")
        secret = search_key(first)
    with stack(tmp_path, "--keep") as second:
        assert status(second) == ("1", "1.0.0")
        assert search_key(second) == secret
        assert second.journal("LIVE"), "the telemetry of the first run"
        push_until_live(second, "1.1.0", "2")
    with stack(tmp_path) as third:
        assert status(third) == (None, None)
        push_until_live(third, "1.0.0", "1")
    with stack(tmp_path, "--keep") as fourth:
        assert status(fourth) == (None, None), "a stack without --keep leaves nothing to the next"


def answer(running: StackClient) -> str:
    """What the live version's process says; the first question starts it."""
    url = f"{running.endpoints['foundry']}/api/projects/demo/agents/{AGENT}/endpoint/protocols/openai/responses"
    headers = {"Authorization": "Bearer local", "Content-Type": "application/json"}
    request = urllib.request.Request(url, b'{"input": "ping", "store": false}', headers)
    context = ssl.create_default_context(cafile=running.endpoints["ca"])
    with urllib.request.urlopen(request, context=context) as response:
        return str(json.loads(response.read())["output"][0]["content"][0]["text"])


def test_an_agent_of_a_kept_stack_has_a_process_again(tmp_path: Path) -> None:
    with stack(tmp_path, "--keep", "--run-agents") as first:
        push_until_live(first, "1.0.0", "1")
        said = answer(first)
        assert said
    with stack(tmp_path, "--keep", "--run-agents") as second:
        assert eventually(lambda: _answer_once_started(second), "the process answers") == said


def _answer_once_started(running: StackClient) -> str | None:
    try:
        return answer(running)
    except urllib.error.HTTPError as error:
        if error.code != 424:  # the image is still being unpacked
            raise
        return None
