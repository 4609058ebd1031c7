"""How long a person waits for the command line: help, version, validation, and a plan of many events."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.machine import run_python
from bench.report import Row
from bench.testbed import Effort

START_TARGET, PLAN_TARGET = 0.35, 1.0
"""Seconds of wall time."""
EVENTS = 1000
REGISTRY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/demo"


def rows(effort: Effort) -> Iterator[Row]:
    """One row per command; the bound is a Python process that imports the libraries, but none of our modules."""
    repeats = effort.choose(15, 3)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        events, snapshot = Path(name) / "events.json", Path(name) / "snapshot.json"
        events.write_text(json.dumps([_push(number) for number in range(EVENTS)]))
        snapshot.write_text("{}")
        commands: dict[str, tuple[str, Sequence[str], float]] = {
            "slipway --help": ("the help", ("--help",), START_TARGET),
            "slipway --version": ("the version", ("--version",), START_TARGET),
            "slipway validate": ("validating the checkout's agents.yaml", ("validate",), START_TARGET),
            "slipway plan": (
                f"a plan of {EVENTS:,} events, offline",
                ("plan", str(events), "--snapshot", str(snapshot)),
                PLAN_TARGET,
            ),
        }
        for title, (task, arguments, target) in commands.items():
            pairs = [
                (run_python(["-m", "cli", *arguments])[0], run_python(["-c", "import typer, yaml, pydantic"])[0])
                for _ in range(repeats + 1)
            ]
            ours, bare = (median(seconds) for seconds in zip(*pairs[1:], strict=True))
            yield Row(
                name=title,
                description=f"wall time of {task}",
                unit="s",
                value=ours,
                target=target,
                bound=bare,
                bound_description="a Python that imports typer, yaml and pydantic",
                method=f"Medians of {repeats} fresh processes each, alternating, bytecode cached",
            )


def _push(number: int) -> dict[str, object]:
    """One of many pushes to a followed repository."""
    target = {"repository": "agents/hello", "tag": f"v{number}", "digest": f"sha256:{number:064x}"}
    return {
        "id": f"event-{number}",
        "topic": REGISTRY,
        "subject": f"agents/hello:v{number}",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": f"2026-11-24T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        "data": {"target": target},
        "dataVersion": "1.0",
    }
