"""``slipway prune``: shows which versions would be deleted, asks, and then does what the timer does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cli.exit_codes import BAD_RESULT, DONE
from cli.options import AsJson, DryRun, Local, OptionalAgent, Yes
from cli.prompt import PromptOptions, confirm
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from core.reasons import Reason
    from handlers.gateways.interfaces import Journal, NewLines

Row = dict[str, Any]


def prune(
    agent: OptionalAgent = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Delete unneeded versions, as the timer does. Shows the plan and asks first."""
    options = PromptOptions(dry_run, yes, as_json)
    run_and_print(local, as_json, lambda context: plan_and_prune(context, agent, options))


async def plan_and_prune(context: CommandContext, agent: str | None, options: PromptOptions) -> CommandResult:
    """Show what would happen to each version; without ``dry_run``, do it."""
    from cli.concurrency import read_agents
    from cli.errors import as_json
    from cli.exit_codes import DONE, SERVICE_ERROR
    from cli.output import join_lines
    from core.prune.retention import Delete
    from handlers.prune_versions.run import plan_versions

    names = context.select_agents(agent)
    reads = await read_agents(context, names, lambda name: plan_versions(context.agents.agents[name], context.gateways))
    rows = [
        _row(name, line.version.number, line.reason) | {"delete": isinstance(line, Delete)}
        for name, plan in reads.found.items()
        for line in plan.decisions
    ]
    count = sum(row["delete"] for row in rows)
    if options.dry_run or not count:
        text = "\n".join(part for part in (_text(rows), join_lines(*reads.notes)) if part)
        data = rows + [{"agent": name, "error": as_json(error)} for name, error in reads.unread.items()]
        return CommandResult(text, data, SERVICE_ERROR if reads.unread else DONE)
    if not confirm(options, context.progress, _text(rows), f"Delete {count} of {len(rows)} versions?"):
        return CommandResult("nothing was deleted", [])
    return await _prune(context, names, count)


async def _prune(context: CommandContext, names: list[str], planned_count: int) -> CommandResult:
    """Do what the timer does: plan again under the lease, and read each version before its deletion."""
    from core.agents_file.spec import Agents
    from core.prune.retention import PRUNED
    from core.reasons import Reason
    from handlers.prune_versions.run import prune_agents

    context.progress.activity = "deleting"
    journal = RecordingJournal(context.gateways.journal)
    agents = Agents(agents={name: context.agents.agents[name] for name in names})
    settings = replace(context.settings, prune_dry_run=False)
    await prune_agents(agents, settings, replace(context.gateways, journal=journal))
    rows = [
        _row(str(line["agent"]), str(line.get("version", "")), Reason[str(line["reason"])])
        | {"deleted": line["reason"] in PRUNED}
        for line in journal.lines
        if line.get("version") or line["reason"] in (Reason.PRUNE_STOPPED, Reason.PAUSED, Reason.LEASE_TAKEN)
    ]
    count = sum(row["deleted"] for row in rows)
    shown = _text([row for row in rows if not row["reason"].startswith("KEPT_")])
    text = f"{shown}\n{count} of {planned_count} deleted"
    return CommandResult(text, rows, DONE if count == planned_count else BAD_RESULT)


class RecordingJournal:
    """The journal, and the lines that were appended to it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.lines: list[Mapping[str, object]] = []

    async def append(self, *lines: Mapping[str, object]) -> None:
        """Append the lines, and keep them."""
        self.lines += lines
        await self._journal.append(*lines)

    async def read_day(self, day: datetime, containing: Collection[str] = ()) -> Sequence[Mapping[str, object]]:
        """Return a day of the journal."""
        return await self._journal.read_day(day, containing)

    async def end(self, day: datetime) -> Mapping[str, int]:
        """Return the position after the last line of a day."""
        return await self._journal.end(day)

    async def read_new(self, day: datetime, position: Mapping[str, int]) -> NewLines:
        """Return what a day has received since."""
        return await self._journal.read_new(day, position)


def _row(agent: str, version: str, reason: Reason) -> Row:
    return {"agent": agent, "version": version, "reason": reason.value, "meaning": reason.meaning}


def _text(rows: list[Row]) -> str:
    from cli.output import columns

    return columns([(row["agent"], row["version"], row["reason"], row["meaning"]) for row in rows])
