"""One Protocol for each service, in Slipway's own types.

Only two errors leave a gateway, both a GatewayError: TransientError (the service is down, slow or busy: wait and ask
again) and PermanentError (every retry gets the same answer: record it and stop). Expected answers (a missing agent, a
lease that somebody else holds, a version with sessions) are return values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from core.image_manifest import RegistryTag
from core.target import project_of
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from handlers.gateways.signatures import SignatureSource, SignatureVerifier

if TYPE_CHECKING:
    from core.agents_file.spec import Probe
    from core.evaluation import EvaluationRun, ServiceCriterion
    from core.image_manifest import ImageFacts
    from core.model import (
        Agent,
        Answer,
        DefinedVersion,
        Definition,
        Routing,
        Secret,
        SecretUnavailable,
        SecretVersion,
        Toolbox,
        Version,
    )
    from core.prune.toolboxes import ToolboxVersion
    from core.state.desired import DesiredState
    from core.state.release import ReleaseState
    from core.state.summary import DesiredSummary
    from handlers.gateways.clock import Clock
    from handlers.gateways.commit_statuses import CommitStatusQueue


class DeleteResult(StrEnum):
    """How a delete ended."""

    DELETED = "deleted"
    GONE = "gone"
    SESSIONS_ACTIVE = "sessions_active"


class Foundry(Protocol):
    """Hosted agents, their versions, routing, toolboxes and evaluations in Foundry projects, by the names of targets.

    Each method raises TransientError or PermanentError. The gateway retries reads itself. It sends each write (create,
    route, delete, create a toolbox version or a run) exactly once; a lost answer is ``TransientError(unclear=True)``.
    """

    async def list_agents(self) -> Sequence[str]:
        """The hosted agents of every project, all pages."""

    async def get_agent(self, name: str) -> Agent | None:
        """The agent with its routing and newest version, or None where it does not exist."""

    async def get_version(self, agent: str, number: str) -> Version | None:
        """One version, the only read with a status to trust; None where it does not exist."""

    async def get_definition(self, agent: str, number: str) -> DefinedVersion | None:
        """One version with the values of its variables, each marked as a secret; None where it does not exist."""

    async def list_versions(self, agent: str) -> Sequence[Version]:
        """Every version, drafts too, all pages, oldest first; empty where the agent does not exist."""

    async def create_version(self, agent: str, definition: Definition, metadata: Mapping[str, str]) -> Version:
        """Create a version, and a missing agent; Foundry may return an existing version, even one of others."""

    async def set_routing(self, agent: str, to: Routing) -> Routing:
        """Change only the version selector of the endpoint; returns the routing that Foundry answers."""

    async def delete_version(self, agent: str, number: str) -> DeleteResult:
        """Delete a version that has no sessions."""

    async def open_session(self, agent: str, version: str, within: float) -> str | Answer:
        """Open a session on the version within so many seconds; returns its id, or the error answer."""

    async def ask(self, agent: str, probe: Probe, session: str | None, within: float) -> Answer:
        """Send a probe to a session, or to live traffic: any answer; TransientError if none came in so many seconds."""

    async def end_session(self, agent: str, session: str) -> None:
        """Delete the session: it would block the deletion of its version, and it counts towards the quota."""

    async def session_log(self, agent: str, version: str, session: str, within: float) -> str:
        """What the session's container printed last, a line each, in words of others; takes at most so many seconds."""

    async def ensure_toolbox(self, name: str, tools: Sequence[Mapping[str, object]]) -> Toolbox:
        """The newest toolbox version if it has exactly these tools, else a new version that has."""

    async def list_toolbox_versions(self, name: str) -> Sequence[ToolboxVersion]:
        """Every version of a toolbox, all pages; empty where there is none."""

    async def delete_toolbox_version(self, name: str, version: str) -> DeleteResult:
        """Delete a version of a toolbox."""

    async def has_model(self, agent: str, deployment: str) -> bool:
        """Whether the project of the target has a deployment of a model under this name."""

    async def create_evaluation(self, agent: str, version: str, criteria: Sequence[ServiceCriterion]) -> str:
        """Create an evaluation by these criteria in the project of the target; returns its id, with the project."""

    async def start_run(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        """Start a run over rows of ``query``, ``response`` and ``ground_truth``; returns its id."""

    async def find_run(self, evaluation: str, name: str) -> str | None:
        """The id of the run with this name; None where there is none, and where the evaluation does not exist."""

    async def get_run(self, evaluation: str, run: str) -> EvaluationRun | None:
        """How far a run is, with the scores of all rows once it has completed; None where it does not exist."""

    async def delete_evaluation(self, evaluation: str) -> None:
        """Delete an evaluation with its runs; one that does not exist is deleted."""


class KeyVault(Protocol):
    """Secrets in one Key Vault. Each method raises TransientError or PermanentError."""

    async def get_secret(self, name: str, version: str | None) -> Secret | SecretUnavailable:
        """A secret's value and version id from one read; the newest where no version is given."""

    async def list_secret_versions(self, name: str) -> Sequence[SecretVersion]:
        """Every version of a secret, all pages, in no order; empty where there is no such secret."""

    async def tagged_secrets(self, agent: str) -> Mapping[str, str]:
        """Environment name -> secret name of the enabled secrets tagged ``agent=<agent>`` and ``env=<NAME>``.

        Raises PermanentError: code FORBIDDEN without the right to list, code AMBIGUOUS when two secrets give one name.
        """


EndsListing = Callable[[Sequence[RegistryTag]], bool]
"""Whether a page of tags is the last one that a caller needs."""


class Registry(SignatureSource, Protocol):
    """Manifests and tags in the registry. Each method raises TransientError or PermanentError."""

    async def inspect(self, repository: str, digest: str) -> ImageFacts | None:
        """Whether and how a digest can run, or None where the registry does not have it."""

    async def list_children(self, repository: str, digest: str) -> Sequence[str]:
        """The digests of all manifests that an index names, also through other indexes; none of a single image."""

    async def list_tags(self, repository: str, is_enough: EndsListing | None = None) -> Sequence[RegistryTag]:
        """Every tag, the last pushed first, to the page that is enough; none where the repository does not exist."""

    async def recent_tags(self, repository: str, tag: str) -> Sequence[RegistryTag]:
        """The last pushed tags, and that tag where it exists and is not among them; an empty name asks for no tag."""


@dataclass(frozen=True, slots=True)
class NewLines:
    """Lines of the journal, and how far it has been read."""

    lines: Sequence[Mapping[str, object]]
    position: Mapping[str, int]


class Journal(Protocol):
    """Append-only lines, one blob a UTC day. Each method raises TransientError or PermanentError."""

    async def append(self, *lines: Mapping[str, object]) -> None:
        """Append lines as JSON, together unless they are too many."""

    async def read_day(self, day: datetime, containing: Collection[str] = ()) -> Sequence[Mapping[str, object]]:
        """The lines of a day, oldest first; with ``containing`` those alone whose JSON has one of the texts."""

    async def end(self, day: datetime) -> Mapping[str, int]:
        """The position after the last line that a day has by now."""

    async def read_new(self, day: datetime, position: Mapping[str, int]) -> NewLines:
        """The lines that a day has received since a position; an empty position is the start of every day."""


class ReleaseQueue(Protocol):
    """The queue ``releases``, and the length of any queue. Each method raises TransientError or PermanentError."""

    async def enqueue(self, agent: str, *, delay: float = 0, traceparent: str | None = None) -> None:
        """Queue the agent's release, hidden for a delay in seconds."""

    async def count_messages(self, queue: str) -> int:
        """About how many messages a queue has, hidden messages too; 0 where the queue does not exist."""

    async def oldest_message(self, queue: str) -> datetime | None:
        """Since when the first message of a queue waits to be taken; None where none does: a hidden one is not seen."""


class Lock(Protocol):
    """The right to be alone with a name, for at most 60 s."""

    async def release(self) -> None:
        """Let the next holder in; never raises, since a lock expires by itself."""


class Lease(Lock, Protocol):
    """The right to be the one writer of an agent's release state, with the state that it protects."""

    @property
    def state(self) -> ReleaseState:
        """The state as last read or written under this lease."""

    @property
    def remaining_seconds(self) -> float:
        """Seconds that the lease surely lasts, by the local clock, counted from before its last renewal was sent."""

    async def write(self, release: ReleaseState) -> bool:
        """Store the state; False when the lease was lost: the holder must stop for good. Raises TransientError."""

    async def renew(self) -> bool:
        """Extend the lease to 60 s; False when it was lost."""


class StateStore(Protocol):
    """Desired and release state of each agent; a write keeps unknown fields. Raises TransientError, PermanentError."""

    async def get_desired(self, agent: str) -> DesiredState:
        """What the agent should run; the default where nothing is stored."""

    async def update_desired(self, agent: str, change: Callable[[DesiredState], DesiredState]) -> DesiredState:
        """Apply a change by compare-and-swap, again after each other writer; an equal result is not written."""

    async def get_release(self, agent: str) -> ReleaseState:
        """How far the release is, read without the lease."""

    async def acquire_lease(self, agent: str) -> Lease | None:
        """Become the one writer for 60 s, or None while somebody else is."""

    async def read_marker(self, name: str) -> str:
        """The text that is stored under a name, or an empty one."""

    async def write_marker(self, name: str, value: str) -> None:
        """Store a short text under a name."""

    async def lock(self, name: str) -> Lock | None:
        """Be alone with a name of a marker, or None while somebody else is."""

    async def list_agents(self, *, unfinished: bool = False) -> Sequence[str]:
        """Names of the agents that have a state, by one listing; with ``unfinished`` those with a release to go on."""

    async def list_desired(self) -> Mapping[str, DesiredSummary]:
        """A summary of the desired state of every agent that has one or a release, by one listing."""


@dataclass(frozen=True, slots=True)
class OutcomeEvent:
    """One outcome as a CloudEvent; ``id`` is the same each time that it is published."""

    id: str
    type: str
    subject: str
    data: Mapping[str, object]
    traceparent: str | None = None


class OutcomePublisher(Protocol):
    """Publishes outcomes."""

    async def publish(self, events: Sequence[OutcomeEvent]) -> None:
        """Publish the events within seconds, or give up; raises TransientError or PermanentError."""


@dataclass(frozen=True, slots=True)
class Gateways:
    """All gateways, as a handler gets them."""

    foundry: Foundry
    key_vault: KeyVault
    state_store: StateStore
    journal: Journal
    release_queue: ReleaseQueue
    clock: Clock
    registry: Registry
    outcome_publisher: OutcomePublisher | None = None
    """None where no topic is set."""
    commit_statuses: CommitStatusQueue | None = None
    """None in a plan, which reports nothing."""
    rate_limiter: FoundryRateLimiter = field(default_factory=FoundryRateLimiter)
    """How much of Foundry's rate this process uses, in the settings' project."""
    project_limiter: Callable[[str], FoundryRateLimiter] | None = None
    """The same in each project."""
    project_vault: Callable[[str], KeyVault] | None = None
    """The vault of each project; None where all share that of the settings."""
    signatures: SignatureVerifier = field(default_factory=SignatureVerifier)

    def limiter_of(self, target: str) -> FoundryRateLimiter:
        """The rate limiter of the target's project: one project's refusals slow no other."""
        return self.project_limiter(project_of(target)) if self.project_limiter else self.rate_limiter

    def vault_of(self, target: str) -> KeyVault:
        """The vault with the target's secrets."""
        return self.project_vault(project_of(target)) if self.project_vault else self.key_vault
