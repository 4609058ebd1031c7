"""A stack without a Functions host, agents as many as a row needs, and what the stand-ins saw."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from local.stack_client import StackClient, eventually, stack

T = TypeVar("T")
Line = dict[str, Any]

ASKED_BY_THE_APP = ("foundry", "vault", "blob", "queue", "identity", "telemetry")
"""The stand-ins whose answers the app waits for."""
PRODUCT_DEFAULTS = {"POLL_SECONDS": ""}
"""The stack polls more often than the product does by itself; a setting without a value is one that is not set."""
INSPECTED = "inspected"
"""The agents of that name have the registry asked what was pushed."""
BASE = "/api/projects/demo/agents"


class NotMeasuredError(Exception):
    """A row has no value; the text says why."""


@dataclass(frozen=True)
class Choice:
    """How much patience the person has."""

    quick: bool = False

    def of(self, full: int, quick: int) -> int:
        """How often, or how many."""
        return quick if self.quick else full


@dataclass
class Scene:
    """A running stack, and what was already read of Foundry's request log."""

    running: StackClient
    _read: dict[tuple[float, str], Line] = field(default_factory=dict)
    _until: float = 0.0

    def delay(self, seconds: float) -> None:
        """Every answer that the app waits for comes this much later."""
        faults = [{"path": ".*", "delay_s": seconds}] if seconds else []
        for part in ASKED_BY_THE_APP:
            self.running.put(part, "/_local/faults", faults)
        read = [{"method": "GET", "path": ".*"}, {"method": "POST", "path": "/oauth2/"}]  # and pushes stay quick
        self.running.put(
            "registry_tls", "/_local/faults", [one | {"delay_s": seconds} for one in read] if seconds else []
        )

    def provisioning(self, seconds: float) -> None:
        """How long versions that are created from now on take."""
        self.running.put("foundry", "/_local/provisioning", {"seconds": seconds})

    def seen(self, part: str, since: float) -> list[Line]:
        """What a stand-in answered since then."""
        found: list[Line] = self.running.get(part, f"/_local/requests?since={since}")
        return [one for one in found if "answered" in one]

    def foundry_saw(self, method: str, path: str, since: float) -> list[Line]:
        """Answered requests of one kind that arrived since then, oldest first."""
        for line in self.seen("foundry", self._until):
            self._read[line["at"], line["path"]] = line
            self._until = max(self._until, line["answered"])
        desired = (one for one in self._read.values() if one["method"] == method and one["at"] >= since)
        return sorted((one for one in desired if one["path"].split("?")[0].endswith(path)), key=lambda one: one["at"])

    def foundry_saw_all(self, method: str, since: float) -> list[Line]:
        """Answered requests of one method that arrived since then, whatever their path, in the order of their ends."""
        self.foundry_saw(method, "", since)
        found = (one for one in self._read.values() if one["method"] == method and one["at"] >= since)
        return sorted(found, key=lambda one: float(one["answered"]))

    def created(self, agent: str, since: float) -> Line:
        """The request that asked for a version of the agent, once it is there."""
        return self.wait(lambda: self.foundry_saw("POST", f"{BASE}/{agent}/versions", since), f"{agent} is created")[0]

    def moved(self, agent: str, since: float, within: float = 60.0) -> Line:
        """The request that moved the agent's selector, once it is there."""
        return self.wait(lambda: self.foundry_saw("PATCH", f"{BASE}/{agent}", since), f"{agent} is live", within)[-1]

    def wait(self, ask: Callable[[], T | None], what: str, within: float = 60.0) -> T:
        """Patience that ends as a row that was not measured."""
        try:
            return eventually(ask, what, within)
        except AssertionError as error:
            raise NotMeasuredError(str(error)) from error

    def push(self, agent: str) -> float:
        """Push an image of its own to the agent's repository; returns when of day that began."""
        now = time.time()
        self.running.push(f"agents/{agent}", f"v{time.time_ns()}", salt=str(time.time_ns()))
        return now


@contextmanager
def scene(agents: Mapping[str, int], more: Mapping[str, object] | None = None) -> Iterator[Scene]:
    """A stack for agents with so many secrets each, and ``more`` in each rule; its folder goes with it."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        file = folder / "agents.yaml"
        rules = {agent: {**rule(agent, n), **(more or {})} for agent, n in agents.items()}
        file.write_text(yaml.safe_dump({"agents": rules}))
        with stack(folder, "--agents", str(file), "--no-functions") as running:
            running.endpoints["env"] |= PRODUCT_DEFAULTS
            yield Scene(running)


def rule(agent: str, secrets: int) -> Mapping[str, object]:
    """The rule of one agent."""
    env = {f"SECRET_{n}": {"secret": f"secret-{n}"} for n in range(secrets)}
    inspect = "best-effort" if agent.startswith(INSPECTED) else "never"
    return {"repository": f"agents/{agent}", "env": env, "inspect": inspect}
