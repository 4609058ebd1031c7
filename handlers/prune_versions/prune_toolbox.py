"""Prunes an agent's toolbox: a version of it is deleted when no remaining agent version names it."""

from __future__ import annotations

from collections.abc import Sequence

from core.agents_file.spec import AgentSpec
from core.definition import TOOLBOX_ENDPOINT
from core.model import Version
from core.prune.toolboxes import plan_toolbox
from handlers.gateways.interfaces import Gateways
from handlers.prune_versions.worth_recording import worth_recording
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
    """Prune, if the agent has or had tools; raises TransientError or PermanentError.

    A toolbox version that a release is about to name is the newest, or younger than an hour: both stay.
    """
    if not spec.tools and not any(TOOLBOX_ENDPOINT in version.variables for version in versions):
        return
    toolbox = spec.toolbox
    toolbox_versions = await gateways.foundry.list_toolbox_versions(toolbox)
    plan = plan_toolbox(toolbox_versions, kept, spec.keep, gateways.clock.now())
    for decision in worth_recording(plan, deletes=any(decision.deletes for decision in plan)):
        if decision.deletes and not dry_run:
            await gateways.foundry.delete_toolbox_version(toolbox, decision.version)
        decisions.record(decision.reason, version=decision.version, toolbox=toolbox)
