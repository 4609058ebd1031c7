"""``release_agent``: take the lease, bring the release as far as it goes, ask for the next turn."""

from __future__ import annotations

from core.reasons import Reason
from core.rules import AgentRule
from core.steps import Yield
from handlers import telemetry
from handlers.config import Settings
from handlers.decisions import Decisions
from handlers.gateways import Gateways
from handlers.turns import BACK_IN, Ending, Turns


async def handle(agent: str, rule: AgentRule, settings: Settings, outside: Gateways) -> Reason:
    """Bring the agent's release as far as it goes now; raises TransientError where storage does not answer."""
    decisions = Decisions(outside.journal, outside.clock, {"agent": agent})
    lease = await outside.ledger.lease(agent)
    if lease is None:
        decisions.tell(Reason.LEASE_TAKEN)  # its holder looks at what is wanted when it gives the lease back
        await decisions.flush()
        return Reason.LEASE_TAKEN
    turns = Turns(agent, rule, settings, outside, lease, decisions)
    try:
        ending = await turns.run()
    finally:
        await lease.give_back()
        await decisions.flush()
    await _go_on(agent, ending, turns.considered, outside)
    return ending.reason


async def _go_on(agent: str, ending: Ending, considered: int, outside: Gateways) -> None:
    """Ask for the next turn where one is due: for a yield, a lost lease, or what came while we held the lease."""
    if isinstance(ending, Yield):
        delay = max(0.0, (ending.until - outside.clock.now()).total_seconds())
    elif ending.reason is Reason.LEASE_LOST:
        delay = BACK_IN.total_seconds()
    elif (await outside.ledger.wanted(agent)).serial > considered:
        delay = 0.0
    else:
        return
    await outside.queue.send(agent, delay=delay, traceparent=telemetry.carrier())
