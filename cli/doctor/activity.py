"""Checks that the app works: its heartbeat, the oldest messages of its queues, and failures that nothing has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cli.commands.why import unique_decisions
from cli.doctor.result import Check, failed, ok, unknown, unread
from cli.durations import age_in_seconds, format_age, time_with_zone
from cli.why_problems import open_problems, with_message
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways
from handlers.resume_releases.run import HEARTBEAT

QUEUES = ("events", "releases")
MAX_AGE = timedelta(minutes=10)
"""Of a message that nothing holds back. The timer runs every five minutes: within it the heartbeat comes once."""
RECENT = timedelta(hours=24)
IS_RUNNING = 'az functionapp list --query "[].{name:name, state:state}" --output table'


async def checks(gateways: Gateways) -> list[Check]:
    """Check heartbeat, queues and journal; what cannot be read is unknown."""
    ages = [await _queue(queue, gateways) for queue in QUEUES]
    return [await _heartbeat(gateways), *ages, *await _failures(gateways)]


async def _heartbeat(gateways: Gateways) -> Check:
    check = "heartbeat of the app"
    try:
        at = time_with_zone(await gateways.state_store.read_marker(HEARTBEAT))
    except GatewayError as error:
        return unread(check, error)
    if at is None:
        return unknown(check, "none yet: the timer runs every five minutes", IS_RUNNING)
    return _by_age(check, "the last", at, gateways.clock.now())


async def _queue(queue: str, gateways: Gateways) -> Check:
    check = f"oldest message of {queue}"
    try:
        oldest = await gateways.release_queue.oldest_message(queue)
    except GatewayError as error:
        return unread(check, error, "get Storage Queue Data Reader on the storage account")
    if oldest is None:
        return ok(check, "none waits")
    return _by_age(check, "came", oldest, gateways.clock.now())


def _by_age(check: str, what: str, at: datetime, now: datetime) -> Check:
    """Ok where it happened within ``MAX_AGE``; ``what`` begins the detail of a failure."""
    age = format_age(now - at)
    found = ok(check, age) if now - at <= MAX_AGE else failed(check, f"{what} {age}", IS_RUNNING)
    return replace(found, age_s=age_in_seconds(at, now))


async def _failures(gateways: Gateways) -> list[Check]:
    """One check for each failure of the last day that nothing has ended."""
    now = gateways.clock.now()
    since, check = now - RECENT, "failures of 24 hours"
    try:
        days = [await gateways.journal.read_day(day) for day in (since, now)]
    except GatewayError as error:
        return [unread(check, error)]
    lines = [line for day in days for line in day if str(line.get("at", "")) >= since.isoformat()]
    problems = open_problems([with_message(line) for line in unique_decisions(lines)])
    found = [problem for problem in problems if problem["remedy"] or problem.get("severity") == "error"]
    results = []
    for problem in found:
        about = problem.get("agent") or problem.get("event") or "app"
        at = time_with_zone(str(problem.get("at", "")))
        age = f" {format_age(now - at)}" if at else ""
        detail = ": ".join(text for text in (f"{problem['reason']}{age}", str(problem.get("detail") or "")) if text)
        known = failed(f"{about}: last failure", detail, problem["remedy"] or str(problem.get("help") or ""))
        past = age_in_seconds(at, now) if at else None
        results.append(replace(known, agent=problem.get("agent"), reason=problem["reason"], age_s=past))
    return results or [ok(check, "none that lasts")]
