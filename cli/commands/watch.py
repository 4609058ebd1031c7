"""Shows a release happen: the journal's lines as they come, until the ledger says that it is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from cli.codes import DONE, NOT_WELL
from cli.running import Answer, House
from cli.screen import about, columns, meaning, show
from core.reasons import Reason
from core.release.inputs import rollback_version
from core.release_outcome import awaits_approval
from core.state.desired import DesiredState
from core.state.release import ReleaseState

LOOK_EVERY = 1.0
WELL = frozenset(
    {Reason.LIVE, Reason.CHECK_INCONCLUSIVE, Reason.ALREADY_LIVE, Reason.APPROVAL_WAITING, Reason.WOULD_RELEASE}
)
"""What a pipeline may go on after: it serves, or the rule wants no more than this."""


async def watch(house: House, generations: Mapping[str, int], since: datetime, as_json: bool) -> Answer:
    """Return once each agent's release is over, or waits for somebody."""
    shown, left = set[str](), dict(generations)
    ends: dict[str, str] = {}
    house.progress.hushed = True
    while left:
        for agent, generation in list(left.items()):
            desired, release = (
                await house.gateways.state_store.get_desired(agent),
                await house.gateways.state_store.get_release(agent),
            )
            await _lines(house, generations, since, shown, as_json)
            end = _end(desired, release, generation, house.gateways.clock.now())
            if end is not None:
                ends[agent] = end
                del left[agent]
        if left:
            await house.gateways.clock.sleep(LOOK_EVERY)
    await _lines(house, generations, since, shown, as_json)
    code = DONE if WELL.issuperset(ends.values()) else NOT_WELL
    return Answer("\n".join(f"{agent}: {end}" for agent, end in ends.items()), ends, code)


def _end(desired: DesiredState, release: ReleaseState, generation: int, now: datetime) -> str | None:
    """What it came to, or what it waits for; None while it goes on."""
    if release.observed_generation >= generation and not release.is_open and release.pending_write is None:
        return release.reason
    approved = desired.approval is not None and desired.approval.version == release.candidate
    if awaits_approval(release) and not approved:
        return Reason.APPROVAL_WAITING.value
    if desired.pause is not None and desired.pause.is_active(now) and rollback_version(desired) is None:
        return Reason.PAUSED.value
    return None


async def _lines(house: House, agents: Mapping[str, int], since: datetime, shown: set[str], as_json: bool) -> None:
    """What the journal has that was not shown yet; past midnight it goes on in the next day's."""
    now = house.gateways.clock.now()
    days = {since.date(): since, now.date(): now, (now - timedelta(seconds=5)).date(): now - timedelta(seconds=5)}
    for day in sorted(days):
        for line in await house.gateways.journal.read_day(days[day]):
            key = json.dumps(line, sort_keys=True)
            if key in shown or line.get("agent") not in agents or str(line.get("at", "")) < since.isoformat():
                continue
            shown.add(key)
            _show(line, as_json)


def _show(line: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(line), flush=True)
        return
    what = str(line.get("detail") or meaning(line))
    at, reason = str(line["at"])[11:19], str(line["reason"]).ljust(16)
    show(columns([(at, str(line["agent"]), reason, about(line).ljust(10), what)]))
