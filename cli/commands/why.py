"""Why something was done, or not: the journal's lines about an image or an event, and how the ledger stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cli.codes import DONE, REFUSED
from cli.many import each
from cli.running import Answer, House
from cli.screen import about, columns, meaning
from cli.times import short
from core.model import Push
from core.state.holds import active

SHORTEST = 6
"""Digits that the beginning of a digest must have."""
KEPT = ("at", "agent", "reason", "severity", "detail", "help", "step", "event", "repository", "tag", "digest")
MORE = ("version", "from_version", "to_version", "generation", "took_s", "since_push_s", "fingerprint")
Line = Mapping[str, object]


async def why(house: House, what: str, back: timedelta) -> Answer:
    """Each decision about it, oldest first; then what each agent's ledger says of it now."""
    lines = await journal(house, back)
    digests = {str(one["digest"]) for one in lines if one.get("digest") and _is_about(one, what)}
    found = [one for one in lines if _is_about(one, what)]
    found = _with_their_release(lines, found)
    house.progress.what = "reading the ledger"
    kept = await each(sorted(house.agents.agents), lambda name: _ledger(house, name, what, digests))
    ledger = [told for one in kept for told in one]
    if not found and not ledger:
        days = max(1, back.days)
        text = f"nothing is known of {what} in the last {days} days: no event of it came, or REGISTRY_NAME is another"
        return Answer(text, {"decisions": [], "ledger": []}, REFUSED)
    decisions = [{key: one[key] for key in (*KEPT, *MORE) if key in one} for one in found]
    return Answer(_text(decisions, ledger), {"decisions": decisions, "ledger": ledger}, DONE)


async def journal(house: House, back: timedelta) -> list[Line]:
    """Every line of the days that the journal may have, oldest first."""
    now = house.gateways.clock.now()
    house.progress.what = "reading the journal"
    numbers = [str(number) for number in range(back.days + 1, -1, -1)]
    days = await each(numbers, lambda number: house.gateways.journal.read_day(now - timedelta(days=int(number))))
    since = (now - back).isoformat()
    lines = [one for lines in days for one in lines if str(one.get("at", "")) >= since]
    once = {repr(sorted(one.items(), key=str)): one for one in lines}  # a lost answer may have written a line twice
    return sorted(once.values(), key=lambda one: str(one.get("at", "")))


def _is_about(line: Line, what: str) -> bool:
    digest, hexadecimal = str(line.get("digest") or ""), what.removeprefix("sha256:")
    if what in (line.get("event"), line.get("tag"), digest) or what == f"{line.get('repository')}:{line.get('tag')}":
        return True
    return len(hexadecimal) >= SHORTEST and digest.removeprefix("sha256:").startswith(hexadecimal)


def _with_their_release(lines: list[Line], found: list[Line]) -> list[Line]:
    """Also what a person said, or a timer did, in the same release, where the line itself names no image."""
    releases = {
        (one.get("agent"), one.get("generation")) for one in found if one.get("agent") and one.get("generation")
    }
    versions = {(one.get("agent"), one.get("version")) for one in found if one.get("agent") and one.get("version")}

    def belongs(one: Line) -> bool:
        if one.get("digest"):
            return False
        agent = one.get("agent")
        return (agent, one.get("generation")) in releases or (agent, one.get("version")) in versions

    ours = {id(one) for one in found}
    return [one for one in lines if id(one) in ours or belongs(one)]


async def _ledger(house: House, agent: str, what: str, digests: set[str]) -> list[dict[str, Any]]:
    """What is wanted, done and held of it now."""
    desired, release = (
        await house.gateways.state_store.get_desired(agent),
        await house.gateways.state_store.get_release(agent),
    )
    pushes = [("wanted", desired.push, ""), ("good", release.last_good.push if release.last_good else None, "")]
    pushes += (
        [("under way", release.push, f", {release.phase}, version {release.candidate}")] if release.is_open else []
    )
    told = [
        {"agent": agent, "what": name, "detail": f"{push.repository}:{push.tag} {push.digest[:19]}{more}"}
        for name, push, more in pushes
        if push and (push.digest in digests or _is_about(_of(push), what))
    ]
    for hold in active(desired, release, house.gateways.clock.now()):
        if hold.digest and (hold.digest in digests or _is_about({"digest": hold.digest}, what)):
            until = f" until {short(hold.until)}" if hold.until else " until it is lifted"
            told.append({"agent": agent, "what": "held", "detail": f"{hold.reason} by {hold.by}{until}: {hold.detail}"})
    return told


def _of(push: Push) -> Line:
    return {"digest": push.digest, "tag": push.tag, "event": push.event_id, "repository": push.repository}


def _text(lines: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> str:
    rows = [
        (
            str(one.get("at", ""))[:19].replace("T", " "),
            str(one.get("agent", "no agent")),
            str(one.get("reason", "")),
            about(one),
            meaning(one),
        )
        for one in lines
    ]
    parts = [columns(rows)] if rows else []
    hint = str(lines[-1].get("help", "")) if lines else ""
    parts += [f"  {hint}"] if hint and not hint.startswith("Nothing to do") else []
    parts += [f"now: {one['agent']} {one['what']}: {one['detail']}" for one in ledger]
    return "\n".join(parts)
