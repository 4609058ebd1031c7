"""The text of ``slipway status``: a table of the agents, and below it what each one waits for or needs.

Where agents have stages the table is a board: agents down, stages across.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

from cli.durations import format_age, format_iso, format_iso_seconds
from cli.errors import as_text
from cli.output import columns, join_lines
from core.reasons import Reason
from core.target import agent_of, project_of

HEADINGS = ("AGENT", "LIVE", "DESIRED", "STATE", "SINCE", "VERSIONS")
LIMITS = {"near": ", near the limit", "reached": ", limit reached"}
Status = Mapping[str, Any]


def status_text(statuses: Sequence[Status], now: datetime) -> str:
    """Return the table, and below it the agents that need more words, in the same order."""
    if not statuses:
        return ""
    in_stages = len({status["stage_number"] for status in statuses}) > 1
    rows = _board(statuses, now) if in_stages else [HEADINGS, *(_row(status, now) for status in statuses)]
    notes = {status["agent"]: _notes(status, now) for status in statuses}
    blocks = [join_lines(f"{agent}:", *(f"  {line}" for line in lines)) for agent, lines in notes.items() if lines]
    return "\n".join([columns(rows), *blocks])


def _board(statuses: Sequence[Status], now: datetime) -> list[tuple[str, ...]]:
    """Return the rows of the board: a column per stage, and in it two lines per target."""
    stages = range(1, max(status["stage_number"] for status in statuses) + 1)
    rows = [("AGENT", *(f"STAGE {stage}" for stage in stages))]
    for agent in dict.fromkeys(agent_of(status["agent"]) for status in statuses):
        targets = [status for status in statuses if agent_of(status["agent"]) == agent]
        cells = [
            [line for target in targets if target["stage_number"] == stage for line in _cell(target, now)]
            for stage in stages
        ]
        rows += zip_longest([agent], *cells, fillvalue="")
    return rows


def _cell(status: Status, now: datetime) -> list[str]:
    state = f"  {_state(status, status['live_tag'])}  {_age(status['since'], now)}"
    limit = LIMITS.get(status["version_limit_status"])
    versions = [f"  {_versions(status)} versions{limit}"] if limit else []
    return [f"{project_of(status['agent'])}  {_live(status)}", state, *versions]


def _row(status: Status, now: datetime) -> tuple[str, ...]:
    return (
        status["agent"],
        _live(status),
        status["desired"] or "none",
        _state(status, status["desired"]),
        _age(status["since"], now),
        _versions(status) + LIMITS.get(status["version_limit_status"], ""),
    )


def _live(status: Status) -> str:
    tag = status["live_tag"]
    return f"{status['live']} ({tag})" if status["live"] and tag else status["live"] or "none"


def _state(status: Status, shown_tag: str | None) -> str:
    """Return the state, with the tag of the push that it is about where that is another than the one shown."""
    about = status["state_tag"]
    return f"{status['state']} ({about})" if about and about != shown_tag else str(status["state"])


def _versions(status: Status) -> str:
    return f"{status['versions']} of {status['version_limit']}" if status["versions"] is not None else "not read"


def _notes(status: Status, now: datetime) -> list[str]:
    candidate = status["candidate"]
    notes = [f"version {candidate} is the candidate"] if candidate else []
    notes += [status["detail"]] if _has_own_detail(status) and _needs_attention(status["state"]) else []
    notes += [_hold(hold) for hold in status["holds"]]
    notes += [_rejected(status["rejected"], now)] if status["rejected"] else []
    notes += _rolled_back(status["rolled_back"], now) if status["rolled_back"] else []
    notes += [_pause(status, status["pause"], now)] if status["pause"] else []
    notes += [
        f"{push['tag']} waits until {format_iso_seconds(push['until'])} (release.min_push_age)"
        for push in status["waiting"]
    ]
    notes += [_stage(status["stage"])] if status["stage"] else []
    notes += [f"window closed, opens {status['window_opens']}"] if status["window_opens"] else []
    notes += ["routing was changed outside Slipway: DRIFT"] if status["routing_changed_outside"] else []
    notes += ["the agent is disabled in Foundry"] if status["enabled"] is False else []
    notes += [f"as the state store has it; {as_text(status['not_read'])}"] if status["not_read"] else []
    return [*notes, *([status["next"]] if status["next"] else [])]


def _has_own_detail(status: Status) -> bool:
    """Return whether the detail says more than the line of the rejected push, which has its own."""
    rejected = status["rejected"] or {}
    return bool(status["detail"]) and (status["state"], status["detail"]) != (
        rejected.get("reason"),
        rejected.get("detail"),
    )


def _needs_attention(state: str) -> bool:
    known = Reason.__members__.get(state)
    return known is not None and known.severity != "info"


def _hold(hold: Mapping[str, Any]) -> str:
    until = f"until {format_iso(hold['until'])}" if hold["until"] else "until removed"
    by = f" by {hold['by']}" if hold["by"] else ""
    return f"hold {hold['digest'] or hold['fingerprint']} {hold['reason']}{by}, {until}: {hold['detail']}"


def _stage(wait: Mapping[str, Any]) -> str:
    since = f"{wait['tag']} is good at {', '.join(wait['upstream'])} since {format_iso_seconds(wait['since'])}"
    if wait["reason"] != Reason.STAGE_WAITING:
        return f"{since}, and is not taken: {wait['reason']}"
    return f"{since}, goes on at {format_iso_seconds(wait['until'])}"


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


def _pause(status: Status, pause: Mapping[str, Any], now: datetime) -> str:
    """Return who paused the agent and why; with the command that ends it, unless that is what is to be done next."""
    until = f" until {format_iso(pause['until'])}" if pause["until"] else ""
    end = "" if status["state"] == Reason.PAUSED else f"; end it with slipway resume {status['agent']}"
    return f"paused by {pause['by']} {_age(pause['since'], now)}{until}: {pause['why']}{end}"


def _age(at: str | None, now: datetime) -> str:
    return format_age(now - datetime.fromisoformat(at)) if at else ""
