"""From the queue message to the create request, in round trips; and from a process's start to its first create."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from azure.ai.projects.models import ContainerConfiguration, HostedAgentDefinition, ProtocolVersionRecord

from bench.imports import SDKS, imported
from bench.report import Row
from bench.scene import INSPECTED, Choice, Line, Scene, scene
from local.endpoints import ROOT
from local.stack_client import Host, host

DELAY = 0.1
QUICKLY = {"POLL_SECONDS": "0.5"}
"""What comes after the create request is not measured here."""
READS, INTENT = ("lease and records", "agent, versions, secrets"), ("intent beside the last look",)
PIN = ("the version that serves", "intent beside the last look", "the pin itself")
INSPECTION = ("the image's configuration, which its manifest names",)
"""What has to wait for what came before it, one round trip each."""
RELEASE, EVENTS = "release_agent", "event_queued"
ASKED = ("blob", "foundry", "vault", "identity", "registry_tls")


@dataclass(frozen=True)
class Taken:
    """One release, as far as its create request."""

    seconds: float
    since_start: float
    trips: int


def rows(choice: Choice) -> Iterator[Row]:
    """Warm with one secret and with many, with a pin, cold, and the cold start."""
    often = choice.of(7, 3)
    pinned = [f"pin-{n}" for n in range(often)]
    agents = {"warm-up": 1, "one": 1, "many": 40, INSPECTED: 1, "cold": 1, **dict.fromkeys(pinned, 1)}
    with scene(agents) as stage, host(stage.running, only=[EVENTS], settings=QUICKLY):
        stage.provisioning(0.1)
        with host(stage.running, only=[RELEASE], settings=QUICKLY) as functions:
            for agent in ("warm-up", "one", "many", INSPECTED):
                _taken(stage, functions, agent)
            stage.delay(DELAY)
            yield _row("warm, 1 secret", 4, [_taken(stage, functions, "one") for _ in range(often)])
            yield _row("warm, 40 secrets", 4, [_taken(stage, functions, "many") for _ in range(often)])
            yield _row("warm, inspected", None, [_taken(stage, functions, INSPECTED) for _ in range(often)], INSPECTION)
            for agent in pinned:
                _follows_latest(stage, agent)
            yield _row("warm, with a pin", 6, [_taken(stage, functions, agent) for agent in pinned], PIN)
        stage.delay(0)
        _cold(stage, "cold")  # the agent is there, and its version live
        pairs = []
        for _ in range(often):
            stage.delay(DELAY)
            slow = _cold(stage, "cold")
            stage.delay(0)
            pairs.append((slow, _cold(stage, "cold")))
    yield _cold_row(pairs)
    yield _start_row([fast for _, fast in pairs])


def _taken(stage: Scene, functions: Host, agent: str) -> Taken:
    return _followed(stage, functions, agent, stage.push(agent))


def _cold(stage: Scene, agent: str) -> Taken:
    """Only what notes events runs when the push comes; then a process that serves releases alone, as on Flex."""
    since = stage.push(agent)
    _noted(stage, agent, since)
    with host(stage.running, only=[RELEASE], settings=QUICKLY) as functions:
        return _followed(stage, functions, agent, since)


def _noted(stage: Scene, agent: str, since: float) -> None:
    """Wait until a message of ``releases`` is there; its POST is the last that noting an event does."""

    def sent() -> list[Line]:
        seen = stage.seen("queue", since)
        return [one for one in seen if one["method"] == "POST" and "/releases/messages" in one["path"]]

    stage.wait(sent, f"a message for {agent} is there")


def _followed(stage: Scene, functions: Host, agent: str, since: float) -> Taken:
    create = stage.created(agent, since)
    handed = [one for one in functions.invocations(RELEASE) if since <= one["began"] <= create["at"]][-1]
    stage.wait(lambda: all(one["ended"] for one in functions.invocations(RELEASE)), f"the release of {agent} ended")
    seen = [line for part in ASKED for line in stage.seen(part, handed["began"]) if line["at"] >= handed["began"]]
    before = [line for line in seen if line["answered"] <= create["at"]]
    return Taken(create["at"] - handed["began"], create["at"] - functions.started, in_a_row(before))


def in_a_row(lines: Sequence[Line]) -> int:
    """The most requests of which each began after another was answered."""
    count, free_at = 0, 0.0
    for line in sorted(lines, key=lambda one: float(one["answered"])):
        if line["at"] >= free_at:
            count, free_at = count + 1, line["answered"]
    return count


def _row(case: str, target: int | None, taken: Sequence[Taken], more: tuple[str, ...] = ()) -> Row:
    waits = READS + more + INTENT
    return Row(
        name=f"create-request, {case}",
        what=f"queue message → create request, {case}: requests that waited for each other",
        unit="round trips",
        value=median(one.trips for one in taken),
        target=target,
        bound=len(waits),
        bound_is="; ".join(waits),
        how=f"Median of {len(taken)} releases, each of a new image; from the invocation's begin at the host to the "
        "POST's arrival at Foundry",
        also={
            f"ms, with {DELAY * 1000:.0f} ms on every answer": 1000 * median(one.seconds for one in taken),
            "round trips by the delay, ms": 1000 * DELAY * median(one.trips for one in taken),
            "ms, the slowest": 1000 * max(one.seconds for one in taken),
        },
    )


def _cold_row(pairs: Sequence[tuple[Taken, Taken]]) -> Row:
    return Row(
        name="create-request, cold",
        what="queue message → create request in a fresh process: what the delay of every answer adds, ÷ the delay",
        unit="round trips",
        value=median(slow.seconds - fast.seconds for slow, fast in pairs) / DELAY,
        target=7,
        bound=median(slow.trips for slow, _ in pairs),
        bound_is=f"requests that waited for each other, as the stand-ins saw them, {DELAY * 1000:.0f} ms each",
        how=f"Median of {len(pairs)} pairs of fresh processes, one with {DELAY * 1000:.0f} ms on every answer and one "
        "with none: the difference leaves out the imports, which the row cold start has",
        also={
            "with the delay, ms": 1000 * median(slow.seconds for slow, _ in pairs),
            "without, ms": 1000 * median(fast.seconds for _, fast in pairs),
        },
    )


def _start_row(fast: Sequence[Taken]) -> Row:
    imports = [imported(SDKS, ROOT) for _ in fast]
    return Row(
        name="cold start",
        what="start of the process → first create request, a message waiting",
        unit="ms",
        value=1000 * median(one.since_start for one in fast),
        bound=1000 * median(imports),
        bound_is="the SDKs' own imports in a fresh interpreter",
        how=f"Median of {len(fast)} fresh processes, no delay; no target is set",
        also={"of this after the message was handed over, ms": 1000 * median(one.seconds for one in fast)},
    )


def _follows_latest(stage: Scene, agent: str) -> None:
    """An agent that a person made: its endpoint was never pinned, so the next version would have its traffic."""
    definition = HostedAgentDefinition(
        container_configuration=ContainerConfiguration(image=f"demo.azurecr.io/agents/{agent}:by-hand"),
        protocol_versions=[ProtocolVersionRecord(protocol="responses", version="2.0.0")],
        cpu="1",
        memory="2Gi",
        environment_variables={"MADE": str(time.time_ns())},
    )
    with stage.running.foundry() as project:
        project.agents.create_version(agent, definition=definition)
