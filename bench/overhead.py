"""From a push to live: what Slipway adds to the provisioning, beside what azd's pattern and the seed's add."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import mean
from typing import Any

from azure.ai.projects import AIProjectClient
from azure.ai.projects.models import ContainerConfiguration, HostedAgentDefinition, ProtocolVersionRecord

from bench.report import Row
from bench.scene import Choice, NotMeasuredError, Scene, scene
from local.stack_client import host

DELAY = 0.02
POLL, CONFIRM_PASSED, TRIPS = 2.0, 1.0, 4
"""Seconds between looks at a version, until its second read, and round trips until the selector has moved."""
THEIR_POLL = 10.0
"""Seconds: azd's extension azure.ai.agents 1.0.0-beta.11, and the document that this project began with."""
QUEUES = (
    "two idle queues that the host looks into every 100 ms (host.json), on average half a poll until the look that "
    "sees the version active, a second until the one that confirms it; their loops have no queue"
)
"""Where our overhead goes."""


@dataclass(frozen=True)
class Overhead:
    """Seconds beyond the provisioning."""

    ours: float
    after_active: float
    azd: float
    seed: float


def rows(choice: Choice) -> Iterator[Row]:
    """Provisioning times around 20 s, spread evenly over their polls and, as the number is odd, over ours."""
    count = choice.of(11, 3)
    times = [20 + THEIR_POLL * (n / count - 0.5) for n in range(count)]
    agents = {f"ours-{n}": 1 for n in range(len(times))}
    with scene(agents) as stage, host(stage.running, only=["release_agent", "event_queued"]):
        stage.provisioning(0)
        _first_versions(stage, len(times))
        stage.delay(DELAY)
        with ThreadPoolExecutor(2 * len(times)) as threads:
            begun = [_begin(stage, n, seconds, threads) for n, seconds in enumerate(times)]
            taken = [one() for one in begun]
    yield from _rows(taken, times)


def _first_versions(stage: Scene, count: int) -> None:
    for n in range(count):
        since = stage.push(f"ours-{n}")
        stage.moved(f"ours-{n}", since)


def _begin(stage: Scene, n: int, seconds: float, threads: ThreadPoolExecutor) -> Callable[[], Overhead]:
    """Have all three make a version that takes so long; what comes back waits for them."""
    stage.provisioning(seconds)
    since = stage.push(f"ours-{n}")
    theirs = {who: threads.submit(_by_hand, stage, f"{who}-{n}", who == "azd") for who in ("azd", "seed")}
    made = {who: stage.created(f"{who}-{n}", since)["answered"] for who in ("ours", "azd", "seed")}

    def result() -> Overhead:
        moved = stage.moved(f"ours-{n}", since, seconds + 60)["answered"]
        return Overhead(
            moved - since - seconds,
            moved - made["ours"] - seconds,
            _took(theirs["azd"]) - seconds,
            _took(theirs["seed"]) - seconds,
        )

    return result


def _took(future: Future[float]) -> float:
    return future.result(timeout=120)


def _by_hand(stage: Scene, agent: str, twice: bool) -> float:
    """Seconds of the pattern with the real SDK: create, poll every 10 s; azd reads a second time, then routes."""
    digest = stage.running.push(f"agents/{agent}", "by-hand", salt=str(time.time_ns()))  # no rule follows it
    with stage.running.foundry() as project:
        began = time.monotonic()
        number = project.agents.create_version(agent, definition=_definition(agent, digest)).version
        _active(project, agent, number)
        if twice:
            _active(project, agent, number)
            _route(project, agent, number)
        return time.monotonic() - began


def _active(project: AIProjectClient, agent: str, number: str) -> None:
    while True:
        time.sleep(THEIR_POLL)
        status = project.agents.get_version(agent, number).status
        if status == "active":
            return
        if status != "creating":
            raise NotMeasuredError(f"version {number} of {agent} is {status}")


def _route(project: AIProjectClient, agent: str, number: str) -> None:
    rules = [{"type": "FixedRatio", "agent_version": number, "traffic_percentage": 100}]
    body: Any = {"agent_endpoint": {"version_selector": {"version_selection_rules": rules}}}
    project.agents.update_details(agent, body)


def _definition(agent: str, digest: str) -> HostedAgentDefinition:
    return HostedAgentDefinition(
        container_configuration=ContainerConfiguration(image=f"demo.azurecr.io/agents/{agent}@{digest}"),
        protocol_versions=[ProtocolVersionRecord(protocol="responses", version="2.0.0")],
        cpu="1",
        memory="2Gi",
    )


def _rows(taken: list[Overhead], times: list[float]) -> Iterator[Row]:
    ours, azd, seed = (mean(getattr(one, who) for one in taken) for who in ("ours", "azd", "seed"))
    how = f"Means of {len(times)} provisioning times, {times[0]:.1f} to {times[-1]:.1f} s; {DELAY * 1000:.0f} ms a call"
    bound = POLL / 2 + CONFIRM_PASSED + TRIPS * DELAY
    after_active = mean(one.after_active for one in taken)
    yield _bounded("active to live", "version active → selector moved", after_active, bound, bound, how, {})
    theirs = {"push → version made, s": ours - after_active, "azd's pattern, s": azd, "the seed's pattern, s": seed}
    yield _bounded("overhead", "push → live, minus the provisioning", ours, 3.0, bound, how, theirs)
    yield _ratio(
        "azd's", ours / azd, 1 / 5, how + "; theirs is a loop of the real SDK: 10 s a poll, two reads that agree"
    )
    yield _ratio("the seed's", ours / seed, 1 / 2, how + "; theirs is a loop of the real SDK: 10 s a poll")


def _bounded(
    name: str, what: str, value: float, target: float, bound: float, how: str, also: Mapping[str, float]
) -> Row:
    bound_is = "half a poll on average, the pause before the second read, 4 round trips; a few versions may be luckier"
    return Row(name, what, "s", value, target, bound, bound_is, how, also, missed=QUEUES)


def _ratio(whose: str, value: float, target: float, how: str) -> Row:
    what = f"our overhead ÷ that of {whose} pattern, in the same run"
    return Row(f"overhead ÷ {whose}", what, "ratio", value, target, how=how, missed=QUEUES)
