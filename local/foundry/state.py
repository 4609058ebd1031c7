"""What the Foundry stand-in knows: agents, versions that take their time, sessions, toolboxes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
TIERS = {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}
RESERVED = ("FOUNDRY_", "AGENT_")
LATEST = "@latest"
IDLE = 900.0
"""Seconds after which a session is idle, where its version does not say."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The service's own error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Provisioning:
    """How versions behave; set by ``PUT /_local/provisioning``."""

    seconds: float = 2.0
    list_lag_s: float = 0.0
    list_says_active: bool = False
    dedupe: bool = True
    limit: int = 1000
    fail: dict[str, dict[str, str]] = field(default_factory=dict)
    """Expression on digest or tag -> ``{"code", "message"}`` of a version that fails."""
    answer: dict[str, Any] = field(default_factory=dict)
    """Expression on digest or tag -> what the agent answers: a text, or ``{"text", "status", "code"}``, or ``{"odd"}``
    (huge, endless, half, binary, redirect, empty), or ``{"pinned", "unpinned"}`` with one of these each."""


@dataclass
class VersionState:
    """One version; its status follows from the clock at the time of reading."""

    number: str
    definition: Json
    metadata: dict[str, str]
    created_at: float
    ready_at: float
    error: dict[str, str] | None = None
    deleted: bool = False

    @property
    def names(self) -> str:
        """What expressions are held against: the image and the tag that the metadata names."""
        return f"{image_of(self.definition)} {self.metadata.get('slipway.tag', '')}"

    def status(self, now: float) -> str:
        """creating, then active or failed."""
        if now < self.ready_at:
            return "creating"
        return "failed" if self.error else "active"


@dataclass
class AgentState:
    """One agent with its endpoint."""

    name: str
    versions: dict[str, VersionState] = field(default_factory=dict)
    endpoint: Json = field(default_factory=lambda: {"protocol_configuration": {"responses": {}}})
    enabled: bool = True
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    sessions: dict[str, Json] = field(default_factory=dict)
    """Session id -> the session as it is answered."""

    def session(self, key: str, now: float) -> Json:
        """A session as it is told; after its version's idle timeout it is idle and holds nothing any more."""
        session = self.sessions[key]
        version = self.versions.get(session["version_indicator"]["agent_version"])
        configured = (version.definition.get("session_configuration") or {}) if version else {}
        idle = now - session.get("last_accessed_at", now) >= float(configured.get("idle_timeout_seconds", IDLE))
        return session | {"status": "idle" if idle or "stopped_at" in session else "active"}

    def busy(self, now: float, number: str | None = None) -> bool:
        """True while a session is active, on one version or on any."""
        told = (self.session(key, now) for key in self.sessions)
        on = (one["version_indicator"]["agent_version"] for one in told if one["status"] == "active")
        return any(number in (None, one) for one in on)

    @property
    def latest(self) -> VersionState | None:
        """The newest version."""
        return next(reversed(self.versions.values()), None)

    def serving(self) -> VersionState | None:
        """The version that an unpinned question goes to."""
        rules = (self.endpoint.get("version_selector") or {}).get("version_selection_rules") or []
        named = str(rules[0]["agent_version"]) if rules else LATEST
        return self.latest if named == LATEST else self.versions.get(named)


class Project:
    """One Foundry project."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.provisioning = Provisioning()
        self.agents: dict[str, AgentState] = {}
        self.toolboxes: dict[str, Json] = {}
        """Name -> the versions, oldest first, and which one is the default."""

    def agent(self, name: str) -> AgentState:
        """The agent; raises Refused 404."""
        if name not in self.agents:
            raise Refused(404, "not_found", f"agent {name} does not exist")
        return self.agents[name]

    def version(self, name: str, number: str) -> VersionState:
        """The version; raises Refused 404."""
        versions = self.agent(name).versions
        if number not in versions:
            raise Refused(404, "not_found", f"agent {name} has no version {number}")
        return versions[number]

    def create(self, name: str, definition: Json, metadata: dict[str, str], image_error: str | None) -> VersionState:
        """Make a version, or find the identical one: the service makes none for a definition that it knows."""
        self._check(name, definition, metadata)
        agent = self.agents.setdefault(name, AgentState(name))
        canonical = json.dumps(definition, sort_keys=True)
        for known in agent.versions.values():
            if self.provisioning.dedupe and json.dumps(known.definition, sort_keys=True) == canonical:
                return known
        if len(agent.versions) >= self.provisioning.limit:
            raise Refused(400, "UserError", "Too many valid agent revisions. Delete older versions first.")
        now = self.clock()
        number = str(next(agent.numbers))
        made = VersionState(number, definition, metadata, now, now + self.provisioning.seconds)
        failing = (told for pattern, told in self.provisioning.fail.items() if re.search(pattern, made.names))
        made.error = next(failing, None) or ({"code": "ImageError", "message": image_error} if image_error else None)
        agent.versions[number] = made
        return made

    def _check(self, name: str, definition: Json, metadata: dict[str, str]) -> None:
        if not NAME.fullmatch(name):
            raise Refused(400, "invalid_request", f"{name} is no agent name")
        if (definition.get("cpu"), definition.get("memory")) not in TIERS:
            raise Refused(400, "invalid_request", "CPU and Memory must be specified as a valid resource tier")
        if definition.get("kind") != "hosted" or not image_of(definition):
            raise Refused(400, "invalid_request", "a hosted definition needs kind and container_configuration.image")
        reserved = [one for one in definition.get("environment_variables") or {} if one.startswith(RESERVED)]
        if reserved:
            raise Refused(400, "EnvVarReserved", f"{reserved[0]} is reserved")
        if len(metadata) > 16 or any(len(k) > 64 or len(v) > 512 for k, v in metadata.items()):
            raise Refused(400, "invalid_request", "metadata: 16 pairs, keys of 64 and values of 512 characters at most")

    def delete(self, name: str, number: str, *, force: bool) -> None:
        """Delete a version; 409 while it has sessions, unless forced."""
        agent, version = self.agent(name), self.version(name, number)
        if agent.busy(self.clock(), number) and not force:
            raise Refused(409, "conflict", f"version {number} has active sessions")
        agent.sessions = {
            key: one for key, one in agent.sessions.items() if one["version_indicator"]["agent_version"] != number
        }
        del agent.versions[version.number]


def image_of(definition: Json) -> str:
    """The image that a definition names."""
    return str((definition.get("container_configuration") or {}).get("image") or "")


def merge_patch(old: Json, new: Json) -> Json:
    """A JSON merge patch (RFC 7396)."""
    merged = {key: value for key, value in old.items() if new.get(key, ...) is not None}
    for key, value in new.items():
        if value is not None:
            merged[key] = merge_patch(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged
