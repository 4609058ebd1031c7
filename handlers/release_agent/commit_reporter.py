"""Sends the statuses that a release gives the commit of its image to the queue of the function that reports them."""

from __future__ import annotations

from core.commit_status import CommitState, CommitStatus, CommitStatusMessage
from core.reasons import Reason
from core.state.release import ReleaseState
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.telemetry import otel


class CommitReporter:
    """The statuses of one run of a release.

    Each message has all of them so far: whichever arrives first sets them in their order.
    """

    def __init__(self, target: str, gateways: Gateways, *, enabled: bool) -> None:
        self._target, self._clock = target, gateways.clock
        self._queue = gateways.commit_statuses if enabled else None
        self._last: CommitStatusMessage | None = None
        self._unsent: list[CommitStatusMessage] = []
        self._known: set[tuple[str, int, CommitState]] = set()

    def add(self, state: CommitState | None, reason: Reason, release: ReleaseState) -> None:
        """Note the status that a decision leads to; None where it leads to none."""
        push = release.push
        if state is None or push is None or self._queue is None:
            return
        known = (push.digest, release.observed_generation, state)
        if known in self._known:
            return
        self._known.add(known)
        facts = release.image_facts.get(push.digest)
        message = CommitStatusMessage(
            self._target,
            push.repository,
            push.digest,
            release.observed_generation,
            (CommitStatus(state, reason, self._clock.now(), release.candidate or ""),),
            facts.source if facts else "",
            facts.revision if facts else "",
            traceparent=otel.current_traceparent(),
        )
        joined = self._last.joined_with(message) if self._last else None
        if joined is not None and self._unsent[-1:] == [self._last]:
            self._unsent.pop()
        self._last = joined or message
        self._unsent.append(self._last)

    async def send(self) -> str:
        """Send what is not sent yet; returns why the queue did not accept it, an empty text where it did."""
        while self._unsent and self._queue is not None:
            message = self._unsent.pop(0)
            try:
                await self._queue.enqueue(message)
            except GatewayError as error:
                self._unsent.insert(0, message)
                return str(error)
        return ""
