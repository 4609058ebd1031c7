"""What a simulated history costs, and what it holds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from local.endpoints import ROOT


def rows(effort: Effort) -> Iterator[Row]:
    """Processor time of a history, beside that of its waits alone."""
    seeds = effort.choose(200, 50)
    command = [sys.executable, "-m", "tests.simulation.cost", "--seeds", str(seeds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise NotMeasuredError("a history violated an invariant: make soak shows which")
    found = json.loads(done.stdout)
    spent, waits, held = found["seconds"], found["seconds of waits"], found["holds"]
    yield Row(
        name="simulated history",
        description="one seed of the simulation on one core",
        unit="ms",
        value=1000 * spent,
        target=10,
        bound=1000 * waits,
        bound_description="as many waits in virtual time as it calls gateways, and nothing else",
        method=f"Processor time of {seeds} seeds, the least of three rounds; 10 ms are 100 seeds a second",
        details={
            **{f"{name} a history": count for name, count in held.items()},
            "µs a call": 1e6 * spent / held["calls of gateways"],
            "times the bound": spent / waits,
        },
        missed_because="a history holds several releases with users, faults and runs of the timer: see its calls",
    )
