"""``slipway versions``: lists an agent's versions, and why each one stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from cli.json_documents.reports import VersionRow
    from core.prune.retention import PruneDecision

HEADINGS = ("VERSION", "TAG", "CREATED", "STATUS", "NEXT PRUNE")


def versions(
    agent: Annotated[str, typer.Argument(help="The agent, as agents.yaml names it.")],
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """List an agent's versions, the newest first. Also the tag and age of each, and why it stays or goes."""
    run_and_print(local, as_json, lambda context: list_versions(context, agent))


async def list_versions(context: CommandContext, agent: str) -> CommandResult:
    """Return one row per version; raise UsageError for an unknown agent, GatewayError if one read fails."""
    from cli.concurrency import MAX_WAIT, read_agents
    from core.prune.retention import version_number
    from handlers.prune_versions.run import plan_versions

    spec = context.spec_of(agent)
    reads = await read_agents(context, [agent], lambda _: plan_versions(spec, context.gateways), MAX_WAIT)
    prune, signers, now = reads.found[agent], reads.found[agent].release.signers, context.gateways.clock.now()
    newest_first = sorted(prune.decisions, key=lambda item: version_number(item.version), reverse=True)
    rows = [_row(decision, signers.get(decision.version.number), now) for decision in newest_first]
    return CommandResult(_text(rows) if rows else f"{agent} has no versions", rows)


def _row(decision: PruneDecision, signer: str | None, now: datetime) -> VersionRow:
    from cli.durations import age_in_seconds
    from core.definition import push_of_version
    from core.prune.retention import Delete

    version, push = decision.version, push_of_version(decision.version)
    return {
        "version": version.number,
        "tag": push.tag if push and push.tag else None,
        "image": version.image,
        "created_at": version.created_at.isoformat(),
        "age_s": age_in_seconds(version.created_at, now),
        "status": version.status.value,
        "signer": signer,
        "reason": decision.reason.value,
        "meaning": decision.reason.meaning,
        "delete": isinstance(decision, Delete),
    }


def _text(rows: list[VersionRow]) -> str:
    from cli.durations import format_age
    from cli.output import columns

    def cells(row: VersionRow) -> tuple[str, ...]:
        age = format_age(timedelta(seconds=row["age_s"]))
        signed = f"; signed by {row['signer']}" if row["signer"] else ""
        return row["version"], row["tag"] or "", age, row["status"], f"{row['reason']}: {row['meaning']}{signed}"

    return columns([HEADINGS, *map(cells, rows)])
