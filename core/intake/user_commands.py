"""What people may say about an agent, and what the ledger then wants: approve, hold, lift, pause, resume, release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.definition import existing_definition, push_of_version
from core.intake.events import DesiredUpdate
from core.model import Agent, Push, Status, Version
from core.reasons import Reason
from core.state import holds
from core.state.desired import Approval, Cause, DesiredState, Hold, Pause, RollbackRequest
from core.state.release import GoodVersion, Phase, ReleaseState

MAY_BE_APPROVED = (Phase.CONFIRMED, Phase.VERIFIED)


def approve(desired: DesiredState, release: ReleaseState, version: str | None, by: str, now: datetime) -> DesiredUpdate:
    """Leave for the version that waits now; a version that is named must be that one."""
    waits = release.candidate if release.phase in MAY_BE_APPROVED else None
    if waits is None or (version is not None and version != waits):
        found = f"version {waits} waits" if waits else "no version waits"
        return DesiredUpdate(desired, Reason.NOTHING_TO_APPROVE, found)
    approval = Approval(waits, release.fingerprint, by, now)
    return DesiredUpdate(replace(desired, approval=approval), Reason.APPROVED, f"version {waits} by {by}")


def hold(
    desired: DesiredState, digest: str | None, why: str, by: str, until: datetime | None, now: datetime
) -> DesiredUpdate:
    """Keep an image from being released, the desired one where none is named."""
    held = digest or (desired.push.digest if desired.push else "")
    if not held:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    new = Hold("", held, Reason.HOLD_SET.value, why, now, until, by)
    others = tuple(one for one in desired.holds if one.digest != held)
    return DesiredUpdate(replace(desired, holds=(*others, new)), Reason.HOLD_SET, f"{held} by {by}: {why}")


def unhold(desired: DesiredState, release: ReleaseState, digest: str | None, by: str, now: datetime) -> DesiredUpdate:
    """End the holds on an image, or every hold; what is wanted is then released."""
    found = [one for one in holds.active(desired, release, now) if digest in (None, one.digest)]
    if not found:
        return DesiredUpdate(desired, Reason.NOTHING_HELD)
    keys = {key for one in found for key in (one.fingerprint, one.digest) if key}
    lifted = _lifted(desired, keys, now)
    return DesiredUpdate(_asked(lifted, now), Reason.HOLD_REMOVED, f"{len(found)} by {by}")


def pause(desired: DesiredState, why: str, by: str, until: datetime | None, now: datetime) -> DesiredUpdate:
    """Stop before the next step; what is promoted is still finished."""
    return DesiredUpdate(replace(desired, pause=Pause(why, by, now, until)), Reason.PAUSED, f"by {by}: {why}")


def unpause(desired: DesiredState, by: str) -> DesiredUpdate:
    """Go on after a pause."""
    if desired.pause is None:
        return DesiredUpdate(desired, Reason.NOTHING_PAUSED)
    return DesiredUpdate(replace(desired, pause=None), Reason.UNPAUSED, f"by {by}")


def request_release(
    desired: DesiredState, release: ReleaseState, push: Push | None, by: str, now: datetime
) -> DesiredUpdate:
    """Release a push whatever its tag and soak say, or the desired one again; a hold on it is lifted by that."""
    chosen = push or desired.push
    if chosen is None:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    held = [
        one for one in holds.active(desired, release, now) if chosen.digest == one.digest or _ours(one, release, chosen)
    ]
    lifted = _lifted(desired, {key for one in held for key in (one.fingerprint, one.digest) if key}, now)
    newest = desired.newest_push or desired.push
    asked = replace(_asked(lifted, now), push=chosen, newest_push=newest if newest != chosen else None)
    return DesiredUpdate(asked, Reason.RELEASE_REQUESTED, f"{chosen.tag} by {by}")


@dataclass(frozen=True, slots=True)
class NoRollback:
    """Why there is no version to roll back to."""

    detail: str


def rollback_target(
    release: ReleaseState, agent: Agent | None, versions: Sequence[Version], to: str | None
) -> Version | NoRollback:
    """The version to roll back to: ``to``, or else the newest good version that is not live."""
    if agent is None:
        return NoRollback("the agent does not exist")
    good = [good.version for good in (release.last_good, release.previous_good) if good and good.version != agent.live]
    number = to or next(iter(good), None)
    if number is None:
        return NoRollback("no version was good before the live one")
    target = next((version for version in versions if version.number == number), None)
    if target is None:
        existing = ", ".join(version.number for version in versions) or "none"
        return NoRollback(f"version {number} does not exist; the versions are: {existing}")
    problem = _rollback_problem(target, agent)
    return NoRollback(f"version {number} {problem}") if problem else target


def _rollback_problem(version: Version, agent: Agent) -> str:
    if version.number == agent.live:
        return "is live already"
    if version.status is not Status.ACTIVE:
        return f"is {version.status}"
    return "" if push_of_version(version) else "does not name its image by digest"


def request_rollback(
    desired: DesiredState, release: ReleaseState, to: Version, serves: Version | None, why: str, by: str, now: datetime
) -> DesiredUpdate:
    """Have an earlier version serve again, as it is; what serves is held, its image too where the other has another."""
    push, left = push_of_version(to), push_of_version(serves) if serves else None
    fingerprint = existing_definition(to).fingerprint
    keys = {key for key in (fingerprint, push.digest if push else "") if key}
    asked = _asked(_lifted(desired, keys, now), now)
    digest = left.digest if left is not None and push is not None and left.digest != push.digest else ""
    held = Hold(
        existing_definition(serves).fingerprint if serves else "", digest, Reason.HOLD_SET.value, why, now, None, by
    )
    others = tuple(one for one in desired.holds if one.digest not in (digest, push.digest if push else ""))
    newest = desired.newest_push or desired.push
    chosen = replace(
        asked,
        push=push,
        newest_push=newest if newest != push else None,
        rollback=RollbackRequest(to.number, asked.generation),
        approval=Approval(to.number, fingerprint, by, now),
        holds=(*others, held) if serves else others,
    )
    return DesiredUpdate(chosen, Reason.ROLLBACK_REQUESTED, f"to version {to.number} by {by}: {why}")


def adopt(
    agent: Agent, serves: Version, push: Push, runs: str, by: str, now: datetime
) -> tuple[DesiredState, ReleaseState]:
    """The first two records of an agent that ran before: what serves is good, and what it was made of is wanted."""
    desired = DesiredState(
        generation=1, user_generation=1, push=push, cause=Cause.PERSON, updated_at=now, runtime_hash=runs
    )
    good = GoodVersion(push, existing_definition(serves).fingerprint, serves.number)
    release = ReleaseState(
        observed_generation=1,
        push=push,
        fingerprint=good.fingerprint,
        reason=Reason.AGENT_ADOPTED.value,
        detail=f"by {by}",
        candidate=serves.number,
        expected_routing=agent.routing,
        last_good=good,
        identity=agent.identity,
        created_at={serves.number: serves.created_at},
    )
    return desired, release


def _ours(hold: Hold, release: ReleaseState, push: Push) -> bool:
    """True for a hold on what the last release made of the same image."""
    made = release.push is not None and release.push.digest == push.digest
    return made and hold.fingerprint == release.fingerprint


def _lifted(desired: DesiredState, keys: set[str], now: datetime) -> DesiredState:
    """Older words are kept as long as a hold may last."""
    recent = {key: at for key, at in desired.lifted_at.items() if now - at < MAX_LIFTED_AGE}
    return replace(desired, lifted_at={**recent, **dict.fromkeys(sorted(keys), now)})


MAX_LIFTED_AGE = timedelta(days=400)


def _asked(desired: DesiredState, now: datetime) -> DesiredState:
    generation = desired.generation + 1
    return replace(
        desired, generation=generation, user_generation=generation, cause=Cause.PERSON, updated_at=now, not_before=None
    )
