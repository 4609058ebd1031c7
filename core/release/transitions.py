"""Each function returns the release state after one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.definition import ResolvedDefinition, plain_parts
from core.image_manifest import ImageFacts
from core.model import Push, Routing, TaggedSecret, Version
from core.reasons import Reason
from core.release.inputs import OF_PUSH_TO_RUN, Resolution, push_to_run
from core.state.desired import DesiredState, Hold
from core.state.evaluation import unless_inconclusive
from core.state.release import (
    MAX_HISTORY_ENTRIES,
    MAX_REMEMBERED_IMAGES,
    DeletedVersion,
    GoodVersion,
    HistoryEntry,
    PendingWrite,
    Phase,
    ReleaseState,
    WriteKind,
)

WAITS_OF_A_CANDIDATE = frozenset(
    {Reason.APPROVAL_WAITING, Reason.WINDOW_CLOSED, Reason.EVALUATION_RUNNING, Reason.EVALUATION_INCONCLUSIVE}
)
EVALUATED_AGAIN = frozenset({Reason.EVALUATION_FAILED, Reason.EVALUATION_INCONCLUSIVE})
"""After these a release of the same version, which a person asks for, evaluates it once more."""
HELD_BY_SLIPWAY = "slipway"
"""Who set a hold that no operator set."""
NEW_VERSION = timedelta(hours=1)
"""How long versions that did not go live are remembered: longer than any list lags, or than clocks differ."""


def started(
    state: ReleaseState,
    generation: int,
    push: Push | None,
    definition: ResolvedDefinition,
    routing: Routing | None,
    now: datetime,
) -> ReleaseState:
    """A release of the generation has started; a candidate with the same fingerprint is kept."""
    same = definition.fingerprint == state.fingerprint
    return replace(
        _with_history(state, Reason.SUPERSEDED, now) if state.is_open else state,
        observed_generation=generation,
        push=push,
        fingerprint=definition.fingerprint,
        secrets=definition.secrets,
        secret_ids=definition.secret_ids,
        tagged=_remembered_tags(state) if definition.tagged is None else definition.tagged,
        secret_due=first_start(definition) or (state.secret_due if definition.tagged is None else None),
        image=definition.definition.image,
        copied_from=definition.copied_from,
        rollback_at=definition.rollback_at,
        image_facts=_with_image(state, push, definition),
        variables=frozenset(definition.definition.environment),
        parts=plain_parts(definition.definition),
        phase=Phase.STARTED,
        reason="",
        detail="",
        started_at=now,
        candidate=state.candidate if same else None,
        has_older_candidate=same and state.candidate is not None,
        is_duplicate=state.is_duplicate and same,
        deleted_duplicate=None,  # each release may delete one: else a retry would end with the old failure
        routing_at_start=routing,
        expected_routing=routing,
        routed_at=state.routed_at if routing == state.expected_routing else None,  # a pin of just now may not show yet
        pending_write=None,
        supersede_count=state.supersede_count + 1 if state.is_open else 0,
        create_count=state.create_count if same else 0,
        evaluation=unless_inconclusive(state.evaluation) if same and state.reason not in EVALUATED_AGAIN else None,
        image_retried=False,
        signer="",
    )


def first_start(definition: Resolution) -> datetime | None:
    """When the first of the secrets starts whose newest version starts later."""
    return min((item.starts_at for item in definition.later), default=None)


def _remembered_tags(state: ReleaseState) -> Mapping[str, TaggedSecret]:
    return state.last_good.tagged if state.last_good else state.tagged


def continued(state: ReleaseState, desired: DesiredState) -> ReleaseState:
    """The newest generation only takes back a rejected push: everything stays as it is, also what was reported."""
    rejection, before = desired.last_rejection, f"{state.observed_generation} "
    keys = (key.removeprefix(before) for key in state.reported if key.startswith(before))
    first = rejection is not None and not state.reason and not state.is_open
    return replace(
        state,
        observed_generation=desired.generation,
        reported=tuple(f"{desired.generation} {key}" for key in keys),
        reason=rejection.reason if rejection and first else state.reason,
        detail=rejection.detail if rejection and first else state.detail,
    )


def create_again(state: ReleaseState) -> ReleaseState:
    """The image may not have been readable yet when Foundry pulled it: another version is created, once."""
    return replace(without_candidate(state), image_retried=True)


def without_candidate(state: ReleaseState) -> ReleaseState:
    """The candidate is of no use any more; the next one passes every gate itself."""
    phase = Phase.STARTED if state.is_open else state.phase
    return replace(state, phase=phase, candidate=None, has_older_candidate=False, is_duplicate=False)


def writing(
    state: ReleaseState, kind: WriteKind, now: datetime, *, routing: Routing | None = None, highest_version: int = 0
) -> ReleaseState:
    """A write is about to be sent: after a crash the next holder of the lease knows what to look for."""
    return replace(state, pending_write=PendingWrite(kind, now, routing, highest_version))


def write_not_applied(state: ReleaseState) -> ReleaseState:
    """The pending write did not take effect."""
    return replace(state, pending_write=None)


def has_candidate(state: ReleaseState, version: Version, *, highest_version: int = 0) -> ReleaseState:
    """Foundry created, or already had, a version with the release's fingerprint."""
    return replace(
        state,
        pending_write=None,
        candidate=version.number,
        is_duplicate=int(version.number) <= highest_version,
        created_at={**state.created_at, version.number: version.created_at},
        fingerprints={**state.fingerprints, version.number: state.fingerprint},
        create_count=state.create_count + 1,
    )


