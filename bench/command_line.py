"""How long a person waits for the command line: help, a file that is checked, a plan of many events, nobody asked."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.report import Row
from bench.scene import Choice
from local.endpoints import ROOT

STARTS, PLANNED = 0.35, 1.0
"""Seconds of wall time, at most."""
EVENTS = 1000
REGISTRY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/demo"


def rows(choice: Choice) -> Iterator[Row]:
    """One row for each of the three; the bound is a Python that imports nothing of ours."""
    often = choice.of(15, 3)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        events, snapshot = Path(name) / "events.json", Path(name) / "snapshot.json"
        events.write_text(json.dumps([_push(number) for number in range(EVENTS)]))
        snapshot.write_text("{}")
        commands: dict[str, tuple[str, Sequence[str], float]] = {
            "slipway --help": ("the help", ("--help",), STARTS),
            "slipway validate": ("agents.yaml of the checkout, checked", ("validate",), STARTS),
            "slipway plan": (
                f"a plan of {EVENTS:,} events, offline",
                ("plan", str(events), "--snapshot", str(snapshot)),
                PLANNED,
            ),
        }
        for title, (what, arguments, target) in commands.items():
            pairs = [
                (_took("-m", "cli", *arguments), _took("-c", "import typer, yaml, pydantic")) for _ in range(often + 1)
            ]
            ours, bare = (median(one) for one in zip(*pairs[1:], strict=True))
            yield Row(
                name=title,
                what=f"wall time of {what}",
                unit="s",
                value=ours,
                target=target,
                bound=bare,
                bound_is="a Python that imports typer, yaml and pydantic",
                how=f"Medians of {often} fresh processes each, turn about, bytecode cached",
            )


def _took(*arguments: str) -> float:
    """Seconds of a fresh process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - began


def _push(number: int) -> dict[str, object]:
    """One push of many to a followed repository."""
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
