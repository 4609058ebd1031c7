"""Two projects on a running stack: what one refuses delays no other's targets, and each reads its own vault."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from local.endpoints import PORTS, ROOT
from local.stack_client import StackClient, eventually, stack

pytestmark = pytest.mark.timeout(600)

FOUNDRY, VAULT = (f"https://127.0.0.1:{PORTS[name]}" for name in ("foundry", "vault"))
AGENTS = f"""
projects:
  eu: {{endpoint: "{FOUNDRY}/api/projects/eu", vault: "{VAULT}/vaults/eu"}}
  us: {{endpoint: "{FOUNDRY}/api/projects/us"}}
defaults:
  env: {{KEY: {{secret: shared-key}}}}
  release: {{debounce: 0s}}
agents:
  wave-agent: {{repository: apart/wave, stages: [{{project: default}}, {{projects: [eu, us]}}]}}
  first-agent: {{repository: apart/first, stages: [{{project: eu}}, {{project: us}}]}}
"""
BY_ITSELF, AGAIN = (), ("retry", "wave-agent@eu")
FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "429": ({"path": "", "status": 429, "headers": {"Retry-After": "1"}}, BY_ITSELF),
    "outage": ({"path": "", "drop": True}, BY_ITSELF),
    "403": ({"path": "", "status": 403, "body": {"error": {"code": "Forbidden", "message": "no role"}}}, AGAIN),
}
"""What a project answers, and the command that its targets need afterwards."""
TROUBLE = ("SERVICE_UNAVAILABLE", "FORBIDDEN", "TIME_BUDGET_SPENT")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("projects")
    (folder / "agents.yaml").write_text(AGENTS)
    with stack(folder, "--agents", str(folder / "agents.yaml")) as client:
        text = AGENTS.replace(FOUNDRY, client.endpoints["foundry"]).replace(VAULT, client.endpoints["vault"])
        (folder / "agents.yaml").write_text(text)
        yield client


def local(running: StackClient, *arguments: str) -> None:
    """``python -m local`` for this stack."""
    command = [sys.executable, "-m", "local", *arguments, "--folder", str(running.folder)]
    subprocess.run(command, cwd=ROOT, check=True)


def slipway(running: StackClient, *arguments: str) -> None:
    environment = {**running.endpoints["env"], "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-m", "cli", *arguments], cwd=ROOT, env=environment, check=True)


def live(running: StackClient, digest: str) -> set[str]:
    """The targets in which an image went live."""
    lines = running.journal("LIVE")
    return {line["slipway.agent"] for line in lines if line["slipway.digest"] == digest}


def goes_live(running: StackClient, digest: str, *targets: str) -> None:
    eventually(lambda: set(targets) <= live(running, digest), f"{digest} is live at {targets}", 120)


def test_what_one_project_refuses_delays_no_other_and_its_own_targets_follow(running: StackClient) -> None:
    for number, (name, (fault, command)) in enumerate(FAULTS.items(), 1):
        local(running, "configure", "foundry", "faults", json.dumps([fault]), "--project", "eu")
        digest = running.push("apart/wave", f"v{number}", name)
        goes_live(running, digest, "wave-agent", "wave-agent@us")
        assert "wave-agent@eu" not in live(running, digest)
        others = {line["slipway.agent"] for code in TROUBLE for line in running.journal(code)} - {"wave-agent@eu"}
        assert others <= {"first-agent@eu"}, f"{name} in eu reached another target"
        if command:
            eventually(lambda: running.journal("FORBIDDEN"), "the release in eu ends")
        local(running, "configure", "foundry", "faults", "[]", "--project", "eu")
        if command:
            slipway(running, *command)
        goes_live(running, digest, "wave-agent@eu")


def test_a_secret_of_one_vault_releases_only_the_targets_that_read_it(running: StackClient) -> None:
    digest = running.push("apart/first", "v1", "first")
    goes_live(running, digest, "first-agent@eu", "first-agent@us")
    before = versions(running)
    local(running, "secret", "shared-key", "canary-5e1b", "--vault", "eu")
    released = {target for target in before if target.endswith("@eu")}
    eventually(lambda: {t for t, count in versions(running).items() if count > before[t]} == released, "eu has it", 120)
    local(running, "secret", "shared-key", "canary-77aa")
    expected = {target: count + 1 for target, count in before.items()}
    eventually(lambda: versions(running) == expected, "the others have the value of the other vault", 120)


def versions(running: StackClient) -> dict[str, int]:
    """How many versions each target has."""
    targets = ("wave-agent", "wave-agent@eu", "wave-agent@us", "first-agent@eu", "first-agent@us")
    created = [line["slipway.agent"] for line in running.journal("CREATE")]
    return {target: created.count(target) for target in targets}
