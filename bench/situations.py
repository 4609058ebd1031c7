"""Processor time of the two commands that name the cause of a situation and end it; other load does not change it."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.machine import processor_time_of_children
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from local.endpoints import ROOT
from local.stack_client import StackClient, eventually, stack

TARGET = 5.0
"""Seconds for both commands; on a machine with a free core they take hardly longer than their processor time."""
BARE = "import typer, yaml, pydantic, azure.core, aiohttp"


class Situation(NamedTuple):
    """How an agent gets into a situation, and the command that ends it."""

    keys: str
    """The agent's keys in agents.yaml."""
    reason: str
    remedy: str


SITUATIONS = {
    "exits": Situation("cpu: 1", "IMAGE_ERROR", "slipway retry exits-agent"),
    "disabled": Situation("env: {KEY: {secret: disabled-key}}", "SECRET_DISABLED", "slipway retry disabled-agent"),
    "forbidden": Situation("cpu: 1", "FORBIDDEN", "slipway retry forbidden-agent"),
    "held": Situation("cpu: 1", "HELD", "slipway unhold held-agent"),
    "paused": Situation("cpu: 1", "PAUSED", "slipway resume paused-agent"),
    "approval": Situation("release: {mode: manual}", "APPROVAL_WAITING", "slipway approve approval-agent --version 1"),
}
AGENTS = "agents:\n" + "".join(
    f"  {name}-agent: {{repository: bench/{name}, {situation.keys}}}\n" for name, situation in SITUATIONS.items()
)


def rows(effort: Effort) -> Iterator[Row]:
    """One row, of the slowest situation; the bound is two processes that only import what every command needs."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        (folder / "agents.yaml").write_text(AGENTS)
        with stack(folder, "--agents", str(folder / "agents.yaml")) as running:
            _provoke(running)
            asked = {situation: _ask(running, situation) for situation in SITUATIONS}
            _mend(running)
            ended = {name: _slipway(running, situation.remedy)[0] for name, situation in SITUATIONS.items()}
            bare = median(_run(running, [sys.executable, "-c", BARE])[0] for _ in range(effort.choose(7, 3)))
    seconds = {situation: asked[situation] + ended[situation] for situation in SITUATIONS}
    yield Row(
        name="situations",
        description="processor time of `slipway why AGENT` and the remedy that it prints, slowest of six situations",
        unit="s",
        value=max(seconds.values()),
        target=TARGET,
        bound=2 * bare,
        bound_description="two Pythons that import typer, pydantic, yaml, azure.core and aiohttp",
        method="Each situation once, on the local stack; the printed line is typed and must succeed",
        details=seconds,
    )


def _provoke(running: StackClient) -> None:
    """Bring every situation about."""
    error = {"code": "ImageError", "message": "the container exited with code 1"}
    running.put("foundry", "/_local/provisioning", {"seconds": 0.2, "fail": {"bench/exits@": error}})
    body = {"error": {"code": "Forbidden", "message": "no"}}
    path = "/agents(/forbidden-agent/versions)?([?]|$)"
    refusal = {"path": path, "method": "POST", "status": 403, "body": body}
    running.put("foundry", "/_local/faults", [refusal])
    running.put("vault", "/_local/secrets/disabled-key", {"value": "made-up", "enabled": False})
    digest = running.push("scratch/held", "v1", "held")
    _slipway(running, f"slipway hold held-agent --digest {digest} --why rumour")
    _slipway(running, "slipway pause paused-agent --why lunch")
    for name in SITUATIONS:
        running.push(f"bench/{name}", "v1", name)
    for name, situation in SITUATIONS.items():
        eventually(lambda name=name, code=situation.reason: _has(running, code, name), f"{name}", 120)  # type: ignore[misc]


def _mend(running: StackClient) -> None:
    """Remove what no command removes."""
    running.put("foundry", "/_local/provisioning", {"seconds": 0.2, "fail": {}})
    running.put("foundry", "/_local/faults", [])
    running.put("vault", "/_local/secrets/disabled-key", {"value": "made-up"})


def _has(running: StackClient, reason: str, name: str) -> bool:
    return any(line.get("slipway.agent") == f"{name}-agent" for line in running.journal(reason))


def _ask(running: StackClient, name: str) -> float:
    """Seconds of the first command; raises NotMeasuredError where it does not name the second."""
    situation = SITUATIONS[name]
    seconds, output = _slipway(running, f"slipway why {name}-agent")
    if situation.reason not in output or situation.remedy not in output:
        raise NotMeasuredError(f"{name}: `slipway why` does not name {situation.reason} and its remedy: {output}")
    return seconds


def _slipway(running: StackClient, command: str) -> tuple[float, str]:
    return _run(running, [sys.executable, "-m", "cli", *shlex.split(command)[1:]])


def _run(running: StackClient, command: list[str]) -> tuple[float, str]:
    """Processor seconds and output of a process; raises CalledProcessError."""
    environment = {**running.endpoints["env"], "PATH": "/usr/bin:/bin", "USER": "ann"}
    before = processor_time_of_children()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return processor_time_of_children() - before, done.stdout
