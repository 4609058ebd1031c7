"""What happens when: drawn from a seed before anything is started, so that a run can be had again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

HOSTS = ("functions-1", "functions-2")
REPOSITORIES = ("agents/plain", "agents/ordered", "agents/secret", "agents/proven", "agents/checked")
PUSHES_EVERY, SECRETS_EVERY, FAULTS_EVERY = 1.5, 6.0, 1.0
"""Seconds on average."""
BURST = 8
"""Pushes one after another, as a busy branch makes them."""
LONGEST_STALL, LONGEST_FREEZE, LONGEST_OUTAGE = 12.0, 8.0, 3.0

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
"""Stand-ins, and which requests meet faults: a push itself, which is a person's, does not."""
ACTS = "POST|PATCH|DELETE"
"""Half of Foundry's faults meet what changes something: reads are many, and would use most faults up."""
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
class Due:
    """Something that happens ``at`` seconds after the beginning."""

    at: float
    kind: str
    what: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{key}={value}" for key, value in self.what.items() if key != "fault")
        return f"{self.at:6.1f} s  {self.kind} {told}"


def schedule(seed: int, seconds: float) -> list[Due]:
    """Everything that a run of so many seconds meets, in the order of time."""
    random = Random(seed)
    due = [
        *_every(PUSHES_EVERY, seconds, random, _push),
        *_every(SECRETS_EVERY, seconds, random, lambda at, _: Due(at, "secret")),
        *_every(FAULTS_EVERY, seconds, random, _trouble),
    ]
    return sorted(due, key=lambda one: one.at)


def _every(pause: float, seconds: float, random: Random, draw: Callable[[float, Random], Due | None]) -> Iterator[Due]:
    at = random.expovariate(1 / pause)
    while at < seconds:
        if (one := draw(at, random)) is not None:
            yield one
        at += random.expovariate(1 / pause)


def _push(at: float, random: Random) -> Due:
    """One push, or a burst of them; one in six is of an image that must not stay live."""
    repository = random.choice(REPOSITORIES)
    image = random.choices(("good", "broken", "wrong"), (10, 1, 1))[0]
    count = BURST if random.random() < 0.05 else 1
    return Due(at, "push", {"repository": repository, "image": image, "count": count, "salt": random.getrandbits(32)})


def _trouble(at: float, random: Random) -> Due:
    draw = random.choices((_fault, _process, _manners, _clock, _lag), (12, 5, 2, 3, 1))[0]
    return draw(at, random)


def _fault(at: float, random: Random) -> Due:
    part, kind = random.choices(list(PARTS), [4, *[1] * (len(PARTS) - 1)])[0], random.choice(list(FAULTS))
    fault = {"path": PARTS[part], "times": random.randint(1, 6), **FAULTS[kind]}
    if part == "foundry" and random.random() < 0.5:
        fault["method"] = ACTS
    if kind == "stall" or random.random() < 0.2:
        fault["delay_s"] = round(random.uniform(0.2, LONGEST_STALL if random.random() < 0.2 else 3.0), 1)
    return Due(at, kind, {"part": part, "times": fault["times"], "fault": fault})


def _process(at: float, random: Random) -> Due:
    """The first host and the storage are killed; the second host is frozen, and lives through all of it."""
    kind, who, longest = random.choice(
        (
            ("kill -9", HOSTS[0], LONGEST_OUTAGE),
            ("kill -9", "storage", LONGEST_OUTAGE),
            ("freeze", HOSTS[1], LONGEST_FREEZE),
        )
    )
    return Due(at, kind, {"who": who, "for_s": round(random.uniform(0.0, longest), 1)})


def _manners(at: float, random: Random) -> Due:
    """How Event Grid delivers from now on."""
    manners = {
        "duplicates": random.choice((0, 1, 3)),
        "reorder": random.random() < 0.5,
        "cloudevents": random.random() < 0.5,
        "data_as_string": random.random() < 0.3,
    }
    return Due(at, "delivery", manners)


def _clock(at: float, random: Random) -> Due:
    """A host's clock is set; that of storage only goes forward: leases and hidden messages run out early."""
    if random.random() < 0.3:
        return Due(at, "clock", {"who": "storage", "by_s": random.choice((61, 601))})
    return Due(at, "clock", {"who": random.choice(HOSTS), "by_s": random.choice((-3600, -30, 0, 30, 3600, 3600))})


def _lag(at: float, random: Random) -> Due:
    return Due(at, "list lag", {"seconds": random.choice((0, 2, 10))})
