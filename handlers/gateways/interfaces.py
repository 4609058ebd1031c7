"""The outside world in our words: one Protocol per service, and the two errors that may come back.

    GatewayError
    ├── TransientError   the service is down, slow or busy: wait and ask again
    └── PermanentError   the request will never be answered otherwise: record it and stop

Answers that are to be expected (a missing agent, a lease somebody else holds, a version with sessions on it)
are return values, not errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.agents_file.spec import Probe
from core.image_manifest import ImageFacts, RegistryTag
from core.model import Agent, Answer, Definition, Routing, Secret, SecretUnavailable, Toolbox, Version
from core.prune.toolboxes import ToolboxVersion
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from handlers.gateways.clock import Clock
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter


class DeleteResult(StrEnum):
    """What became of a request to delete a version."""

    DELETED = "deleted"
    GONE = "gone"
    SESSIONS_ACTIVE = "sessions_active"


class Foundry(Protocol):
    """Hosted agents, their versions, routing and toolboxes in one Foundry project.

    Every method raises TransientError or PermanentError. Reads are retried inside; the acts (create, route,
    delete, create_toolbox_version) are sent exactly once, and a lost answer is ``TransientError(unclear=True)``.
    """

    async def get_agent(self, name: str) -> Agent | None:
        """The agent with its routing and newest version, or None where it does not exist."""

    async def get_version(self, agent: str, number: str) -> Version | None:
        """One version, the only read whose status can be trusted; None where it does not exist."""

    async def list_versions(self, agent: str) -> Sequence[Version]:
        """Every version, drafts too, all pages, oldest first; empty where the agent does not exist."""

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        """Ask for a version (and the agent, where there is none); what comes back need not be new, nor ours."""

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        """Move the version selector, touching nothing else of the endpoint; returns it as then told."""

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        """Delete a version that has no sessions."""

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        """A session that is bound to the version, or what was answered in its place; ``within`` in seconds."""

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        """Put one question, in a session or to whatever has the traffic; every answer of a server is one.

        Raises TransientError where nobody answered within so many seconds.
        """

    async def end_session(self, agent: str, session: str) -> None:
        """Delete the session: it would keep its version from being deleted, and counts towards the quota."""

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        """The newest toolbox version if it has exactly these tools, else a new one that has."""

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        """Every version of a toolbox, all pages; empty where there is none."""

    async def delete_toolbox_version(self, name: str, version: str) -> DeleteResult:
        """Delete a version of a toolbox."""


class KeyVault(Protocol):
    """Secrets in one Key Vault. Every method raises TransientError or PermanentError."""

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        """A secret's value and version id from one read; the newest where no version is asked for."""

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        """Environment name -> secret name of the enabled secrets tagged ``agent=<agent>`` and ``env=<NAME>``.

        Raises PermanentError: code FORBIDDEN without the right to list, code AMBIGUOUS when two secrets give one name.
        """


class Registry(Protocol):
    """Manifests and tags in the registry. Every method raises TransientError or PermanentError."""

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """What a digest is, or None where the registry does not have it (any more)."""

    async def list_tags(self, repository: str) -> Sequence[RegistryTag]:
        """Every tag, the one that was pushed last first; empty where there is no such repository."""


class Journal(Protocol):
    """Append-only lines, one blob a UTC day."""

    async def append(self, *lines: Mapping[str, object]) -> None:
        """Append lines as JSON, together where they are not too many; raises TransientError or PermanentError."""

    async def read_day(self, day: datetime) -> Sequence[Mapping[str, object]]:
        """Every line of a day, oldest first; empty where there is none."""


class ReleaseQueue(Protocol):
    """The queue ``releases``, and how full it and the others are."""

    async def enqueue(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        """Have the agent's release taken up, after a delay in seconds; raises TransientError or PermanentError."""

    async def count_messages(self, queue: str) -> int:
        """About how many messages a queue has, hidden ones too; 0 where it was never made."""


class Lease(Protocol):
    """The right to be the one writer of an agent's release, and the record that it protects."""

    @property
    def state(self) -> ReleaseState:
        """The record as last read or written under this lease."""

    @property
    def remaining_seconds(self) -> float:
        """Seconds that the lease surely lasts, by the local clock, counted from before its last renewal was sent."""

    async def write(self, release: ReleaseState) -> bool:
        """Store the record; False when the lease was lost, after which the holder must stop for good.

        Raises TransientError where storage itself does not answer.
        """

    async def renew(self) -> bool:
        """Extend the lease to 60 s; False when it was lost."""

    async def release(self) -> None:
        """Let the next one in; never raises, since a lease ends by itself."""


class StateStore(Protocol):
    """The two records per agent. Every method raises TransientError or PermanentError."""

    async def get_desired(self, agent: str) -> DesiredState:
        """What the agent should run; an empty one where nothing was ever noted."""

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """Apply a change by compare-and-swap, as often as others come between; an equal result is not written."""

    async def get_release(self, agent: str) -> ReleaseState:
        """How far the release is, read without the lease."""

    async def acquire_lease(self, agent: str) -> Lease | None:
        """Become the one writer for 60 s, or None while somebody else is."""

    async def read_marker(self, what: str) -> str:
        """What was last remembered under the name; empty where nothing was."""

    async def write_marker(self, what: str, value: str) -> None:
        """Keep a short text under a name."""

    async def list_agents(self, states: frozenset[str]) -> Sequence[str]:
        """Names of the agents either of whose records says one of the states (open, due, ended), by one listing."""


@dataclass(frozen=True, slots=True)
class OutcomeEvent:
    """One outcome, as the world is told it: a CloudEvent whose ``name`` is the same whenever it is told again."""

    id: str
    type: str
    subject: str
    data: Mapping[str, object]
    traceparent: str | None = None


class OutcomePublisher(Protocol):
    """Where outcomes are told."""

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        """Tell them, within seconds or not at all; raises TransientError or PermanentError."""


class NoOutcomePublisher:
    """Outcomes where no topic is set."""

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Gateways:
    """Everything outside, as a handler is given it."""

    foundry: Foundry
    key_vault: KeyVault
    state_store: StateStore
    journal: Journal
    release_queue: ReleaseQueue
    clock: Clock
    registry: Registry
    outcome_publisher: OutcomePublisher = field(default_factory=NoOutcomePublisher)
    rate_limiter: FoundryRateLimiter = field(default_factory=FoundryRateLimiter)
    """How many of this process wait for Foundry, and how busy it is."""