def deleting_duplicate(state: ReleaseState, version: Version, now: datetime) -> ReleaseState:
    """The failed duplicate is about to be deleted.

    An agent whose last version is deleted may be gone with it: that will not mean that a person deleted the agent.
    """
    alone = replace(state, created_at={}, fingerprints={}) if state.last_good is None else state
    intent = writing(_without_version(alone, version.number), WriteKind.DELETE_DUPLICATE, now)
    return replace(intent, deleted_duplicate=DeletedVersion(version.number, version.created_at))


def candidate_deleted(state: ReleaseState) -> ReleaseState:
    """The failed duplicate, or the candidate of an earlier release, no longer exists: another version is created."""
    number = state.candidate or ""
    created_at = state.created_at.get(number)
    deleted = DeletedVersion(number, created_at) if created_at else state.deleted_duplicate
    return replace(without_candidate(_without_version(state, number)), pending_write=None, deleted_duplicate=deleted)


def _without_version(state: ReleaseState, number: str) -> ReleaseState:
    """What was recorded of a version that Slipway deletes is void."""
    created_at = {key: at for key, at in state.created_at.items() if key != number}
    return replace(state, created_at=created_at, fingerprints=_of(created_at, state.fingerprints))


def _of(created_at: Mapping[str, datetime], fingerprints: Mapping[str, str]) -> Mapping[str, str]:
    return {number: fingerprint for number, fingerprint in fingerprints.items() if number in created_at}


def in_phase(state: ReleaseState, phase: Phase) -> ReleaseState:
    """The candidate passed a gate."""
    return replace(state, phase=phase)


def held(state: ReleaseState, reason: Reason, detail: str, hold_for: timedelta, now: datetime) -> ReleaseState:
    """The release's definition is held, and its image, unless the last good version has the same image."""
    digest = state.push.digest if state.push else ""
    good = state.last_good.push.digest if state.last_good else ""
    digest = "" if digest == good else digest
    hold = Hold(state.fingerprint, digest, reason, detail, now, now + hold_for, HELD_BY_SLIPWAY)
    others = (item for item in state.holds if item.fingerprint != hold.fingerprint and (item.until or now) >= now)
    return replace(state, holds=(*others, hold), detail=detail)


def routed(state: ReleaseState, routing: Routing, kind: WriteKind, at: datetime) -> ReleaseState:
    """A routing write took effect."""
    phases = {WriteKind.MOVE_TRAFFIC: Phase.TRAFFIC_MOVED, WriteKind.ROLL_BACK: Phase.ROLLED_BACK}
    phase = phases.get(kind, state.phase)
    return replace(state, pending_write=None, expected_routing=routing, routed_at=at, phase=phase)


def reported(state: ReleaseState, desired: DesiredState, reason: Reason) -> ReleaseState:
    """The reason is reported for the newest generation: until something newer is desired it is not reported again."""
    generations = {desired.generation, state.observed_generation if state.is_open else desired.generation}
    before = tuple(key for key in state.reported if key.startswith(tuple(f"{number} " for number in generations)))
    return replace(state, reported=tuple(dict.fromkeys((*before, _report_key(state, desired, reason)))))


