"""The protocols behind the statuses of commits: GitHub, and the queue of the function that reports to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.commit_status import CommitDeployment, CommitState, CommitStatusMessage, ShownStatus
from core.model import SecretValue


class CommitStatusQueue(Protocol):
    """The queue ``commit-statuses``. Each method raises TransientError or PermanentError."""

    async def enqueue(self, message: CommitStatusMessage, *, delay: float = 0) -> None:
        """Queue the statuses, hidden for a delay in seconds."""


@dataclass(frozen=True, slots=True)
class GitHubApp:
    """Who signs in on GitHub, and where."""

    app_id: str
    private_key: SecretValue
    api: str


class GitHub(Protocol):
    """Deployments on GitHub. Each method raises TransientError or PermanentError."""

    async def ensure_statuses(
        self, app: GitHubApp, deployment: CommitDeployment, statuses: Sequence[ShownStatus]
    ) -> Sequence[CommitState]:
        """Give the deployment, which is created where it is missing, the statuses that it lacks; returns these."""
