"""What the loop of a release works with, and what an executed action gives back to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from core.agents_file.spec import AgentSpec
from core.release.actions import Action, Requeue, Stop
from core.release.decide import RULES, Rule
from core.release.inputs import Observed
from core.state.release import ReleaseState
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways, Lease
from handlers.lease_keeper import LeaseKeeper, LeaseLostError
from handlers.release_agent.foreign_words import ForeignWords
from handlers.release_agent.foundry_writer import FoundryWriter
from handlers.release_agent.observe import Observer, Prefetch
from handlers.release_agent.polling import Poller
from handlers.release_agent.prober import Prober
from handlers.release_agent.release_log import ReleaseLog
from handlers.release_agent.session_closer import SessionCloser


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """What the loop works with while it holds the lease."""

    spec: AgentSpec
    gateways: Gateways
    lease: Lease
    keeper: LeaseKeeper
    poller: Poller
    observer: Observer
    writer: FoundryWriter
    log: ReleaseLog
    closer: SessionCloser
    words: ForeignWords
    rules: tuple[Rule, ...] = RULES

    async def save(self, state: ReleaseState) -> None:
        """Store the release state where it differs from what is stored."""
        if state != self.lease.state and not await self.lease.write(state):
            raise LeaseLostError

    def prober(self, version: str, state: ReleaseState) -> Prober:
        """A prober that reads the noted secrets, if need be, before it repeats what was answered."""
        shown = partial(self.words.may_be_shown, state)
        foundry, clock, logs = self.gateways.foundry, self.gateways.clock, self.spec.release.logs
        return Prober(self.spec.name, version, foundry, clock, self.closer, shown, reads_log=logs)


@dataclass(frozen=True, slots=True)
class ActionResult:
    """What the loop goes on with."""

    state: ReleaseState
    observed: Observed = field(default_factory=Observed)
    next_action: Action | None = None
    """What the answers of a probe lead to, at once."""
    prefetched: Prefetch | None = None
    """The reads of the next pass, where the action needed them."""
    polled_version: str = ""
    """The one version that the next pass reads again."""
    receipt_due: bool = False
    """The state is saved beside the next reads: it holds the receipt of a write."""
    ended: Stop | Requeue | None = None
    error: GatewayError | None = None
