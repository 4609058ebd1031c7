"""Processor time of a push and its release, compared with the same calls of the SDKs made bare, in one run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any

from bench.bare_calls import calls_of
from bench.report import Row
from bench.telemetry import OFF
from bench.testbed import Effort, NotMeasuredError, Request, Testbed, start_testbed
from local.endpoints import ROOT
from local.images import push

PARTS = ("foundry", "vault", "blob", "queue", "eventgrid")
PRODUCT, QUIET, BARE = "product", "quiet", "bare"
KINDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    PRODUCT: ("product", {}),
    QUIET: ("product", OFF),
    BARE: ("bare", {}),
}
"""Agents of each kind begin with its name; its process, and settings of that: quiet is without telemetry."""


def rows(effort: Effort) -> Iterator[Row]:
    """The ratio, and the time itself."""
    count, rounds = effort.choose(32, 16), effort.choose(7, 3)
    agents = {f"{kind}-{n:02}": 1 for kind in KINDS for n in range(count)}
    with start_testbed(agents) as testbed, ExitStack() as stack:
        testbed.provisioning(0)
        processes = {kind: stack.enter_context(Measured.start(testbed, kind, count)) for kind in KINDS}
        calls = _warm_up(testbed, processes)
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind, process in processes.items():
                seconds[kind].append(process.round(calls=calls) / count)
    yield from _rows(seconds, calls)


class Measured:
    """A process of ``bench.release_process`` and its agents."""

    def __init__(self, testbed: Testbed, kind: str, count: int, process: subprocess.Popen[str]) -> None:
        self.agents = [f"{kind}-{n:02}" for n in range(count)]
        self._testbed, self._process = testbed, process

    @classmethod
    @contextmanager
    def start(cls, testbed: Testbed, kind: str, count: int) -> Iterator[Measured]:
        """Run the process until the block ends."""
        name, settings = KINDS[kind]
        env = {**os.environ, **testbed.running.endpoints["env"], "PYTHONPATH": str(ROOT), **settings}
        command = [sys.executable, "-m", "bench.release_process", name]
        with (testbed.running.folder / f"{kind}.log").open("w") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env=env, text=True
            )
        with process:  # leaving it closes the input, and waits
            yield cls(testbed, kind, count, process)

    def round(self, **more: Any) -> float:
        """Seconds of processor time for one release of each agent, each of a new image."""
        images = asyncio.run(self._push())
        if self._process.stdin is None or self._process.stdout is None:  # pragma: no cover
            raise NotMeasuredError("the process has no pipes")
        self._process.stdin.write(json.dumps({"images": images, **more}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise NotMeasuredError(f"{self.agents[0]} did not answer: {self._testbed.running.logs()[-500:]}")
        return float(json.loads(answer))

    async def _push(self) -> dict[str, str]:
        registry = self._testbed.running.endpoints["registry"]
        return {
            agent: await push(registry, f"agents/{agent}", "new", salt=str(time.time_ns())) for agent in self.agents
        }


def _warm_up(testbed: Testbed, processes: Mapping[str, Measured]) -> Counter[str]:
    """Release each agent twice; the calls of a second release, which the bare process makes as often."""
    counted: dict[str, Counter[str]] = {}
    for kind in (PRODUCT, QUIET):
        processes[kind].round()
        began = time.time()
        processes[kind].round()
        requests = _requests(testbed, began)
        counted[kind] = calls_of(requests)
    calls = _per_release(counted[PRODUCT], len(processes[PRODUCT].agents))
    created = next(request["body"] for request in requests["foundry"] if request["method"] == "POST")
    (outcome, *_) = next(request["body"] for request in requests["eventgrid"])
    sent = {"metadata": created["metadata"], "outcome": outcome["data"], "calls": calls}
    bare = processes[BARE]
    appends = 2 * calls["append"]  # of the two releases so far
    bare.round(prepare=[processes[QUIET].agents[0], bare.agents, appends], **sent)
    began = time.time()
    bare.round(**sent)
    made = _per_release(calls_of(_requests(testbed, began)), len(bare.agents))
    if made != calls:
        raise NotMeasuredError(f"the bare calls are {dict(made)}, those of a release {dict(calls)}")
    return calls


def _requests(testbed: Testbed, since: float) -> dict[str, list[Request]]:
    """What the stand-ins answered, but for what the stand-ins themselves send to the queue of events."""
    return {
        part: [
            request
            for request in testbed.requests(part, since)
            if request["at"] >= since and "/events/messages" not in request["path"]
        ]
        for part in PARTS
    }


def _per_release(calls: Counter[str], releases: int) -> Counter[str]:
    """Rounded: a decision that waits for a newer second polls once more."""
    return Counter({call: round(count / releases) for call, count in calls.items() if round(count / releases)})


def _rows(seconds: Mapping[str, list[float]], calls: Counter[str]) -> Iterator[Row]:
    ours, quiet, bare = (median(seconds[kind]) for kind in KINDS)
    ratios = [ours / bare for ours, bare in zip(seconds[PRODUCT], seconds[BARE], strict=True)]
    method = (
        f"Medians of {len(ratios)} rounds of three processes, one after the other; in a round each of the agents "
        "releases once, in its process the handlers and the SDKs alone, without a Functions host, against stand-ins in "
        "another process; versions are active at once"
    )
    yield Row(
        name="processor time ÷ bare",
        description="processor time of a push and its release ÷ that of the same SDK calls made bare",
        unit="ratio",
        value=median(ratios),
        target=1.4,
        bound=1.0,
        bound_description="the SDKs' own clients, with their defaults, the same number of each call, the same payloads",
        method=method,
        details={"without telemetry": quiet / bare, "calls": sum(calls.values()), **calls},
    )
    yield Row(
        name="processor time of a release",
        description="processor time of a push and its release, with its telemetry",
        unit="s",
        value=ours,
        target=0.12,
        bound=bare,
        bound_description="the same SDK calls made bare",
        method=method,
        details={"without telemetry, s": quiet},
    )
