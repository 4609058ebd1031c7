"""What the one holder of an agent's lease knows and has at hand during its turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.reasons import Reason
from core.record import Record, Wanted
from core.rules import AgentRule
from core.steps import Done, Yield
from core.world import Facts
from handlers.acts import Acts
from handlers.decisions import Decisions
from handlers.gateways import Gateways
from handlers.observe import Glance, Observer
from handlers.pace import Pace

Ending = Done | Yield


@dataclass(slots=True)
class Holder:
    """One holder of the lease."""

    rule: AgentRule
    outside: Gateways
    observer: Observer
    acts: Acts
    pace: Pace
    decisions: Decisions
    wanted: Wanted = field(default_factory=Wanted)
    """What was wanted when it last looked."""
    facts: Facts = field(default_factory=Facts)
    ahead: Glance | None = None
    """What the last step already read for the next turn."""
    waits_for: str = ""
    """The version that a Wait wants to be read again."""

    def still_true(self, facts: Facts, wanted: Wanted) -> Facts:
        """The facts without what an earlier wish came to, where something else is wanted by now."""
        return facts if wanted == self.wanted else replace(facts, wish=None)

    async def poll(self) -> None:
        """Tell what there is to tell, and wait a moment."""
        await self.decisions.flush()
        await self.pace.poll()

    def told(self, ending: Ending, detail: str = "") -> Ending:
        """The ending, told."""
        self.tell(ending.reason, self.acts.record, detail or (ending.detail if isinstance(ending, Done) else ""))
        return ending

    def tell(self, reason: Reason, record: Record, detail: str = "") -> None:
        """One line about a release."""
        push = record.push
        self.decisions.tell(
            reason,
            detail,
            version=record.candidate or (record.good.version if record.good else None),
            repository=push.repository if push else None,
            tag=push.tag if push else None,
            digest=push.digest if push else None,
            event=push.event_id if push else None,
            fingerprint=record.fingerprint,
            serial=record.seen,
        )
