"""A push that 50 agents follow in four projects, beside the slowest of its releases; in virtual time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.report import Row
from bench.testbed import Effort
from local.endpoints import ROOT

MAX_RATIO, MAX_MEMORY_MB = 1.3, 250.0


def rows(_: Effort) -> Iterator[Row]:
    """Three rows: the time of the wave, the same with a limited Foundry, and the memory of the process."""
    command = [sys.executable, "-m", "tests.scale.wave"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900)
    measured = json.loads(ran.stdout)
    targets = measured["agents"] * measured["projects"]
    versions = ", ".join(f"{seconds:g}" for seconds in sorted(measured["provisioning"]))
    method = f"The real handlers with services in memory, in virtual time. Versions take {versions} s"
    yield Row(
        name="wave",
        description=f"one push to {measured['agents']} agents in {measured['projects']} projects until all {targets} "
        "targets are live ÷ the slowest target alone",
        unit="ratio",
        value=measured["wave"] / measured["target"],
        target=MAX_RATIO,
        bound=1.0,
        bound_description="the slowest target alone",
        method=f"{method}; Foundry refuses nothing",
        details={"wave s": measured["wave"], "slowest target s": measured["target"]},
    )
    yield Row(
        name="wave, limited Foundry",
        description=f"the same where each project accepts {measured['requests a second']:g} requests a second "
        "÷ the slowest project alone",
        unit="ratio",
        value=measured["limited wave"] / measured["project"],
        target=MAX_RATIO,
        bound=1.0,
        bound_description="the slowest project alone",
        method=method,
        details={"wave s": measured["limited wave"], "slowest project s": measured["project"]},
    )
    yield Row(
        name="memory of a wave",
        description=f"the most memory of the process that runs these waves, with {targets} targets at once",
        unit="MB",
        value=measured["MB"],
        target=MAX_MEMORY_MB,
        method="`ru_maxrss` of the process at its end, with the services in memory",
    )
