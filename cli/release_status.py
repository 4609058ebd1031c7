"""What ``slipway status`` says of an agent's release, from the state store."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.durations import age_in_seconds, as_iso
from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release_outcome import awaits_approval, awaits_window
from core.state.desired import DesiredState, Hold, Pause, RejectedPush, RollbackRequest
from core.state.holds import active, of_digest, of_fingerprint
from core.state.release import ReleaseState
from core.state.rollbacks import is_done
from core.waits import old_enough_at

if TYPE_CHECKING:
    from cli.json_documents import shared
    from cli.json_documents.status import StageWait

QUEUED = "queued"
"""The state of an agent whose release was requested and has not begun."""


class State(NamedTuple):
    """A reason code, a phase of the release, or QUEUED; since when, and the tag of the push that it is about."""

    name: str
    since: datetime | None
    tag: str | None


def release_status(desired: DesiredState, release: ReleaseState, spec: AgentSpec, now: datetime) -> dict[str, Any]:
    """Return the desired push, the state of its release, and what keeps it back, as JSON has it."""
    state = current_state(desired, release, now)
    pause = desired.pause if desired.pause and desired.pause.is_active(now) else None
    starts = _not_before(desired, release, now)
    old_enough = {item.push.digest: old_enough_at(item, spec) for item in desired.waiting}
    return {
        "desired": desired.push.tag if desired.push else None,
        "digest": desired.push.digest if desired.push else None,
        "state": state.name,
        "state_tag": state.tag,
        "since": as_iso(state.since),
        "age_s": age_in_seconds(state.since, now) if state.since else None,
        "phase": str(release.phase),
        "reason": _gate(release) or release.reason,
        "detail": release.detail,
        **_advice(spec, state, desired, release, starts or min(old_enough.values(), default=None)),
        "candidate": release.candidate if release.is_open else None,
        "not_before": as_iso(starts),
        **_window(spec, now),
        "stage_number": spec.place.number,
        "stage": _stage(desired, spec),
        "rejected": rejection_fields(desired.last_rejection, now) if desired.last_rejection else None,
        "rolled_back": rollback_fields(desired.rollback, release, now) if desired.rollback else None,
        "pause": pause_fields(pause, now) if pause else None,
        "holds": [hold_fields(hold, now) for hold in active(desired, release, now)],
        "waiting": [
            {"tag": item.push.tag, "digest": item.push.digest, "until": old_enough[item.push.digest].isoformat()}
            for item in desired.waiting
        ],
    }


def with_drift(status: dict[str, Any]) -> dict[str, Any]:
    """Return the status; with the command that takes moved traffic back, where nothing else is to be done first."""
    if not status["routing_changed_outside"] or status["remedy"]:
        return status
    drift, agent = Reason.DRIFT, status["agent"]
    return status | {"next": drift.help_for(agent), "remedy": drift.remedy_for(agent)}


def current_state(desired: DesiredState, release: ReleaseState, now: datetime) -> State:
    """Return what the agent's newest release does, waits for, or ended with."""
    is_asked = desired.asked_generation > release.observed_generation and desired.push is not None
    push = desired.push if is_asked and not release.is_open else release.push
    tag = push.tag if push else None
    pause = desired.pause
    if pause is not None and pause.is_active(now) and (is_asked or release.is_open):
        return State(Reason.PAUSED.value, pause.since, tag)
    if release.is_open:
        gate, hold = _gate(release), _hold_on(desired, release, now)
        if gate and hold:
            return State(Reason.HELD.value, hold.since, tag)  # what passes the gate ends so
        return State(gate or release.phase.value, release.started_at, tag)
    if is_asked:
        waits = _not_before(desired, release, now) is not None
        return State(Reason.NOT_DUE.value if waits else QUEUED, desired.updated_at, tag)
    if (stage := desired.stage_wait) and stage.reason == Reason.STAGE_WAITING:
        return State(stage.reason, stage.since, stage.push.tag)
    if desired.waiting:
        return State(Reason.NOT_DUE.value, desired.waiting[0].since, desired.waiting[0].push.tag)
    if not release.reason:
        return State(Reason.NO_PUSH_YET.value, None, None)
    rejected = _rejected(desired, release.reason, tag)
    at = release.history[-1].at if release.history else _since(rejected, release)
    return State(release.reason, at, tag or (rejected.push.tag if rejected else None))


def _hold_on(desired: DesiredState, release: ReleaseState, now: datetime) -> Hold | None:
    """Return the hold on the image or the definition of the release."""
    holds, push = active(desired, release, now), release.push
    return of_digest(holds, push.digest if push else "") or of_fingerprint(holds, release.fingerprint)


def _since(rejected: RejectedPush | None, release: ReleaseState) -> datetime | None:
    """Return the time of a state before any release: of a rejected push, or of the adoption."""
    if rejected:
        return rejected.at
    return release.last_good.since if release.last_good else None


def _gate(release: ReleaseState) -> str:
    """Return the reason of the gate that an open release waits at; empty where it waits at none."""
    if awaits_window(release):
        return Reason.WINDOW_CLOSED.value
    return Reason.APPROVAL_WAITING.value if awaits_approval(release) else ""


