"""A push that 50 agents follow in four projects, beside the slowest of its releases; in virtual time."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator

from bench.report import Row
from bench.testbed import Effort
from local.endpoints import ROOT
from tests.scale.test_wave import AGENT_COUNT, MAX_RATIO, PROVISIONING_SECONDS, READS_PER_SECOND, seconds_until_live
from tests.simulation.virtual_time import run

MAX_MEMORY_MB = 250.0


def rows(_: Effort) -> Iterator[Row]:
    """Two rows: the time of the wave, and the memory of the process that runs it."""
    command = [sys.executable, "-m", "bench.wave"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900)
    measured = json.loads(ran.stdout)
    targets = AGENT_COUNT * len(PROVISIONING_SECONDS)
    versions = ", ".join(f"{seconds:g}" for seconds in sorted(PROVISIONING_SECONDS.values()))
    method = f"The real handlers with services in memory, in virtual time. Versions take {versions} s"
    yield Row(
        name="wave",
        description=f"one push to {AGENT_COUNT} agents in {len(PROVISIONING_SECONDS)} projects until all {targets} "
        "targets are live ÷ the slowest target alone",
        unit="ratio",
        value=measured["wave"] / measured["chain"],
        target=MAX_RATIO,
        bound=1.0,
        bound_description="the slowest target alone",
        method=f"{method}; Foundry refuses nothing",
        details={"wave s": measured["wave"], "slowest target s": measured["chain"]},
    )
    yield Row(
        name="wave, limited Foundry",
        description=f"the same where each project accepts {2 * READS_PER_SECOND:g} requests a second ÷ the slowest "
        "project alone",
        unit="ratio",
        value=measured["limited wave"] / measured["limited project"],
        target=MAX_RATIO,
        bound=1.0,
        bound_description="the slowest project alone",
        method=method,
        details={"wave s": measured["limited wave"], "slowest project s": measured["limited project"]},
    )
    yield Row(
        name="memory of a wave",
        description=f"the most memory of the process that runs these waves, with {targets} targets at once",
        unit="MB",
        value=measured["MB"],
        target=MAX_MEMORY_MB,
        method="`ru_maxrss` of the process at its end, with the services in memory",
    )


def main() -> None:
    """Print the seconds of each wave and the memory of this process as JSON."""
    measured = {
        "chain": run(seconds_until_live(lambda target: target == "agent-0@asia", None)),
        "wave": run(seconds_until_live(lambda _: True, None)),
        "limited project": run(seconds_until_live(lambda target: target.endswith("@asia"), 2 * READS_PER_SECOND)),
        "limited wave": run(seconds_until_live(lambda _: True, 2 * READS_PER_SECOND)),
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