def is_reported(state: ReleaseState, desired: DesiredState, reason: Reason) -> bool:
    """True where the reason was reported for the newest generation, or for this candidate where it is about that."""
    return _report_key(state, desired, reason) in state.reported


def _report_key(state: ReleaseState, desired: DesiredState, reason: Reason) -> str:
    # a push whose image is not readable yet does not ask for the approval of the open release again
    of_candidate = f"{state.observed_generation} {reason} {state.candidate or ''}"
    return of_candidate if reason in WAITS_OF_A_CANDIDATE else f"{desired.generation} {reason} "


def resumes(state: ReleaseState, at: datetime) -> ReleaseState:
    """A message is queued with which the release goes on once its window is open."""
    return replace(state, resumes_at=at)


def ended(state: ReleaseState, reason: Reason, now: datetime, detail: str = "") -> ReleaseState:
    """The release is over."""
    history = _with_history(state, reason, now)
    return replace(history, phase=Phase.ENDED, reason=reason, detail=detail, supersede_count=0)


def answered_without_release(
    state: ReleaseState, desired: DesiredState, reason: Reason, now: datetime, detail: str
) -> ReleaseState:
    """A newer change is answered although nothing is released; a release under way is over too.

    Some ends are about the push that was to run: a rotation releases it, and a desired one that failed is not live.
    """
    push = push_to_run(desired, state, now) if reason in OF_PUSH_TO_RUN else desired.push
    before = _with_history(state, Reason.SUPERSEDED, now) if state.is_open else state
    answered = replace(before, observed_generation=desired.generation, push=push, pending_write=None)
    return ended(without_candidate(answered), reason, now, detail)


def went_live(state: ReleaseState, identity: str | None, now: datetime, detail: str = "") -> ReleaseState:
    """The candidate has the traffic and passed its check."""
    if state.push is None or state.candidate is None:  # pragma: no cover - a release with traffic has both
        return ended(state, Reason.LIVE, now, detail)
    before, asked = state.last_good, state.evaluation
    scored = asked if asked is not None and asked.version == state.candidate else None
    good = GoodVersion(
        *(state.push, state.fingerprint, state.candidate, state.tagged, state.rollback_at, state.parts),
        scores=scored.scores if scored else (),
        scores_key=scored.key if scored else "",
        signer=state.signer,
        since=before.since if before is not None and before.push.digest == state.push.digest else now,
    )
    again = before is not None and before.version == good.version
    created_at = {
        number: at for number, at in state.created_at.items() if number == state.candidate or now - at < NEW_VERSION
    }
    return replace(
        ended(state, Reason.LIVE, now, detail),
        last_good=good,
        previous_good=state.previous_good if again else before,
        created_at=created_at,
        fingerprints=_of(created_at, state.fingerprints),
        identity=identity,
        reported_drift=(),
    )


def agent_deleted(state: ReleaseState, desired: DesiredState, now: datetime) -> ReleaseState:
    """The agent was deleted: recorded version numbers are void, and only a newer user change releases again.

    Only what is true of images, of secrets, of the queue and of the journal stays.
    """
    pending_user_change = desired.user_generation > state.observed_generation
    return ReleaseState(
        observed_generation=state.observed_generation if pending_user_change else desired.generation,
        push=state.push,
        tagged=_remembered_tags(state),
        reason=Reason.AGENT_DELETED,
        holds=state.holds,
        image_facts=state.image_facts,
        resumes_at=state.resumes_at,
        # each report was for a candidate whose number is void
        reported=tuple(dict.fromkeys(f"{key.rpartition(' ')[0]} " for key in state.reported)),
        history=_with_history(state, Reason.AGENT_DELETED, now).history,
    )


def _with_image(state: ReleaseState, push: Push | None, definition: ResolvedDefinition) -> Mapping[str, ImageFacts]:
    """What is known of images, the newest last."""
    known = dict(state.image_facts)
    if push is not None and definition.image is not None:
        known.pop(push.digest, None)
        known[push.digest] = definition.image
    return dict(list(known.items())[-MAX_REMEMBERED_IMAGES:])


def _with_history(state: ReleaseState, reason: Reason, now: datetime) -> ReleaseState:
    entry = HistoryEntry(now, reason, state.push.digest if state.push else "", state.candidate)
    return replace(state, history=(*state.history, entry)[-MAX_HISTORY_ENTRIES:])
