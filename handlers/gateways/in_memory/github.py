"""GitHub and the queue ``commit-statuses`` in memory."""

from __future__ import annotations

from collections.abc import Sequence

from core.commit_status import (
    CommitDeployment,
    CommitState,
    CommitStatusMessage,
    ShownStatus,
    creates_deployment,
    missing_statuses,
)
from handlers.gateways.commit_statuses import GitHubApp
from handlers.gateways.errors import GatewayError


class InMemoryCommitStatusQueue:
    """See the CommitStatusQueue protocol."""

    def __init__(self) -> None:
        self.sent: list[tuple[CommitStatusMessage, float]] = []
        """Everything that was ever enqueued, with its delay."""
        self.error: GatewayError | None = None
        """What enqueueing raises."""

    async def enqueue(self, message: CommitStatusMessage, *, delay: float = 0) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((message, delay))


class InMemoryGitHub:
    """See the GitHub protocol."""

    def __init__(self) -> None:
        self.deployments: dict[CommitDeployment, list[ShownStatus]] = {}
        self.apps: list[GitHubApp] = []
        """Who asked."""
        self.error: GatewayError | None = None
        """What every call raises."""

    async def ensure_statuses(
        self, app: GitHubApp, deployment: CommitDeployment, statuses: Sequence[ShownStatus]
    ) -> Sequence[CommitState]:
        self.apps.append(app)
        if self.error is not None:
            raise self.error
        if deployment not in self.deployments and not creates_deployment(statuses):
            return ()
        existing = self.deployments.setdefault(deployment, [])
        missing = missing_statuses([status.state for status in existing], statuses)
        existing += missing
        return [status.state for status in missing]
