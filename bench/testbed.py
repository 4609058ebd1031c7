"""A stack without a Functions host, the agents that a measurement needs, and the requests that stand-ins received."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from azure.ai.projects.models import ContainerConfiguration, HostedAgentDefinition, ProtocolVersionRecord

from local.signing import sign_image, stack_key
from local.stack_client import StackClient, eventually, stack

T = TypeVar("T")
Request = dict[str, Any]

DELAYED = ("foundry", "vault", "blob", "queue", "identity", "telemetry")
"""The stand-ins whose answers the app waits for."""
PRODUCT_DEFAULTS = {"POLL_SECONDS": ""}
"""The stack sets a shorter poll interval than the product's default; an empty value unsets it."""
INSPECTED = "inspected"
"""Agents whose names start so have their images inspected in the registry."""
SIGNED = "signed"
"""Agents whose names start so also need a signature, which is there before the tag."""
BASE = "/api/projects/demo/agents"


class NotMeasuredError(Exception):
    """A row has no value; the message says why."""


@dataclass(frozen=True)
class Effort:
    """Whether to measure with fewer repeats."""

    quick: bool = False

    def choose(self, full: int, quick: int) -> int:
        """The number of repeats or items."""
        return quick if self.quick else full


@dataclass
class Testbed:
    """A running stack, and the part of Foundry's request log that was already read."""

    running: StackClient
    _read: dict[tuple[float, str], Request] = field(default_factory=dict)
    _until: float = 0.0

    def delay(self, seconds: float) -> None:
        """Delay every answer that the app waits for; pushes to the registry stay fast."""
        faults = [{"path": ".*", "delay_s": seconds}] if seconds else []
        for part in DELAYED:
            self.running.put(part, "/_local/faults", faults)
        reads = [{"method": "GET", "path": ".*"}, {"method": "POST", "path": "/oauth2/"}]
        registry_faults = [read | {"delay_s": seconds} for read in reads] if seconds else []
        self.running.put("registry_tls", "/_local/faults", registry_faults)

    def provisioning(self, seconds: float) -> None:
        """Set how long the provisioning of new versions takes."""
        self.running.put("foundry", "/_local/provisioning", {"seconds": seconds})

    def requests(self, part: str, since: float) -> list[Request]:
        """The requests that a stand-in has answered since then."""
        found: list[Request] = self.running.get(part, f"/_local/requests?since={since}")
        return [request for request in found if "answered" in request]

    def foundry_requests(self, method: str, path: str, since: float) -> list[Request]:
        """Answered requests that arrived since then, by method and end of the path, in the order of arrival."""
        for request in self.requests("foundry", self._until):
            self._read[request["at"], request["path"]] = request
            self._until = max(self._until, request["answered"])
        found = (request for request in self._read.values() if request["method"] == method and request["at"] >= since)
        matching = (request for request in found if request["path"].split("?")[0].endswith(path))
        return sorted(matching, key=lambda request: request["at"])

    def all_foundry_requests(self, method: str, since: float) -> list[Request]:
        """Answered requests that arrived since then, by method, in the order of their answers."""
        return sorted(self.foundry_requests(method, "", since), key=lambda request: float(request["answered"]))

    def wait_for_create(self, agent: str, since: float) -> Request:
        """Wait for the request that creates a version of the agent."""
        path = f"{BASE}/{agent}/versions"
        return self.wait_for(lambda: self.foundry_requests("POST", path, since), f"{agent} is created")[0]

    def wait_until_live(self, agent: str, since: float, within: float = 60.0) -> Request:
        """Wait for the request that moves the agent's traffic."""
        path = f"{BASE}/{agent}"
        return self.wait_for(lambda: self.foundry_requests("PATCH", path, since), f"{agent} is live", within)[-1]

    def wait_for(self, condition: Callable[[], T | None], description: str, within: float = 60.0) -> T:
        """Wait for a condition; raises NotMeasuredError after a timeout."""
        try:
            return eventually(condition, description, within)
        except AssertionError as error:
            raise NotMeasuredError(str(error)) from error

    def push(self, agent: str) -> float:
        """Push a new image to the agent's repository; returns the time of the start."""
        repository, salt = f"agents/{agent}", str(time.time_ns())
        if agent.startswith(SIGNED):
            digest, key = self.running.push(repository, None, salt=salt), stack_key(self.running.folder)
            asyncio.run(sign_image(self.running.endpoints["registry"], repository, digest, key))
        now = time.time()
        self.running.push(repository, f"v{time.time_ns()}", salt=salt)
        return now


@contextmanager
def start_testbed(agents: Mapping[str, int], more: Mapping[str, object] | None = None) -> Iterator[Testbed]:
    """Start a stack for agents with a number of secrets each; ``more`` is added to each agent spec."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        file = folder / "agents.yaml"
        specs = {agent: {**agent_spec(agent, secrets), **(more or {})} for agent, secrets in agents.items()}
        file.write_text(yaml.safe_dump({"agents": specs}))
        with stack(folder, "--agents", str(file), "--no-functions") as running:
            running.endpoints["env"] |= PRODUCT_DEFAULTS
            yield Testbed(running)


def agent_spec(agent: str, secrets: int) -> Mapping[str, object]:
    """The spec of an agent."""
    env = {f"SECRET_{n}": {"secret": f"secret-{n}"} for n in range(secrets)}
    inspect = "best-effort" if agent.startswith((INSPECTED, SIGNED)) else "never"
    release = {"signed_by": [{"key": "signing/release.pub"}]} if agent.startswith(SIGNED) else {}
    return {"repository": f"agents/{agent}", "env": env, "inspect": inspect, "release": release}


def hosted_agent(image: str, **environment: str) -> HostedAgentDefinition:
    """A definition for the SDK."""
    return HostedAgentDefinition(
        container_configuration=ContainerConfiguration(image=image),
        protocol_versions=[ProtocolVersionRecord(protocol="responses", version="2.0.0")],
        cpu="1",
        memory="2Gi",
        environment_variables=environment or None,
    )
