"""Prune by hand: the plan, a question, and then what the timer does, under the same lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from cli.asking_first import How, sure
from cli.codes import DONE, NOT_WELL
from cli.many import each, reading
from cli.running import Answer, House
from cli.screen import columns
from core.agents_file.spec import Agents
from core.prune.retention import Delete
from core.reasons import Reason
from handlers.gateways.interfaces import Journal
from handlers.prune_versions import run as pruner
from handlers.prune_versions.run import prune_versions

__all__ = ["How", "prune"]
Row = dict[str, str]
GONE = (Reason.PRUNED_STALE.value, Reason.PRUNED_FAILED.value)


async def prune(house: House, agent: str | None, how: How) -> Answer:
    """The plan, version by version; without ``dry_run`` it is then done."""
    names = house.named(agent)
    house.progress.what = reading(names)
    plans = await each(names, lambda name: pruner.planned(house.agents.agents[name], house.gateways))
    rows = [
        _row(name, line.version.number, line.reason, goes=isinstance(line, Delete))
        for name, found in zip(names, plans, strict=True)
        for line in found.lines
    ]
    going = [one for one in rows if one["goes"]]
    if how.dry_run or not going:
        return Answer(_text(rows), rows)
    if not sure(how, house.progress, _text(rows), f"Delete {len(going)} of {len(rows)} versions?"):
        return Answer("nothing was deleted", [])
    return await _do(house, agent, len(going))


async def _do(house: House, agent: str | None, planned: int) -> Answer:
    """What the timer does: planned again under the lease, each version looked at once more."""
    house.progress.what = "deleting"
    journal = Overheard(house.gateways.journal)
    rules = Agents(agents={name: house.agents.agents[name] for name in house.named(agent)})
    settings = replace(house.settings, prune_dry_run=False)
    await prune_versions(rules, settings, replace(house.gateways, journal=journal))
    rows = [
        _row(str(one["agent"]), str(one.get("version", "")), Reason[str(one["reason"])], goes=one["reason"] in GONE)
        for one in journal.lines
        if one.get("version") or one["reason"] in (Reason.PRUNE_STOPPED, Reason.PAUSED, Reason.LEASE_TAKEN)
    ]
    gone = sum(bool(one["goes"]) for one in rows)
    text = f"{_text([one for one in rows if not one['reason'].startswith('KEPT_')])}\n{gone} of {planned} deleted"
    return Answer(text, rows, DONE if gone == planned else NOT_WELL)


class Overheard:
    """The journal, and what is written to it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.lines: list[Mapping[str, object]] = []

    async def append(self, *lines: Mapping[str, object]) -> None:
        """Write, and keep."""
        self.lines += lines
        await self._journal.append(*lines)

    async def read_day(self, day: datetime) -> Sequence[Mapping[str, object]]:
        """As the journal."""
        return await self._journal.read_day(day)


def _row(agent: str, version: str, reason: Reason, *, goes: bool) -> Row:
    return {"agent": agent, "version": version, "goes": "yes" if goes else "", "reason": reason.value,
            "meaning": reason.meaning}  # fmt: skip


def _text(rows: list[Row]) -> str:
    return columns([(one["agent"], one["version"], one["reason"], one["meaning"]) for one in rows])
