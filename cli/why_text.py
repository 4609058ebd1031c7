"""The text of ``slipway why``: the decisions in columns, and below them what helps and what the state store has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from cli.durations import format_age, format_iso, format_iso_seconds
from cli.output import columns, join_lines, meaning, subject
from cli.scores import table
from core.state.desired import RollbackRequest
from core.state.rollbacks import describe

MAX_SHOWN = 60
"""Decisions in the text; an agent has thousands."""
ON_GITHUB = "commit_status"
"""The step of decisions about a commit's statuses: a release is over without them."""
Fields = Mapping[str, Any]


def why_text(found: Fields) -> str:
    """Return the text of what ``slipway why --json`` prints."""
    decisions, evaluations = _without_repetitions(found["decisions"]), found["scores"]
    shown = decisions[-MAX_SHOWN:]
    left_out = len(decisions) - len(shown)
    lines = [f"{left_out} earlier decisions are not shown; --json has them"] if left_out else []
    lines += [columns([_row(decision) for decision in shown])] if shown else []
    lines += [table(evaluations)] if evaluations else []
    lines += [_container_log(decision) for decision in shown if decision.get("container_log")]
    helped = [problem for problem in found["problems"] if problem.get("help")]
    notes = list(dict.fromkeys(f"  {problem['reason']}: {problem['help']}" for problem in helped))
    hint = next((str(line.get("help", "")) for line in reversed(decisions) if line.get("step") != ON_GITHUB), "")
    notes += [f"  {hint}"] if hint and not notes and not hint.startswith("Nothing to do") else []
    said = [problem["help"] for problem in helped]
    notes += [
        f"now: {entry['agent']} {entry['kind'].replace('_', ' ')}: {_state(entry, said)}" for entry in found["state"]
    ]
    lines += [join_lines(*notes)] if notes else []
    return "\n".join(lines)


def _without_repetitions(decisions: Sequence[Fields]) -> list[Fields]:
    """Return the decisions; of those about the statuses of one release on GitHub that say the same only the first."""
    seen, first = set[tuple[object, ...]](), list[Fields]()
    for decision in decisions:
        key = tuple(decision.get(name) for name in ("agent", "generation", "reason", "detail"))
        if decision.get("step") != ON_GITHUB or key not in seen:
            first.append(decision)
        seen.add(key)
    return first


def _row(decision: Fields) -> tuple[str, ...]:
    at, agent = str(decision.get("at", ""))[:19].replace("T", " "), str(decision.get("agent", "no agent"))
    return at, agent, str(decision.get("reason", "")), subject(decision), meaning(decision)


def _container_log(decision: Fields) -> str:
    """Return what the container of the version printed last, below a line that names it."""
    title = f"version {decision.get('version')} of {decision.get('agent')} printed:"
    return join_lines(title, *(f"  | {line}" for line in str(decision["container_log"]).split("\n")))


def _state(entry: Fields, said: Collection[str]) -> str:
    """Return an entry of the state store in words; a help that was said already is not repeated."""
    entry = {**entry, "next": None} if entry.get("next") in said else entry
    return STATE_TEXTS.get(entry["kind"], _image)(entry)


def _image(push: Fields) -> str:
    signed = f", signed by {push['signer']}" if push.get("signer") else ""
    return f"{push['repository']}:{push['tag']} {push['digest'][:19]}{signed}"


def _waiting(push: Fields) -> str:
    if push["reason"] == "NOT_DUE":
        return f"{_image(push)}, younger than release.min_push_age"
    since, until = (format_iso_seconds(push[key]) for key in ("since", "until"))
    return f"{_image(push)}, good in the stage before since {since}, goes on at {until}"


def _hold(hold: Fields) -> str:
    until = f"until {format_iso(hold['until'])}" if hold["until"] else "until removed"
    return f"{hold['reason']} by {hold['by']} {until}: {hold['detail']}"


def _pause(pause: Fields) -> str:
    until = f" until {format_iso(pause['until'])}" if pause["until"] else ""
    return f"by {pause['by']} {_age(pause['age_s'])}{until}: {pause['why']}"


def _rolled_back(rollback: Fields) -> str:
    at = datetime.fromisoformat(rollback["at"]) if rollback["at"] else None
    return describe(RollbackRequest(rollback["version"], 0, by=rollback["by"], at=at, why=rollback["why"]))


def _release(release: Fields) -> str:
    age = f" {_age(release['age_s'])}" if release["since"] else ""
    words = [f"{release['state']}{age}", release["detail"], release["next"]]
    return ": ".join(word for word in words if word)


def _age(seconds: int) -> str:
    return format_age(timedelta(seconds=seconds))


STATE_TEXTS: Mapping[str, Callable[[Fields], str]] = {
    "candidate": lambda push: f"{_image(push)}, {push['phase']}, version {push['version']}",
    "waiting": _waiting,
    "rejected": lambda push: f"{push['reason']}: {push['detail']}",
    "hold": _hold,
    "pause": _pause,
    "rolled_back": _rolled_back,
    "window": lambda window: f"closed, opens {window['opens']}",
    "release": _release,
}
"""By the kind of the entry; an image is all that there is to say about any other."""
