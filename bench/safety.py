"""What a safe release costs: the way back after a failed check, calls that nobody asked for, a simulated history."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from statistics import median

from bench.create_request import DELAY, in_a_row
from bench.report import Row
from bench.scene import BASE, Choice, Line, NotMeasuredError, Scene, scene
from local.endpoints import ROOT
from local.stack_client import host

CHECKED = {"release": {"check": {"ask": "ping", "expect": "pong"}}}
PARTS = ("foundry", "blob", "queue", "vault", "identity", "registry_tls")
WHERE_ASKED = ("/sessions", "/responses", "/invocations")


def rows(choice: Choice) -> Iterator[Row]:
    """Back after a check, calls of a plain release, histories."""
    with scene({"agent": 0}, CHECKED) as stage, host(stage.running, only=["event_queued", "release_agent"]):
        stage.provisioning(0)
        stage.moved("agent", stage.push("agent"))
        stage.running.put("foundry", "/_local/provisioning", {"answer": {".*": "something else"}})
        stage.delay(DELAY)
        yield _way_back([_taken_back(stage) for _ in range(choice.of(5, 2))])
    with scene({"plain": 1}) as stage, host(stage.running, only=["event_queued", "release_agent"]):
        stage.provisioning(0)
        stage.moved("plain", stage.push("plain"))
        yield _plain(stage)
    yield _history(choice.of(500, 100))


def _taken_back(stage: Scene) -> tuple[float, int]:
    """Seconds and round trips from the wrong answer to the selector that is where it was."""
    since = stage.push("agent")

    def both() -> list[Line] | None:
        moves = stage.foundry_saw("PATCH", f"{BASE}/agent", since)
        return moves if len(moves) == 2 else None

    back = stage.wait(both, "the check failed and was taken back")[1]
    answered = max(one["answered"] for one in stage.foundry_saw("POST", "/responses", since))
    seen = [line for part in PARTS for line in stage.seen(part, answered) if line["at"] >= answered]
    return back["answered"] - answered, in_a_row([one for one in seen if one["answered"] <= back["answered"]])


def _way_back(taken: Sequence[tuple[float, int]]) -> Row:
    return Row(
        name="rollback",
        what="wrong answer to a check → the selector is where it was: requests that waited for each other",
        unit="round trips",
        value=median(trips for _, trips in taken),
        target=2,
        bound=2,
        bound_is="intent and hold beside the last look; the selector",
        how=f"Median of {len(taken)} releases, {DELAY * 1000:.0f} ms on every answer",
        also={
            "ms": 1000 * median(seconds for seconds, _ in taken),
            "round trips by the delay, ms": 1000 * DELAY * median(trips for _, trips in taken),
        },
    )


def _plain(stage: Scene) -> Row:
    since = stage.push("plain")
    stage.moved("plain", since)
    calls = {part: [one for one in stage.seen(part, since) if one["at"] >= since] for part in PARTS}
    pulls = [one for one in calls.pop("registry_tls") if one["headers"].get("User-Agent", "").startswith("azsdk")]
    asked = [one for one in calls["foundry"] if any(part in one["path"] for part in WHERE_ASKED)]
    return Row(
        name="calls nobody asked for",
        what="questions, sessions and registry reads of a release without verify, check and inspection",
        unit="calls",
        value=len(pulls) + len(asked),
        target=0,
        bound=0,
        bound_is="none",
        how="One release, as the stand-ins saw it",
        also={f"to {part}": float(len(lines)) for part, lines in calls.items()},
    )


def _history(seeds: int) -> Row:
    """In the processor's own time, because a machine that does something else besides would be measured too."""
    spent = _processor_time(seeds) - _processor_time(0)
    return Row(
        name="simulated history",
        what="one seed of the simulation on one core",
        unit="ms",
        value=1000 * spent / seeds,
        target=10,
        how=f"Processor time of {seeds} seeds, imports aside; 10 ms are 100 seeds a second",
        also={"seeds a second": seeds / spent},
        missed="two fifths of the histories begin with an agent that lived before, and all are longer by that",
    )


def _processor_time(seeds: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, "-m", "tests.simulation.soak", "--cores", "1", "--seeds", str(seeds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise NotMeasuredError("a history broke an invariant: make soak shows which")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
