"""One push and its release: what it asks of each service, and what it adds to the provisioning, in virtual time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from bench.overhead import ALL_TRIPS, POLL, QUEUES, SECOND_READ
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from local.endpoints import ROOT

DELAY = 0.02
"""Seconds of each call."""


def rows(effort: Effort) -> Iterator[Row]:
    """Requests by service, and the overhead with a history of provisioning times."""
    count = effort.choose(101, 11)
    command = [sys.executable, "-m", "tests.scale.one_release", str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotMeasuredError("the release did not go live")
    measured = json.loads(done.stdout.splitlines()[-1])
    asked, polled, (known, unknown) = measured["asked"], measured["polled"], measured["overheads"]
    counted = (
        "The stand-ins count the SDKs' requests; a version is active at once. One that is waited for adds the save of "
        "its number, a journal line that says so, and, with each poll, a read of the desired state and of the version"
    )
    for name, service, bound, description in (
        ("blob requests", "blobs", 12, "desired state four times and its change, lease twice, three saves, two lines"),
        ("Foundry requests", "foundry", 7, "versions, the agent before each of three steps, create, version, move"),
    ):
        yield Row(
            name=f"{name} of a release",
            description=f"{name} of one push and its release",
            unit="requests",
            value=asked[service],
            target=bound,
            bound=bound,
            bound_description=description,
            method=counted,
            details={
                **{f"to {part}": float(count) for part, count in asked.items()},
                f"where the version takes {measured['polled_seconds']:.0f} s": float(polled[service]),
            },
        )
    yield _overhead(count, known, unknown)


def _overhead(count: int, known: float, unknown: float) -> Row:
    return Row(
        name="overhead, times known",
        description="push → live, minus the provisioning time, with a history of provisioning times",
        unit="s",
        value=known + QUEUES,
        target=1.2,
        bound=QUEUES + POLL / 2 + SECOND_READ + ALL_TRIPS * DELAY,
        bound_description=f"two queues, half a poll, the pause before the second read, {ALL_TRIPS} round trips; "
        "single versions can be faster",
        method=f"Virtual time. Means of {count} provisioning times, 15.0 to 24.0 s, of which "
        f"20 others are known; {DELAY * 1000:.0f} ms per call",
        details={"without known times, s": unknown + QUEUES},
    )
