"""What people may say about an agent, and what the ledger then wants: approve, hold, lift, pause, resume, release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from core.definition import existing_definition, push_of_version
from core.intake.events import DesiredUpdate
from core.model import Agent, Push, Status, Version
from core.reasons import Reason
from core.state import holds
from core.state.desired import Approval, Cause, DesiredState, Hold, Pause, RollbackRequest
from core.state.release import GoodVersion, Phase, ReleaseState

MAY_BE_APPROVED = (Phase.CONFIRMED, Phase.VERIFIED)


def approve(wanted: DesiredState, record: ReleaseState, version: str | None, by: str, now: datetime) -> DesiredUpdate:
    """Leave for the version that waits now; a version that is named must be that one."""
    waits = record.candidate if record.phase in MAY_BE_APPROVED else None
    if waits is None or (version is not None and version != waits):
        found = f"version {waits} waits" if waits else "no version waits"
        return DesiredUpdate(wanted, Reason.NOTHING_TO_APPROVE, found)
    approval = Approval(waits, record.fingerprint, by, now)
    return DesiredUpdate(replace(wanted, approval=approval), Reason.APPROVED, f"version {waits} by {by}")


def hold(
    wanted: DesiredState, digest: str | None, why: str, by: str, until: datetime | None, now: datetime
) -> DesiredUpdate:
    """Keep an image from being released, the desired one where none is named."""
    held = digest or (wanted.push.digest if wanted.push else "")
    if not held:
        return DesiredUpdate(wanted, Reason.NOTHING_DESIRED)
    new = Hold("", held, Reason.HOLD_SET.value, why, now, until, by)
    others = tuple(one for one in wanted.holds if one.digest != held)
    return DesiredUpdate(replace(wanted, holds=(*others, new)), Reason.HOLD_SET, f"{held} by {by}: {why}")


def lift_holds(wanted: DesiredState, record: ReleaseState, digest: str | None, by: str, now: datetime) -> DesiredUpdate:
    """End the holds on an image, or every hold; what is wanted is then released."""
    found = [one for one in holds.active(wanted, record, now) if digest in (None, one.digest)]
    if not found:
        return DesiredUpdate(wanted, Reason.NOTHING_HELD)
    keys = {key for one in found for key in (one.fingerprint, one.digest) if key}
    lifted = _lifted(wanted, keys, now)
    return DesiredUpdate(_asked(lifted, now), Reason.HOLD_LIFTED, f"{len(found)} by {by}")


def pause(wanted: DesiredState, why: str, by: str, until: datetime | None, now: datetime) -> DesiredUpdate:
    """Stop before the next step; what is promoted is still finished."""
    return DesiredUpdate(replace(wanted, pause=Pause(why, by, now, until)), Reason.PAUSED, f"by {by}: {why}")


def unpause(wanted: DesiredState, by: str) -> DesiredUpdate:
    """Go on after a pause."""
    if wanted.pause is None:
        return DesiredUpdate(wanted, Reason.NOTHING_PAUSED)
    return DesiredUpdate(replace(wanted, pause=None), Reason.RESUMED_BY_PERSON, f"by {by}")


def request_release(
    wanted: DesiredState, record: ReleaseState, push: Push | None, by: str, now: datetime
) -> DesiredUpdate:
    """Release a push whatever its tag and soak say, or the desired one again; a hold on it is lifted by that."""
    chosen = push or wanted.push
    if chosen is None:
        return DesiredUpdate(wanted, Reason.NOTHING_DESIRED)
    held = [
        one for one in holds.active(wanted, record, now) if chosen.digest == one.digest or _ours(one, record, chosen)
    ]
    lifted = _lifted(wanted, {key for one in held for key in (one.fingerprint, one.digest) if key}, now)
    newest = wanted.newest_push or wanted.push
    asked = replace(_asked(lifted, now), push=chosen, newest_push=newest if newest != chosen else None)
    return DesiredUpdate(asked, Reason.RELEASE_ASKED, f"{chosen.tag} by {by}")


def rollback_target(
    record: ReleaseState, agent: Agent | None, versions: Sequence[Version], to: str | None
) -> Version | str:
    """The version that a rollback goes to, or why there is none.

    Where none is named: what was good before what serves, or what is good where something else serves.
    """
    if agent is None:
        return "the agent does not exist"
    known = [one.version for one in (record.last_good, record.previous_good) if one is not None and one.version != agent.live]
    number = to or next(iter(known), None)
    if number is None:
        return "nothing was good before what serves"
    found = next((one for one in versions if one.number == number), None)
    if found is None:
        return f"version {number} is not there; there are {', '.join(one.number for one in versions) or 'none'}"
    if number == agent.live:
        return f"version {number} serves already"
    if found.status is not Status.ACTIVE:
        return f"version {number} is {found.status}"
    return found if push_of_version(found) is not None else f"version {number} does not name its image by digest"


def request_rollback(
    wanted: DesiredState, record: ReleaseState, to: Version, serves: Version | None, why: str, by: str, now: datetime
) -> DesiredUpdate:
    """Have an earlier version serve again, as it is; what serves is held, its image too where the other has another."""
    push, left = push_of_version(to), push_of_version(serves) if serves else None
    fingerprint = existing_definition(to).fingerprint
    keys = {key for key in (fingerprint, push.digest if push else "") if key}
    asked = _asked(_lifted(wanted, keys, now), now)
    digest = left.digest if left is not None and push is not None and left.digest != push.digest else ""
    held = Hold(
        existing_definition(serves).fingerprint if serves else "", digest, Reason.HOLD_SET.value, why, now, None, by
    )
    others = tuple(one for one in wanted.holds if one.digest not in (digest, push.digest if push else ""))
    newest = wanted.newest_push or wanted.push
    chosen = replace(
        asked,
        push=push,
        newest_push=newest if newest != push else None,
        rollback=RollbackRequest(to.number, asked.generation),
        approval=Approval(to.number, fingerprint, by, now),
        holds=(*others, held) if serves else others,
    )
    return DesiredUpdate(chosen, Reason.ROLLBACK_ASKED, f"to version {to.number} by {by}: {why}")


def adopt(
    agent: Agent, serves: Version, push: Push, runs: str, by: str, now: datetime
) -> tuple[DesiredState, ReleaseState]:
    """The first two records of an agent that ran before: what serves is good, and what it was made of is wanted."""
    wanted = DesiredState(generation=1, user_generation=1, push=push, cause=Cause.PERSON, updated_at=now, runtime_hash=runs)
    good = GoodVersion(push, existing_definition(serves).fingerprint, serves.number)
    record = ReleaseState(
        observed_generation=1,
        push=push,
        fingerprint=good.fingerprint,
        reason=Reason.TAKEN_OVER.value,
        detail=f"by {by}",
        candidate=serves.number,
        expected_routing=agent.routing,
        last_good=good,
        identity=agent.identity,
        created_at={serves.number: serves.created_at},
    )
    return wanted, record


def _ours(hold: Hold, record: ReleaseState, push: Push) -> bool:
    """True for a hold on what the last release made of the same image."""
    made = record.push is not None and record.push.digest == push.digest
    return made and hold.fingerprint == record.fingerprint


def _lifted(wanted: DesiredState, keys: set[str], now: datetime) -> DesiredState:
    """Older words are kept as long as a hold may last."""
    recent = {key: at for key, at in wanted.lifted_at.items() if now - at < MAX_LIFTED_AGE}
    return replace(wanted, lifted_at={**recent, **dict.fromkeys(sorted(keys), now)})


MAX_LIFTED_AGE = timedelta(days=400)


def _asked(wanted: DesiredState, now: datetime) -> DesiredState:
    serial = wanted.generation + 1
    return replace(wanted, generation=serial, user_generation=serial, cause=Cause.PERSON, updated_at=now, not_before=None)
