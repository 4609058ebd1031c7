"""What a person asks Slipway: read only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cli.many import each, reading
from cli.running import Answer, House
from cli.times import short
from core.agents_file.spec import KeepSpec
from core.model import Agent, Version
from core.prune.retention import near_limit
from core.release_outcome import awaits_approval
from core.state.desired import DesiredState, Hold
from core.state.holds import active
from core.state.release import ReleaseState
from handlers.concurrency import gather_two
from local.ncrontab import Schedule


async def status(house: House, agent: str | None) -> Answer:
    """Live, wanted, under way, held, paused; for one agent or all."""
    names = house.named(agent)
    house.progress.what = reading(names)
    prune = Schedule(house.settings.prune_schedule).next(house.gateways.clock.now())
    found = [one | {"next_prune": prune.isoformat()} for one in await each(names, lambda name: _status(house, name))]
    dry = " (dry run: PRUNE_DRY_RUN is set)" if house.settings.prune_dry_run else ""
    lines = [line for one in found for line in _lines(one)]
    return Answer("\n".join([*lines, f"next prune {short(prune)}{dry}"]), found)


async def _status(house: House, name: str) -> dict[str, Any]:
    ledger, foundry, now = house.gateways.state_store, house.gateways.foundry, house.gateways.clock.now()
    reads = gather_two(foundry.get_agent(name), foundry.list_versions(name))
    (told, versions), (desired, release) = await gather_two(
        reads, gather_two(ledger.get_desired(name), ledger.get_release(name))
    )
    keep = house.agents.agents[name].keep
    return {
        "agent": name,
        **_traffic(told, versions, release),
        **_wish(desired, release, now),
        "held": [_hold(one) for one in active(desired, release, now)],
        "versions": len(versions),
        "limit": keep.limit,
        "quota": _quota(len(versions), keep),
    }


def _traffic(told: Agent | None, versions: Sequence[Version], release: ReleaseState) -> dict[str, Any]:
    live = told.live if told else None
    serves = next((one for one in versions if one.number == live), None)
    return {
        "live": live,
        "running": serves.image if serves else None,
        "follows_latest": told.routing.follows_latest if told else None,
        "enabled": told.enabled if told else None,
        "moved_by_hand": bool(
            told and release.expected_routing is not None and told.routing != release.expected_routing
        ),
    }


def _wish(desired: DesiredState, release: ReleaseState, now: datetime) -> dict[str, Any]:
    pause = desired.pause if desired.pause and desired.pause.is_active(now) else None
    until = f" until {short(pause.until)}" if pause and pause.until else ""
    waits_until = (
        desired.not_before
        if desired.not_before and desired.generation > release.observed_generation and desired.not_before > now
        else None
    )
    return {
        "wanted": desired.push.tag if desired.push else None,
        "digest": desired.push.digest if desired.push else None,
        "stage": str(release.phase),
        "reason": "APPROVAL_WAITING" if awaits_approval(release) else str(release.reason),
        "detail": release.detail,
        "candidate": release.candidate if release.is_open else None,
        "due": waits_until.isoformat() if waits_until else None,
        "paused": f"by {pause.by}{until}: {pause.why}" if pause else None,
    }


def _hold(hold: Hold) -> str:
    until = f"until {short(hold.until)}" if hold.until else "until it is lifted"
    by = f" by {hold.by}" if hold.by else ""
    return f"{hold.digest or hold.fingerprint} {hold.reason}{by}, {until}: {hold.detail}"


def _quota(count: int, keep: KeepSpec) -> str:
    return "full" if count >= keep.limit else "crowded" if near_limit(count, keep) else "ok"


def _lines(one: dict[str, Any]) -> list[str]:
    live = f"version {one['live']} live" if one["live"] else "nothing live"
    image = str(one["running"] or "").partition("@")
    running = f" ({image[0].rpartition('/')[2]}@{image[2][:19]})" if image[2] else ""
    over = one["reason"] if one["stage"] == "ended" or one["reason"] == "APPROVAL_WAITING" else one["stage"]
    parts = [f"{live}{running}", f"wanted {one['wanted'] or 'nothing'}", over]
    parts += [f"version {one['candidate']} under way"] if one["candidate"] else []
    parts += [f"{one['versions']} of {one['limit']} versions" + (f", {one['quota']}" if one["quota"] != "ok" else "")]
    notes = [f"  held {held}" for held in one["held"]]
    notes += [f"  paused {one['paused']}"] if one["paused"] else []
    notes += [f"  not before {one['due']}"] if one["due"] else []
    notes += ["  the traffic was moved by somebody else: DRIFT"] if one["moved_by_hand"] else []
    notes += ["  the agent is disabled"] if one["enabled"] is False else []
    return [f"{one['agent']}: " + ", ".join(part for part in parts if part), *notes]


async def digests(house: House) -> Answer:
    """One image a line."""
    names = house.named(None)
    house.progress.what = reading(names)
    found = {
        one.image for listed in await each(names, house.gateways.foundry.list_versions) for one in listed if one.image
    }
    return Answer("\n".join(sorted(found)), sorted(found))
