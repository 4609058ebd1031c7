"""Which decisions still need a person, and what a poisoned message was about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

Decision = Mapping[str, object]
OVER = frozenset(("LIVE", "ALREADY_LIVE", "BEGIN", "ACCEPTED", "HOLD_REMOVED", "APPROVED", "RELEASE_REQUESTED"))
"""After one of these an agent's earlier problem is history: a release began, went live, or a person acted."""
READ_THE_FILE = frozenset(("ACCEPTED", "BEGIN", "LIVE", "ALREADY_LIVE"))
"""The app decides so only with an agents.yaml that it could read; a person's commands are recorded without it."""
OF_NO_EVENT = "event "
"""What a problem is about that has neither an agent nor an event: such as one of a timer."""
PAUSED, OUTCOME_NOT_PUBLISHED = "PAUSED", "OUTCOME_NOT_PUBLISHED"


def open_problems(decisions: Sequence[Decision], paused: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Return, for each agent and each event without an agent, its last decision that is more than information.

    Decisions come oldest first. A pause is a problem beside that: it is information, and needs a person all the same.
    ``paused``: the agents that are paused now, where that is known.
    """
    problems: dict[tuple[str, str], dict[str, Any]] = {}
    for decision in decisions:
        about, event = str(decision.get("agent") or ""), f"event {decision.get('event') or ''}"
        if decision.get("reason") in READ_THE_FILE:
            _end_wrong_file(problems)
        if needs_a_person(decision):
            kind = _kind_of(str(decision.get("reason")))
            problems.pop((about or event, kind), None)  # the last one comes last
            problems[about or event, kind] = _problem(decision)
            continue
        problems.pop((event, ""), None)
        for kind in _ended_by(str(decision.get("reason")), is_pause_known=paused is not None):
            problems.pop((about, kind), None)
    is_over = {(about, PAUSED) for about, _ in problems if paused is not None and about not in paused}
    return [found for key, found in problems.items() if key not in is_over]


def _kind_of(reason: str) -> str:
    """Return the kind of a problem: what does not affect the release stands beside it, and hides no failure."""
    return reason if reason in (PAUSED, OUTCOME_NOT_PUBLISHED) else ""


def _ended_by(reason: str, *, is_pause_known: bool) -> tuple[str, ...]:
    """Return the kinds of problems that are over with a decision; a rollback goes live while its agent is paused."""
    if reason == "UNPAUSED":
        return (PAUSED,)
    if reason not in OVER:
        return ()
    return ("", OUTCOME_NOT_PUBLISHED) if is_pause_known else ("", OUTCOME_NOT_PUBLISHED, PAUSED)


def _end_wrong_file(problems: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Forget that a timer could not read agents.yaml; an event that met it is forgotten once it is decided."""
    if problems.get((OF_NO_EVENT, ""), {}).get("reason") == "CONFIG_INVALID":
        del problems[OF_NO_EVENT, ""]


def needs_a_person(decision: Decision) -> bool:
    """True for a decision that is a warning or an error, or that waits for a person."""
    return decision.get("severity") in ("warning", "error") or decision.get("reason") == PAUSED


def _problem(decision: Decision) -> dict[str, Any]:
    from core.reasons import Reason

    known = Reason.__members__.get(str(decision.get("reason")))
    names = {key: str(decision[key]) for key in ("agent", "repository", "tag", "version") if decision.get(key)}
    image = f"{names['repository']}:{names['tag']}" if {"repository", "tag"} <= names.keys() else ""
    about = {"image": image, "version": names.get("version", "")}
    remedy = known.remedy_for(names.get("agent"), str(decision.get("detail") or ""), **about) if known else ""
    kept = ("at", "agent", "event", "reason", "severity", "detail", "help")
    return {key: decision[key] for key in kept if key in decision} | {"remedy": remedy or None}


def with_message(decision: Decision) -> Decision:
    """Return the decision; that about a poisoned message with what the message was about."""
    if decision.get("reason") != "POISONED" or not isinstance(decision.get("message"), str):
        return decision
    from cli.event_files import RELEASE, parse_text
    from cli.exit_codes import UsageError

    try:
        (event, *_) = parse_text(str(decision["message"]), "the message")
    except UsageError:
        return decision
    if event.kind == RELEASE:
        return {"agent": event.id, **decision}
    data = event.body.get("data")
    target = data.get("target") if isinstance(data, dict) else None
    names = ("repository", "tag", "digest")
    image = {name: target[name] for name in names if isinstance(target, dict) and isinstance(target.get(name), str)}
    return {"event": event.id, **image, **decision}
