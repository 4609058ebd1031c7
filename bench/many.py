"""Two hundred agents pushed at once on one instance: how long until all are live, and what waiting costs in memory."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator

from bench.machine import resident
from bench.report import Row
from bench.scene import Choice, Scene, scene
from local.endpoints import ROOT
from local.stack_client import Host, host

DELAY, PROVISIONING, MANY, FEW = 0.02, 5.0, 200, 40


def rows(choice: Choice) -> Iterator[Row]:
    """Time, then memory."""
    count, at_once = choice.of(MANY, FEW), _concurrency()
    took, before, peak = _measured(count)
    bound = math.ceil(count / at_once) * PROVISIONING
    yield Row(
        name=f"{count} agents at once",
        what="first push → the last selector moved",
        unit="s",
        value=took,
        target=3 * bound,
        bound=bound,
        bound_is=f"{at_once} releases at once (host.json), {PROVISIONING:.0f} s each",
        how=f"One instance, {DELAY * 1000:.0f} ms on every answer",
        also={"times the bound": took / bound},
    )
    yield Row(
        name="memory",
        what=f"resident memory of the instance at its most, {count} agents waiting",
        unit="MiB",
        value=peak,
        target=250,
        bound=before,
        bound_is="the same process after one release",
        how="Read ten times a second from /proc",
        also={"a waiting release, KiB": 1024 * max(0.0, peak - before) / at_once},
    )


def _measured(count: int) -> tuple[float, float, float]:
    """Seconds until the last is live, and MiB before and at the most."""
    names = [f"agent-{n}" for n in range(count)]
    with scene(dict.fromkeys(["warm-up", *names], 1)) as stage, host(stage.running, only=["event_queued"]):
        stage.provisioning(0.1)
        with host(stage.running, only=["release_agent"]) as functions:
            stage.moved("warm-up", stage.push("warm-up"))
            before = resident(functions.pid)
            stage.provisioning(PROVISIONING)
            stage.delay(DELAY)
            began = time.time()
            for name in names:
                stage.push(name)
            peak = _until_all_live(stage, functions, count, began)
            took = max(one["answered"] for one in stage.foundry_saw_all("PATCH", began)) - began
    return took, before, peak


def _concurrency() -> int:
    """What host.json lets run at once: a batch, and a new one while no more than the threshold run."""
    queues = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
    return int(queues["batchSize"]) + int(queues["newBatchThreshold"])


def _until_all_live(stage: Scene, functions: Host, count: int, began: float) -> float:
    peak = 0.0

    def all_live() -> bool:
        nonlocal peak
        peak = max(peak, resident(functions.pid))
        return len({one["path"] for one in stage.foundry_saw_all("PATCH", began)}) >= count

    stage.wait(all_live, f"{count} agents are live", 400)
    return peak
