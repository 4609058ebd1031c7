"""Pruning: the plan by itself, a thousand versions that go, and agents of which nothing goes."""

from __future__ import annotations

import math
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from statistics import median

from azure.ai.projects.models import ContainerConfiguration, HostedAgentDefinition, ProtocolVersionRecord

from bench.machine import processor, resident
from bench.report import Row
from bench.scene import BASE, Choice, Line, NotMeasuredError, Scene, scene
from core.agents_file.spec import KeepSpec
from core.definition import FINGERPRINT
from core.model import Routing, Status, Version
from core.prune.retention import plan_prune
from core.state.release import ReleaseState
from local.stack_client import Host, host

DELAY, AT_ONCE, PAGE, STAY = 0.05, 8, 100, 10
TIMER = "prune_versions"
BUSY = (
    "the rest is processor time: one interpreter makes and reads all the requests, on cores that it shares with the "
    "stand-ins and with whatever else the machine does"
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEEP = {"newest": STAY - 1, "min_age": "0s", "failed": "0s", "max_deletes": 1000, "limit": 1000, "foreign": False}


def rows(choice: Choice) -> Iterator[Row]:
    """Two plans, then the timer on a running host."""
    yield _planned(1_000, 20.0, 9)
    yield _planned(choice.of(100_000, 20_000), 2_000.0, 3)
    yield _remembered(choice.of(10_000, 2_000))
    versions, agents = choice.of(1_000, 200), choice.of(200, 40)
    with scene({"crowded": 0}, {"keep": KEEP}) as stage, host(stage.running, only=[TIMER]) as functions:
        stage.running.put("foundry", "/_local/provisioning", {"seconds": 0, "limit": 2 * versions})
        _make(stage, [("crowded", n) for n in range(versions + STAY)])
        yield _pruned(stage, functions, versions)
    names = [f"calm-{n}" for n in range(agents)]
    with scene(dict.fromkeys(names, 0)) as stage, host(stage.running, only=[TIMER]) as functions:
        stage.provisioning(0)
        _make(stage, [(name, 0) for name in names])
        yield _nothing_to_prune(stage, functions, agents)


def _planned(count: int, target: float, often: int) -> Row:
    versions = [
        Version(str(n), Status.ACTIVE, NOW - timedelta(minutes=count - n), "image", frozenset(), {FINGERPRINT: str(n)})
        for n in range(1, count + 1)
    ]
    keep, routing, took = KeepSpec.model_validate({"tags": [r"^v\d+\.0\.0$"]}), Routing.to(str(count)), list[float]()
    for _ in range(often):
        began = time.perf_counter()
        plan_prune(versions, routing, ReleaseState(), keep, NOW)
        took.append(1000 * (time.perf_counter() - began))
    return Row(
        name=f"plan, {count:,} versions",
        what="one plan of what goes and why the rest stays",
        unit="ms",
        value=median(took),
        target=target,
        how=f"Median of {often}",
    )


def _remembered(count: int) -> Row:
    """An agent far beyond the service's own limit: every page is read, planned and told, and nothing is deleted."""
    settings = {"PRUNE_DRY_RUN": "true"}
    with (
        scene({"huge": 0}, {"keep": KEEP}) as stage,
        host(stage.running, only=[TIMER], settings=settings) as functions,
    ):
        stage.running.put("foundry", "/_local/provisioning", {"seconds": 0, "limit": 2 * count, "dedupe": False})
        _make(stage, [("huge", n) for n in range(STAY)])
        _ran(stage, functions)
        before = resident(functions.pid)
        _make(stage, [("huge", n) for n in range(count)])
        peak = _ran(stage, functions)
    return Row(
        name=f"prune, memory, {count:,} versions",
        what=f"resident memory at its most over that of a run with {STAY} versions",
        unit="MiB",
        value=peak - before,
        target=40,
        how="One dry run of the timer through the real SDK; read every 20 ms from /proc",
        also={"before, MiB": before, "at the most, MiB": peak},
    )


def _ran(stage: Scene, functions: Host) -> float:
    """Have the timer run, to its end; MiB at the most meanwhile."""
    peak, until, before = 0.0, time.monotonic() + 120, len(functions.invocations(TIMER))
    _run(functions)
    while time.monotonic() < until:
        peak = max(peak, resident(functions.pid))
        ran = functions.invocations(TIMER)
        if len(ran) > before and all(one["ended"] for one in ran):
            return peak
        time.sleep(0.02)
    raise NotMeasuredError("the timer did not end within 120 s")


def _pruned(stage: Scene, functions: Host, count: int) -> Row:
    began = time.time()
    _run(functions)  # once without the delay: the clients are warm afterwards
    stage.wait(lambda: _answered(stage, "DELETE", began, count), f"{count} versions are gone", 300)
    _make(stage, [("crowded", n) for n in range(count + STAY)])
    stage.delay(DELAY)
    began, worked = time.time(), processor(functions.pid)
    _run(functions)
    gone = stage.wait(lambda: _answered(stage, "DELETE", began, count), f"{count} versions are gone", 300)
    worked = processor(functions.pid) - worked
    seen = [one for one in stage.foundry_saw_all("GET", began) if one["at"] <= gone[-1]["answered"]]
    stage.delay(0)
    lists = [one for one in seen if one["path"].split("?")[0].endswith("/versions")]
    gets = len([one for one in seen if "/versions/" in one["path"]])
    bound = DELAY * (len(lists) + gets / AT_ONCE + len(gone) / AT_ONCE)
    return Row(
        name=f"prune, {count:,} of {count + STAY:,}",
        what="first page asked → last deletion answered, ÷ (pages + gets/8 + deletes/8) times the delay",
        unit="ratio",
        value=(gone[-1]["answered"] - min(one["at"] for one in seen)) / bound,
        target=1.15,
        bound=1.0,
        bound_is=f"{len(lists)} pages, {gets} reads and {len(gone)} deletions, {DELAY * 1000:.0f} ms each, 8 at once",
        how="One run of the timer through the real SDK",
        also={"seconds": gone[-1]["answered"] - min(one["at"] for one in seen), "of the host's processor, s": worked},
        missed=BUSY,
    )


def _nothing_to_prune(stage: Scene, functions: Host, count: int) -> Row:
    began = time.time()
    _run(functions)  # once without the delay: the clients are warm afterwards
    stage.wait(lambda: _listed(stage, began, count), "every agent was listed", 120)
    time.sleep(1.0)
    stage.delay(DELAY)
    began, worked = time.time(), processor(functions.pid)
    _run(functions)
    lists = stage.wait(lambda: _listed(stage, began, count), "every agent was listed", 120)
    bound, worked = math.ceil(count / AT_ONCE) * DELAY, processor(functions.pid) - worked
    took = max(one["answered"] for one in lists) - min(one["at"] for one in lists)
    return Row(
        name=f"nothing to prune, {count} agents",
        what="first list call → last one answered, ÷ a delay for each 8 of them",
        unit="ratio",
        value=took / bound,
        target=1.2,
        bound=1.0,
        bound_is=f"{count} list calls, {DELAY * 1000:.0f} ms each, 8 at once",
        how="One run of the timer through the real SDK",
        also={"seconds": took, "of the host's processor, s": worked},
        missed=BUSY,
    )


def _answered(stage: Scene, method: str, since: float, count: int) -> list[Line] | None:
    found = stage.foundry_saw_all(method, since)
    return found if len(found) >= count else None


def _listed(stage: Scene, since: float, count: int) -> list[Line] | None:
    found = [one for one in stage.foundry_saw_all("GET", since) if one["path"].split("?")[0].endswith("/versions")]
    return found if len(found) >= count else None


def _run(functions: Host) -> None:
    request = urllib.request.Request(f"{functions.url}/admin/functions/{TIMER}", b"{}", method="POST")  # noqa: S310
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request):  # noqa: S310 - an address of ours
        return


def _make(stage: Scene, versions: list[tuple[str, int]]) -> None:
    def make(one: tuple[str, int]) -> None:
        definition = HostedAgentDefinition(
            container_configuration=ContainerConfiguration(image=f"demo.azurecr.io{BASE}/{one[0]}:v{one[1]}"),
            protocol_versions=[ProtocolVersionRecord(protocol="responses", version="2.0.0")],
            cpu="1",
            memory="2Gi",
            environment_variables={"MADE": str(time.time_ns())},
        )
        project.agents.create_version(one[0], definition=definition)

    with stage.running.foundry() as project, ThreadPoolExecutor(4) as threads:
        list(threads.map(make, versions))
