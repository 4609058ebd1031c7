"""``commit_status``: gives the commit that an image was built from the statuses of its release, on GitHub.

A message that GitHub does not take goes back to the queue for half a day, since redeliveries are few, and for bugs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.agents_file.github import GitHubSpec
from core.agents_file.spec import Agents
from core.commit_status import CommitStatusMessage
from core.model import Secret
from core.reasons import Reason
from core.source_commit import SourceCommit, source_commit
from handlers.gateways.commit_statuses import GitHub, GitHubApp
from handlers.gateways.errors import PermanentError, TransientError
from handlers.gateways.interfaces import Gateways, Lock
from handlers.retry import Backoff
from handlers.settings import Settings
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog
from handlers.vault import read_secret

STEP = "commit_status"
PAUSES = Backoff(first=30.0, longest=600.0)
LOCK_TRIES, LOCKED_SECONDS = 5, 15.0
"""While another instance sets a status of the target: tries, a second apart, and seconds until the next delivery."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a message."""

    reason: Reason
    detail: str = ""
    next_try: float | None = None
    """Seconds until the message is tried again; None where it is done with."""


async def handle_message(text: str, agents: Agents, settings: Settings, gateways: Gateways, github: GitHub) -> None:
    """Set the statuses that the message names; raises TransientError where storage does not answer."""
    decisions = DecisionLog(gateways.journal, gateways.clock, {"step": STEP})
    message = CommitStatusMessage.from_json(text)
    if message is None:
        decisions.record(Reason.MALFORMED_MESSAGE, "expected the statuses of a release")
        await decisions.flush()
        return
    with otel.span(STEP, parent=message.traceparent, agent=message.target):
        report = await _StatusSetter(message, agents.github, settings, gateways, github).report()
        if report.next_try is not None and gateways.commit_statuses is not None:
            is_locked = report.reason is Reason.LEASE_TAKEN
            again = message if is_locked else message.again()
            await gateways.commit_statuses.enqueue(again, delay=report.next_try)
        if report.reason is not Reason.COMMIT_STATUS_WAITING or not message.tries:  # one line, however long it lasts
            about: dict[str, Any] = {
                "repository": message.repository,
                "digest": message.digest,
                "generation": message.generation,
            }
            decisions.record(report.reason, report.detail, agent=message.target, **about)
        await decisions.flush()


class _StatusSetter:
    """Sets the statuses of one message."""

    def __init__(
        self,
        message: CommitStatusMessage,
        spec: GitHubSpec | None,
        settings: Settings,
        gateways: Gateways,
        github: GitHub,
    ) -> None:
        self._message, self._spec, self._settings = message, spec, settings
        self._gateways, self._github = gateways, github

    async def report(self) -> Report:
        """Set them, unless that makes no sense; raises TransientError where storage does not answer."""
        message, clock = self._message, self._gateways.clock
        if self._spec is None:
            return Report(Reason.COMMIT_STATUS_LOST, "agents.yaml no longer has the key github")
        if message.is_too_old(clock.now()):
            return Report(Reason.COMMIT_STATUS_LOST, f"GitHub did not take it in {message.tries} tries")
        try:
            return await self._judge_commit(self._spec)
        except TransientError as error:
            pause = PAUSES.seconds(message.tries + 1, clock, error.retry_after)
            return Report(Reason.COMMIT_STATUS_WAITING, str(error), pause)
        except PermanentError as error:
            return Report(Reason.COMMIT_STATUS_REFUSED, str(error))

    async def _judge_commit(self, spec: GitHubSpec) -> Report:
        commit = await self._commit()
        if commit is None:
            return Report(Reason.COMMIT_UNKNOWN)
        if not spec.allows(commit):
            return Report(Reason.REPOSITORY_NOT_ALLOWED, commit.source)
        lock = await self._lock()
        if lock is None:
            return Report(Reason.LEASE_TAKEN, "another instance sets a status of this target", LOCKED_SECONDS)
        try:
            return await self._set(spec, commit)
        finally:
            await lock.release()

    async def _lock(self) -> Lock | None:
        """Two messages could each find no deployment yet, and make one."""
        for number in range(LOCK_TRIES):
            if number:
                await self._gateways.clock.sleep(1.0)
            if lock := await self._gateways.state_store.lock(f"commit-status-{self._message.target}"):
                return lock
        return None

    async def _commit(self) -> SourceCommit | None:
        """The commit that the release knows, or that the registry does: of an index that of its linux/amd64 image."""
        message, registry = self._message, self._gateways.registry
        if message.source:
            return source_commit(f"https://{message.source}", message.revision)
        facts = await registry.inspect(message.repository, message.digest)
        if facts is not None and not facts.source and facts.amd64 not in ("", message.digest):
            facts = await registry.inspect(message.repository, facts.amd64)
        return source_commit(f"https://{facts.source}", facts.revision) if facts else None

    async def _set(self, spec: GitHubSpec, commit: SourceCommit) -> Report:
        message = self._message
        key = await read_secret(self._gateways.key_vault, spec.private_key)
        if not isinstance(key, Secret):
            pause = PAUSES.seconds(message.tries + 1, self._gateways.clock)
            return Report(Reason.COMMIT_STATUS_WAITING, f"secret {spec.private_key} is {key}", pause)
        routing = (await self._gateways.state_store.get_release(message.target)).expected_routing
        statuses = message.shown(spec.log_url, routing.pinned if routing else None)
        app = GitHubApp(spec.app_id, key.value, self._settings.github_endpoint or spec.api)
        added = await self._github.ensure_statuses(app, message.deployment(commit), statuses)
        return Report(
            Reason.COMMIT_STATUS_SET, f"{commit.repository}@{commit.revision[:12]}: {', '.join(added) or 'no change'}"
        )
