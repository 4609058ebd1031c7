"""State of the project: agents, versions with their provisioning time, sessions, toolboxes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local.agents.pool import Agent

Json = dict[str, Any]

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
TIERS = {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}
RESERVED = ("FOUNDRY_", "AGENT_")
LATEST = "@latest"
IDLE_SECONDS = 900.0
"""Seconds after which a session is idle, unless its version sets them."""


class FoundryError(Exception):
    """An error response of the service."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None, param: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.param = headers or {}, param


@dataclass
class Provisioning:
    """How versions behave; set by ``PUT /_local/provisioning``."""

    seconds: float = 2.0
    list_lag_s: float = 0.0
    list_says_active: bool = False
    dedupe: bool = True
    """An identical definition returns the latest version, if that has it."""
    metadata_counts: bool = False
    """Other metadata makes another version."""
    service_metadata: dict[str, str] = field(default_factory=lambda: {"enableVnextExperience": "true"})
    """What the service adds to the metadata of a version; answers show these values in place of stored ones."""
    date_behind_s: float = 0.0
    """Seconds by which the clock of the ``Date`` header is behind that of ``created_at``."""
    disabled_tools: list[str] = field(default_factory=list)
    """Types of tools that the subscription may not use."""
    limit: int = 1000
    ready_within_s: float = 30.0
    """Seconds in which the process of a version must be ready."""
    not_ready: str = "agent_version_not_ready"
    """How a version that is not active refuses: with this code, ``bad_request`` and words alone, or ``header``."""
    fail: dict[str, dict[str, str]] = field(default_factory=dict)
    """Regular expression for digest or tag -> ``{"code", "message"}`` of the version's failure."""
    answer: dict[str, Any] = field(default_factory=dict)
    """Regular expression for digest or tag -> the agent's answer: text, ``{"text", "status"}``, ``{"response"}`` with
    members of the response, ``{"odd"}`` (huge, endless, half, binary, redirect, empty), or ``{"first", "later"}``, each
    with one of these: for the first question to a version and for the others. With ``{"status", "code"}`` the service
    answers in place of the agent."""
    logs: dict[str, list[str]] = field(default_factory=dict)
    """Regular expression for digest or tag -> the lines that a version without a process has printed."""


@dataclass
class VersionState:
    """A version; its status follows from the clock."""

    number: str
    definition: Json
    metadata: dict[str, str]
    created_at: float
    ready_at: float
    error: dict[str, str] | None = None
    deleted: bool = False
    agent: Agent | None = None
    """Its files and its process; without one the configured answers are given."""
    questions: int = 0
    """How often a configured answer was given."""

    @property
    def has_process(self) -> bool:
        """Whether a process answers."""
        return self.agent is not None and not self.agent.lacks_server

    @property
    def match_text(self) -> str:
        """The text that expressions are matched against: the image, and the tag in the metadata."""
        return f"{image_of(self.definition)} {self.metadata.get('slipway.tag', '')}"

    def status(self, now: float) -> str:
        """Return creating, then active or failed."""
        if now < self.ready_at:
            return "creating"
        return "failed" if self.error else "active"


@dataclass
class AgentState:
    """An agent with its endpoint."""

    name: str
    versions: dict[str, VersionState] = field(default_factory=dict)
    endpoint: Json = field(default_factory=dict)
    """What was changed of the endpoint of a new agent."""
    enabled: bool = True
    last_number: int = 0
    """Of the newest version, also after its deletion: numbers are not used again."""
    sessions: dict[str, Json] = field(default_factory=dict)
    """Session id -> the session's JSON, without its status; deleted ones stay listed."""
    deleted_sessions: set[str] = field(default_factory=set)
    asked_at: dict[str, float] = field(default_factory=dict)
    """Session id -> time of its newest question; ``last_accessed_at`` does not move."""

    def session(self, key: str, now: float) -> Json:
        """Return a session's JSON; after its version's idle timeout it is idle and blocks no deletion."""
        session = self.sessions[key]
        return session | {"status": self._session_status(key, session, now)}

    def _session_status(self, key: str, session: Json, now: float) -> str:
        version = self.versions.get(session["version_indicator"]["agent_version"])
        if key in self.deleted_sessions:
            return "deleted"
        if version is None or "stopped_at" in session:
            return "idle"
        configured = version.definition.get("session_configuration") or {}
        used_at = self.asked_at.get(key) or session.get("created_at", now)
        return "idle" if now - used_at >= float(configured.get("idle_timeout_seconds", IDLE_SECONDS)) else "active"

    def has_session(self, key: str) -> bool:
        """Return whether questions may be asked in this session."""
        session = self.sessions.get(key)
        is_bound = session is not None and session["version_indicator"]["agent_version"] in self.versions
        return is_bound and key not in self.deleted_sessions

    def has_active_session(self, now: float, number: str | None = None) -> bool:
        """Return whether a session is active, on the given version or on any."""
        sessions = (self.session(key, now) for key in self.sessions)
        active = [session for session in sessions if session["status"] == "active"]
        return any(number in (None, session["version_indicator"]["agent_version"]) for session in active)

    @property
    def latest(self) -> VersionState | None:
        """The newest version."""
        return next(reversed(self.versions.values()), None)

    def live_version(self) -> VersionState | None:
        """Return the version that gets unpinned requests."""
        rules = (self.endpoint.get("version_selector") or {}).get("version_selection_rules") or []
        number = str(rules[0]["agent_version"]) if rules else LATEST
        return self.latest if number == LATEST else self.versions.get(number)


