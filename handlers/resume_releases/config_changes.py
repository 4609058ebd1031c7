"""After a deployment: agents whose rule says otherwise what runs are asked to take it up."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime

from core.agents_file.spec import AgentRule, Agents
from core.intake.events import Noted, configure, what_runs
from core.reasons import Reason
from core.state.release import Wanted
from handlers.events.update_desired import note_and_ask
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import Decisions

DEPLOYED = "deployed"
AT_ONCE = 8


async def handle(agents: Agents, decisions: Decisions, outside: Gateways) -> bool:
    """Hold each rule against what its agent was last wanted for; False where this agents.yaml was seen before.

    It counts as seen once every agent's ledger says so: a crash on the way is followed by another try. Raises
    TransientError or PermanentError.
    """
    rules = list(agents.agents.values())
    seen = hashlib.sha256(
        "".join(f"{rule.name} {rule.tags.model_dump_json()} {what_runs(rule)}\n" for rule in rules).encode()
    ).hexdigest()
    if await outside.ledger.remembered(DEPLOYED) == seen:
        return False
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(rule: AgentRule) -> None:
        async with turns:
            await _configure(rule, decisions, outside)

    await asyncio.gather(*(one(rule) for rule in rules))
    await outside.ledger.remember(DEPLOYED, seen)
    return True


async def _configure(rule: AgentRule, decisions: Decisions, outside: Gateways) -> None:
    def judge(wanted: Wanted, now: datetime) -> Noted:
        return configure(wanted, rule, now)

    noted = await note_and_ask(rule.name, judge, outside)
    if noted.reason is Reason.CONFIGURED:
        decisions.tell(Reason.CONFIGURED, agent=rule.name, serial=noted.wanted.serial)