def _window(spec: AgentSpec, now: datetime) -> dict[str, str | None]:
    """Return when ``release.windows`` opens; None while it is open, and without windows."""
    opening = spec.release.opens_at(now)
    shown = spec.release.describe(opening, now) if opening else None
    return {"window_opens_at": as_iso(opening), "window_opens": shown}


def _advice(
    spec: AgentSpec, state: State, desired: DesiredState, release: ReleaseState, starts: datetime | None
) -> dict[str, str | None]:
    """Return what a person can do, and its command; of the last rejected push where the state itself needs nothing."""
    names, rejection = _names(state, desired, release), desired.last_rejection
    known = Reason.__members__.get(rejection.reason) if rejection else None
    agent, advice = spec.name, _next(spec, state, names, release, starts)
    if advice or rejection is None or known is None or known.severity != "error":
        return {"next": advice, "remedy": _remedy(agent, state, names, release)}
    image = rejection.push.reference
    return {
        "next": known.help_for(agent, rejection.detail, image=image),
        "remedy": known.remedy_for(agent, rejection.detail, image=image) or None,
    }


def _next(
    spec: AgentSpec, state: State, names: dict[str, str], release: ReleaseState, starts: datetime | None
) -> str | None:
    """Return what a person can do, with the command; None where nothing is to be done."""
    if state.name == Reason.NOT_DUE and starts:
        return f"Nothing to do; the release goes on at {starts:%Y-%m-%d %H:%M:%S} UTC."
    known = Reason.__members__.get(state.name)
    if known is Reason.NO_PUSH_YET:  # a later stage takes what the stage before passes on
        return None if spec.place.upstream else f"Push an image to {spec.repository}."
    if known is None or (known.help.startswith("Nothing to do") and not _remedy(spec.name, state, names, release)):
        return None
    return known.help_for(spec.name, release.detail, **names)


def _remedy(agent: str, state: State, names: dict[str, str], release: ReleaseState) -> str | None:
    """Return the command that ends what the state says; None where there is none."""
    known = Reason.__members__.get(state.name)
    return (known.remedy_for(agent, release.detail, **names) or None) if known else None


def _names(state: State, desired: DesiredState, release: ReleaseState) -> dict[str, str]:
    """Return the names that stand in a command; a rejected push is not the release's, and may be the agent's first."""
    if rejected := _rejected(desired, state.name, state.tag):
        return {"image": f"{rejected.push.repository}:{rejected.push.tag}", "version": release.candidate or ""}
    push = release.push
    image = push.reference if push and push.tag == state.tag else ""
    return {"image": image, "version": release.candidate or ""}


def _rejected(desired: DesiredState, reason: str, tag: str | None) -> RejectedPush | None:
    """Return the rejected push that the reason is about; the release has its tag, or none."""
    rejected = desired.last_rejection
    return rejected if rejected and rejected.reason == reason and tag in (None, rejected.push.tag) else None


def _not_before(desired: DesiredState, release: ReleaseState, now: datetime) -> datetime | None:
    waits = desired.generation > release.observed_generation and desired.not_before is not None
    return desired.not_before if waits and desired.not_before and desired.not_before > now else None


def _stage(desired: DesiredState, spec: AgentSpec) -> StageWait | None:
    """Return the image that waits for its stage; None in the first stage, and where none waits."""
    wait = desired.stage_wait
    if wait is None or not spec.place.upstream:
        return None
    return {
        "stage": spec.place.number,
        "upstream": list(spec.place.upstream),
        "tag": wait.push.tag,
        "digest": wait.push.digest,
        "reason": wait.reason,
        "since": as_iso(wait.since),
        "until": as_iso(wait.until),
    }


def rejection_fields(rejection: RejectedPush, now: datetime) -> shared.Rejection:
    """Return the rejected push, why and when, as JSON has it."""
    push = rejection.push
    return {
        "repository": push.repository,
        "tag": push.tag,
        "digest": push.digest,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "at": rejection.at.isoformat(),
        "age_s": age_in_seconds(rejection.at, now),
    }


def rollback_fields(rollback: RollbackRequest, release: ReleaseState, now: datetime) -> shared.Rollback:
    """Return the rollback and how far it is, as JSON has it."""
    return {
        "version": rollback.version,
        "by": rollback.by,
        "why": rollback.why,
        "at": as_iso(rollback.at),
        "age_s": age_in_seconds(rollback.at, now) if rollback.at else None,
        "is_done": is_done(rollback, release),
        "config_waits_since": as_iso(rollback.config_at),
    }


def pause_fields(pause: Pause, now: datetime) -> shared.Pause:
    """Return the pause as JSON has it."""
    return {
        "why": pause.why,
        "by": pause.by,
        "since": pause.since.isoformat(),
        "age_s": age_in_seconds(pause.since, now),
        "until": as_iso(pause.until),
    }


def hold_fields(hold: Hold, now: datetime) -> shared.Hold:
    """Return the hold as JSON has it."""
    return {
        "digest": hold.digest,
        "fingerprint": hold.fingerprint,
        "reason": hold.reason,
        "detail": hold.detail,
        "by": hold.by,
        "since": hold.since.isoformat(),
        "age_s": age_in_seconds(hold.since, now),
        "until": as_iso(hold.until),
    }
