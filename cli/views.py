"""What a person asks Slipway: read only."""

from __future__ import annotations

from typing import Any

from cli.running import Answer, House
from core.holds import active
from handlers.prune import planned
from handlers.together import together


async def status(house: House, agent: str | None) -> Answer:
    """Live, wanted, under way, held, paused; for one agent or all."""
    found = [await _status(house, name) for name in house.named(agent)]
    return Answer("\n".join(_line(one) for one in found), found)


async def _status(house: House, name: str) -> dict[str, Any]:
    ledger, now = house.outside.ledger, house.outside.clock.now()
    told, (wanted, record) = await together(
        house.outside.foundry.agent(name), together(ledger.wanted(name), ledger.record(name))
    )
    pause = wanted.paused if wanted.paused and wanted.paused.holds(now) else None
    return {
        "agent": name,
        "live": told.live if told else None,
        "wanted": wanted.push.tag if wanted.push else None,
        "digest": wanted.push.digest if wanted.push else None,
        "stage": str(record.stage),
        "reason": str(record.reason),
        "candidate": record.candidate if record.open else None,
        "held": [f"{one.digest or one.fingerprint} {one.reason}" for one in active(wanted, record, now)],
        "paused": f"by {pause.by}: {pause.why}" if pause else None,
    }


def _line(one: dict[str, Any]) -> str:
    live = f"version {one['live']} live" if one["live"] else "nothing live"
    parts = [live, f"wanted {one['wanted'] or 'nothing'}", one["reason"] if one["stage"] == "ended" else one["stage"]]
    parts += [f"version {one['candidate']} under way"] if one["candidate"] else []
    parts += [f"held {held}" for held in one["held"]]
    parts += [f"paused {one['paused']}"] if one["paused"] else []
    return f"{one['agent']}: " + ", ".join(part for part in parts if part)


async def prune(house: House, agent: str | None) -> Answer:
    """The plan, version by version."""
    rows: list[dict[str, str]] = []
    for name in house.named(agent):
        found = await planned(house.agents.agents[name], house.outside)
        rows += [{"agent": name, "version": one.version.number, "reason": one.reason} for one in found.lines]
    return Answer("\n".join(f"{one['agent']} {one['version']} {one['reason']}" for one in rows), rows)


async def digests(house: House) -> Answer:
    """One image a line."""
    found: set[str] = set()
    for name in house.named(None):
        found |= {one.image for one in await house.outside.foundry.versions(name) if one.image}
    return Answer("\n".join(sorted(found)), sorted(found))