class Project:
    """A Foundry project."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.provisioning = Provisioning()
        self.agents: dict[str, AgentState] = {}
        self.toolboxes: dict[str, Json] = {}
        """Name -> ``versions``, oldest first, the ``default`` version, and the ``last_number``."""

    def agent(self, name: str) -> AgentState:
        """Return the agent; raise FoundryError 404 if it does not exist."""
        if name not in self.agents:
            raise FoundryError(404, "not_found", f"agent {name} does not exist")
        return self.agents[name]

    def version(self, name: str, number: str) -> VersionState:
        """Return the version; raise FoundryError 404 if it does not exist."""
        versions = self.agent(name).versions
        if number not in versions:
            raise FoundryError(404, "not_found", f"agent {name} has no version {number}")
        return versions[number]

    def create(self, name: str, definition: Json, metadata: dict[str, str], image_error: str | None) -> VersionState:
        """Create a version, or return the latest one if its definition is identical, as the service does."""
        self._check(name, definition, metadata)
        metadata = self.provisioning.service_metadata | metadata
        agent = self.agents.setdefault(name, AgentState(name))
        if agent.latest and self.provisioning.dedupe and self._is_identical(agent.latest, definition, metadata):
            return agent.latest
        if len(agent.versions) >= self.provisioning.limit:
            raise FoundryError(400, "UserError", "Too many valid agent revisions. Delete older versions first.")
        now = self.clock()
        agent.last_number += 1
        number = str(agent.last_number)
        version = VersionState(number, definition, metadata, now, now + self.provisioning.seconds)
        failures = self.provisioning.fail.items()
        failure = next((failure for pattern, failure in failures if re.search(pattern, version.match_text)), None)
        version.error = failure or ({"code": "ImageError", "message": image_error} if image_error else None)
        agent.versions[number] = version
        return version

    def _is_identical(self, version: VersionState, definition: Json, metadata: dict[str, str]) -> bool:
        same = json.dumps(version.definition, sort_keys=True) == json.dumps(definition, sort_keys=True)
        return same and (version.metadata == metadata or not self.provisioning.metadata_counts)

    def _check(self, name: str, definition: Json, metadata: dict[str, str]) -> None:
        if not NAME.fullmatch(name):
            raise FoundryError(400, "invalid_request", f"{name} is not a valid agent name")
        if (definition.get("cpu"), definition.get("memory")) not in TIERS:
            raise FoundryError(400, "invalid_request", "CPU and Memory must be specified as a valid resource tier")
        if definition.get("kind") != "hosted" or not image_of(definition):
            raise FoundryError(
                400, "invalid_request", "a hosted definition needs kind and container_configuration.image"
            )
        reserved = [name for name in definition.get("environment_variables") or {} if name.startswith(RESERVED)]
        if reserved:
            raise FoundryError(400, "EnvVarReserved", f"{reserved[0]} is reserved")
        if len(metadata) > 16 or any(len(k) > 64 or len(v) > 512 for k, v in metadata.items()):
            raise FoundryError(
                400, "invalid_request", "metadata: 16 pairs, keys of 64 and values of 512 characters at most"
            )

    def delete(self, name: str, number: str, *, force: bool) -> None:
        """Delete a version; raise FoundryError 409 while it has active sessions, unless forced."""
        agent, version = self.agent(name), self.version(name, number)
        if agent.has_active_session(self.clock(), number) and not force:
            raise FoundryError(409, "conflict", f"version {number} has active sessions")
        del agent.versions[version.number]


def image_of(definition: Json) -> str:
    """Return the image that a definition names, as it is sent or as versions of April 2026 have it."""
    return str((definition.get("container_configuration") or {}).get("image") or definition.get("image") or "")


def merge_patch(old: Json, new: Json) -> Json:
    """Apply a JSON merge patch (RFC 7396)."""
    merged = {key: value for key, value in old.items() if new.get(key, ...) is not None}
    for key, value in new.items():
        if value is not None:
            merged[key] = merge_patch(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged
