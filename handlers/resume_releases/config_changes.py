"""After a deployment: releases every agent whose agent spec changed what it runs."""

from __future__ import annotations

import hashlib

from core.agents_file.spec import Agents, AgentSpec
from core.intake.events import apply_config, runtime_hash
from core.reasons import Reason
from handlers.concurrency import gather_limited
from handlers.events.update_desired import update_and_enqueue
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import DecisionLog

MARKER = "deployed"
MAX_CONCURRENT = 8


async def apply_config_changes(agents: Agents, decisions: DecisionLog, gateways: Gateways) -> bool:
    """Compare each agent spec with the one last applied; False where this agents.yaml was applied before.

    The marker is written after every agent, so that a crash on the way leads to another attempt. Raises TransientError
    or PermanentError.
    """
    specs = agents.agents.values()
    text = "".join(f"{spec.name} {spec.tags.model_dump_json()} {runtime_hash(spec)}\n" for spec in specs)
    applied = hashlib.sha256(text.encode()).hexdigest()
    if await gateways.state_store.read_marker(MARKER) == applied:
        return False

    async def apply(spec: AgentSpec) -> None:
        update = await update_and_enqueue(spec.name, lambda desired, now: apply_config(desired, spec, now), gateways)
        if update.reason in (Reason.CONFIG_CHANGED, Reason.ROLLED_BACK_BY):
            decisions.record(update.reason, update.detail, agent=spec.name, generation=update.desired.generation)

    await gather_limited(MAX_CONCURRENT, map(apply, specs))
    await gateways.state_store.write_marker(MARKER, applied)
    return True
