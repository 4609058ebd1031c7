"""The text of ``slipway status``: a table of the agents, and below it what each one waits for or needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cli.durations import format_age, format_time
from cli.output import columns, join_lines
from core.reasons import Reason

HEADINGS = ("AGENT", "LIVE", "DESIRED", "STATE", "SINCE", "VERSIONS")
LIMITS = {"near": ", near the limit", "reached": ", limit reached"}
Status = Mapping[str, Any]


def status_text(statuses: Sequence[Status], now: datetime) -> str:
    """Return the table, and below it the agents that need more words, in the same order."""
    if not statuses:
        return ""
    table = columns([HEADINGS, *(_row(status, now) for status in statuses)])
    notes = {status["agent"]: _notes(status, now) for status in statuses}
    blocks = [join_lines(f"{agent}:", *(f"  {line}" for line in lines)) for agent, lines in notes.items() if lines]
    return "\n".join([table, *blocks])


def _row(status: Status, now: datetime) -> tuple[str, ...]:
    tag = status["live_tag"]
    live = f"{status['live']} ({tag})" if status["live"] and tag else status["live"] or "none"
    about = status["state_tag"]
    of_another = f" ({about})" if about and about != status["desired"] else ""
    versions = f"{status['versions']} of {status['version_limit']}" if status["versions"] is not None else "not read"
    return (
        status["agent"],
        live,
        status["desired"] or "none",
        f"{status['state']}{of_another}",
        _age(status["since"], now),
        versions + LIMITS.get(status["version_limit_status"], ""),
    )


def _notes(status: Status, now: datetime) -> list[str]:
    candidate = status["candidate"]
    notes = [f"version {candidate} is the candidate"] if candidate else []
    notes += [status["detail"]] if status["detail"] and _needs_attention(status["state"]) else []
    notes += [_hold(hold) for hold in status["holds"]]
    notes += [_rejected(status["rejected"], now)] if status["rejected"] else []
    notes += _rolled_back(status["rolled_back"], now) if status["rolled_back"] else []
    notes += [_pause(status["pause"], now)] if status["pause"] else []
    notes += [f"{push['tag']} waits until {_clock(push['until'])} (release.min_push_age)" for push in status["waiting"]]
    notes += [f"window closed, opens {status['window_opens']}"] if status["window_opens"] else []
    notes += ["routing was changed outside Slipway: DRIFT"] if status["routing_changed_outside"] else []
    notes += ["the agent is disabled in Foundry"] if status["enabled"] is False else []
    notes += [_not_read(status["not_read"])] if status["not_read"] else []
    return [*notes, *([status["next"]] if status["next"] else [])]


def _needs_attention(state: str) -> bool:
    known = Reason.__members__.get(state)
    return known is not None and known.severity != "info"


def _hold(hold: Mapping[str, Any]) -> str:
    until = f"until {format_time(datetime.fromisoformat(hold['until']))}" if hold["until"] else "until removed"
    by = f" by {hold['by']}" if hold["by"] else ""
    return f"hold {hold['digest'] or hold['fingerprint']} {hold['reason']}{by}, {until}: {hold['detail']}"


def _rejected(push: Mapping[str, Any], now: datetime) -> str:
    image = f"{push['repository']}:{push['tag']} {push['digest'][:19]}"
    return f"push rejected {_age(push['at'], now)}: {push['reason']} {image}: {push['detail']}"


def _rolled_back(rollback: Mapping[str, Any], now: datetime) -> list[str]:
    done = "" if rollback["is_done"] else " (not finished)"
    age = f" {_age(rollback['at'], now)}" if rollback["at"] else ""
    by = rollback["by"] or "somebody"
    lines = [f"rolled back to v{rollback['version']} by {by}{age}{done}: {rollback['why']}"]
    if since := rollback["config_waits_since"]:
        waits = "waits for a newer push or slipway retry"
        lines.append(f"ROLLED_BACK_BY: agents.yaml, deployed {_age(since, now)}, {waits}")
    return lines


def _pause(pause: Mapping[str, Any], now: datetime) -> str:
    until = f" until {format_time(datetime.fromisoformat(pause['until']))}" if pause["until"] else ""
    return f"paused by {pause['by']} {_age(pause['since'], now)}{until}: {pause['why']}"


def _not_read(error: Mapping[str, Any]) -> str:
    return f"as the state store has it; {error['service']}: {error['code']}: {error['detail']}"


def _age(at: str | None, now: datetime) -> str:
    return format_age(now - datetime.fromisoformat(at)) if at else ""


def _clock(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"
