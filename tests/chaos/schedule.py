"""The schedule of a run: drawn from a seed before the start, so that a run can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

HOSTS = ("functions-1", "functions-2")
REPOSITORIES = ("agents/plain", "agents/ordered", "agents/secret", "agents/verified", "agents/checked")
PUSHES_EVERY, SECRETS_EVERY, FAULTS_EVERY = 1.5, 6.0, 1.0
"""Seconds on average."""
BURST = 8
"""Pushes in a row, as from a busy branch."""
MAX_STALL_SECONDS, MAX_FREEZE_SECONDS, MAX_OUTAGE_SECONDS = 12.0, 8.0, 3.0

PARTS = {
    "foundry": "/api/projects/",
    "vault": "/secrets",
    "identity": ".*",
    "registry": "^/oauth2/",
    "telemetry": "/track",
    "eventgrid": "^/api/events",
    "blob": ".*",
    "queue": ".*",
}
"""Stand-ins, and the requests that faults apply to; an image push itself never fails."""
WRITES = "POST|PATCH|DELETE"
"""Half of Foundry's faults apply to writes only: there are many reads, which would use up most faults."""
FAULTS: dict[str, dict[str, Any]] = {
    "stall": {},
    "drop": {"drop": True},
    "drop after effect": {"drop": True, "after_effect": True},
    "half an answer": {"cut": True},
    "429": {"status": 429, "headers": {"Retry-After": "1"}},
    "500": {"status": 500},
    "500 after effect": {"status": 500, "after_effect": True},
    "503": {"status": 503, "body": "<html>busy</html>"},
}


@dataclass(frozen=True)
class Event:
    """A fault, a push or a rotation, ``at`` seconds after the start."""

    at: float
    kind: str
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = " ".join(f"{key}={value}" for key, value in self.details.items() if key != "fault")
        return f"{self.at:6.1f} s  {self.kind} {details}"


def schedule(seed: int, seconds: float) -> list[Event]:
    """All events of a run, in order of time."""
    random = Random(seed)
    events = [
        *_every(PUSHES_EVERY, seconds, random, _push),
        *_every(SECRETS_EVERY, seconds, random, lambda at, _: Event(at, "secret")),
        *_every(FAULTS_EVERY, seconds, random, _any_fault),
    ]
    return sorted(events, key=lambda event: event.at)


def _every(mean: float, seconds: float, random: Random, draw: Callable[[float, Random], Event]) -> Iterator[Event]:
    """Events at random times, ``mean`` seconds apart on average."""
    at = random.expovariate(1 / mean)
    while at < seconds:
        yield draw(at, random)
        at += random.expovariate(1 / mean)


def _push(at: float, random: Random) -> Event:
    """A push, or a burst of pushes; one in six is of an image that must not stay live."""
    repository = random.choice(REPOSITORIES)
    image = random.choices(("good", "broken", "wrong"), (10, 1, 1))[0]
    count = BURST if random.random() < 0.05 else 1
    return Event(at, "push", {"repository": repository, "image": image, "count": count, "salt": random.getrandbits(32)})


def _any_fault(at: float, random: Random) -> Event:
    draw = random.choices(
        (_service_fault, _process_fault, _delivery_options, _clock_jump, _list_lag), (12, 5, 2, 3, 1)
    )[0]
    return draw(at, random)


def _service_fault(at: float, random: Random) -> Event:
    part, kind = random.choices(list(PARTS), [4, *[1] * (len(PARTS) - 1)])[0], random.choice(list(FAULTS))
    fault = {"path": PARTS[part], "times": random.randint(1, 6), **FAULTS[kind]}
    if part == "foundry" and random.random() < 0.5:
        fault["method"] = WRITES
    if kind == "stall" or random.random() < 0.2:
        fault["delay_s"] = round(random.uniform(0.2, MAX_STALL_SECONDS if random.random() < 0.2 else 3.0), 1)
    return Event(at, kind, {"part": part, "times": fault["times"], "fault": fault})


def _process_fault(at: float, random: Random) -> Event:
    """Kill the first host or storage, or freeze the second host, which is never killed."""
    kind, process, longest = random.choice(
        (
            ("kill -9", HOSTS[0], MAX_OUTAGE_SECONDS),
            ("kill -9", "storage", MAX_OUTAGE_SECONDS),
            ("freeze", HOSTS[1], MAX_FREEZE_SECONDS),
        )
    )
    return Event(at, kind, {"process": process, "for_s": round(random.uniform(0.0, longest), 1)})


def _delivery_options(at: float, random: Random) -> Event:
    """Change how Event Grid delivers."""
    options = {
        "duplicates": random.choice((0, 1, 3)),
        "reorder": random.random() < 0.5,
        "cloudevents": random.random() < 0.5,
        "data_as_string": random.random() < 0.3,
    }
    return Event(at, "delivery", options)


def _clock_jump(at: float, random: Random) -> Event:
    """Set a host's clock, or move storage's clock forward: leases and hidden messages expire early."""
    if random.random() < 0.3:
        return Event(at, "clock", {"process": "storage", "by_s": random.choice((61, 601))})
    return Event(at, "clock", {"process": random.choice(HOSTS), "by_s": random.choice((-3600, -30, 0, 30, 3600, 3600))})


def _list_lag(at: float, random: Random) -> Event:
    return Event(at, "list lag", {"seconds": random.choice((0, 2, 10))})
