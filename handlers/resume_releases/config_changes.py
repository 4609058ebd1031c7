"""After a deployment: agents whose rule says otherwise what runs are asked to take it up."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime

from core.agents_file.spec import Agents, AgentSpec
from core.intake.events import DesiredUpdate, apply_config, runtime_hash
from core.reasons import Reason
from core.state.desired import DesiredState
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import DecisionLog

DEPLOYED = "deployed"
AT_ONCE = 8


async def apply_config_changes(agents: Agents, decisions: DecisionLog, gateways: Gateways) -> bool:
    """Hold each rule against what its agent was last wanted for; False where this agents.yaml was seen before.

    It counts as seen once every agent's ledger says so: a crash on the way is followed by another try. Raises
    TransientError or PermanentError.
    """
    rules = list(agents.agents.values())
    seen = hashlib.sha256(
        "".join(f"{rule.name} {rule.tags.model_dump_json()} {runtime_hash(rule)}\n" for rule in rules).encode()
    ).hexdigest()
    if await gateways.state_store.read_marker(DEPLOYED) == seen:
        return False
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(spec: AgentSpec) -> None:
        async with turns:
            await _configure(spec, decisions, gateways)

    await asyncio.gather(*(one(rule) for rule in rules))
    await gateways.state_store.write_marker(DEPLOYED, seen)
    return True


async def _configure(spec: AgentSpec, decisions: DecisionLog, gateways: Gateways) -> None:
    def judge(desired: DesiredState, now: datetime) -> DesiredUpdate:
        return apply_config(desired, spec, now)

    noted = await update_and_enqueue(spec.name, judge, gateways)
    if noted.reason is Reason.CONFIG_CHANGED:
        decisions.record(Reason.CONFIG_CHANGED, agent=spec.name, generation=noted.desired.generation)
