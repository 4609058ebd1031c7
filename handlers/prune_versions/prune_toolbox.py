"""The part of pruning that is about an agent's toolbox: its versions go when no agent version that stays names them."""

from __future__ import annotations

from collections.abc import Sequence

from core.agents_file.spec import AgentSpec
from core.definition import TOOLBOX_ENDPOINT
from core.model import Version
from core.prune.toolboxes import ToolboxDecision, plan_toolbox
from handlers.gateways.interfaces import Gateways
from handlers.telemetry.decision_log import DecisionLog


async def prune_toolbox(
    spec: AgentSpec,
    versions: Sequence[Version],
    kept: Sequence[Version],
    gateways: Gateways,
    decisions: DecisionLog,
    *,
    dry_run: bool,
) -> None:
    """Delete what nothing names, where the agent has or had tools; raises TransientError or PermanentError.

    A toolbox version that is about to be named is the newest, or younger than an hour: neither goes.
    """
    if not spec.tools and not any(TOOLBOX_ENDPOINT in version.variables for version in versions):
        return
    lines = await plan_toolbox_versions(spec, kept, gateways)
    for line in lines:
        if line.deletes and not dry_run:
            await gateways.foundry.delete_toolbox_version(toolbox_of(spec), line.version)
        decisions.record(line.reason, version=line.version, toolbox=toolbox_of(spec))


async def plan_toolbox_versions(
    spec: AgentSpec, kept: Sequence[Version], gateways: Gateways
) -> tuple[ToolboxDecision, ...]:
    """What would go of the toolbox, and why the rest stays."""
    found = await gateways.foundry.list_toolbox_versions(toolbox_of(spec))
    return plan_toolbox(found, kept, spec.keep, gateways.clock.now())


def toolbox_of(spec: AgentSpec) -> str:
    """The name of the agent's toolbox."""
    return f"{spec.name}-tools"
