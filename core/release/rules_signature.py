"""Decides whether the image is signed as ``release.signed_by`` asks, before it displaces or creates anything.

A version that exists already is not asked about again. Slipway cannot ask for a signature that is not there yet:
pipelines sign seconds after they push, so that the push waits until ``release.signed_within`` is over.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.definition import FINGERPRINT, Note, ResolvedDefinition
from core.model import Push
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, NeedsRead, Read, ReplaceDesiredPush, Requeue, UpdateState
from core.release.inputs import DecisionInput, may_serve, push_to_run, rollback_version
from core.signatures import SignatureCheck, Verdict
from core.state.desired import DesiredState
from core.state.release import ReleaseState
from core.timing import add

MIN_PAUSE, MAX_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
"""Between two reads of the signatures; the event of a signature's push comes earlier."""
REFUSALS = {Verdict.NONE: Reason.SIGNATURE_MISSING, Verdict.INVALID: Reason.SIGNATURE_INVALID}


def push_to_verify(desired: DesiredState, release: ReleaseState, spec: AgentSpec, now: datetime) -> Push | None:
    """The push whose signature the next release needs; None where no rule asks, or nothing is created."""
    pending = desired.generation > release.observed_generation and rollback_version(desired) is None
    return push_to_run(desired, release, now) if spec.release.signed_by and pending else None


def signature(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The image of the next release is not signed as asked: wait for its signature, or refuse it."""
    push = push_to_verify(inputs.desired, inputs.release, spec, now)
    if push is None:
        return None
    needed = inputs.needs(Read.AGENT, Read.VERSION_LIST, Read.DESIRED_DEFINITION)
    due = push if _is_due(inputs, push, now) else None
    if needed or due:
        return replace(needed or NeedsRead(), signature_of=due)
    check = inputs.observed.signatures[push.digest]
    if check.verdict is Verdict.VERIFIED or _exists(inputs):
        return None
    if waits := _waits(check, push, spec, now):
        return waits
    reason, good = REFUSALS[check.verdict], inputs.release.last_good
    if push.is_same(inputs.desired.push) and (good is None or good.push.digest != push.digest):
        return ReplaceDesiredPush(reason, check.detail, inputs.desired.generation)
    state = transitions.answered_without_release(inputs.release, inputs.desired, reason, now, check.detail)
    return EndRelease(reason, state, check.detail)


def before_create(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """No version is created for an image without a verified signature, whatever was known when its release began."""
    release = inputs.release
    push = release.push
    if not spec.release.signed_by or push is None:
        return None
    if _is_due(inputs, push, now):
        return NeedsRead(signature_of=push)
    check = inputs.observed.signatures[push.digest]
    if check.verdict is Verdict.VERIFIED:
        signed = replace(release, signer=check.signer)
        return UpdateState(Reason.SIGNATURE_PASSED, signed) if release.signer != check.signer else None
    if waits := _waits(check, push, spec, now):
        return waits
    reason = REFUSALS[check.verdict]
    return EndRelease(reason, transitions.ended(release, reason, now, check.detail), check.detail)


def is_unsigned(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> bool:
    """True while the desired push waits for its signature: a release under way goes on meanwhile."""
    push = push_to_verify(inputs.desired, inputs.release, spec, now)
    if push is None or _is_due(inputs, push, now) or inputs.needs(Read.DESIRED_DEFINITION, Read.VERSION_LIST):
        return False
    check = inputs.observed.signatures[push.digest]
    return not _exists(inputs) and check.verdict is not Verdict.VERIFIED and bool(_waits(check, push, spec, now))


def with_signer(state: ReleaseState, inputs: DecisionInput, push: Push) -> tuple[ReleaseState, tuple[Note, ...]]:
    """The state of a release that starts, with who signed its image, and a note about that."""
    check = inputs.observed.signatures.get(push.digest)
    if check is None or check.verdict is not Verdict.VERIFIED:
        return state, ()
    return replace(state, signer=check.signer), (Note(Reason.SIGNATURE_PASSED, check.detail),)


def _exists(inputs: DecisionInput) -> bool:
    """True where a version of the desired definition can serve: nothing is created."""
    definition = inputs.observed.desired_definition
    fingerprint = definition.fingerprint if isinstance(definition, ResolvedDefinition) else None
    return any(item.metadata.get(FINGERPRINT) == fingerprint and may_serve(item) for item in inputs.version_list)


def _is_due(inputs: DecisionInput, push: Push, now: datetime) -> bool:
    """True where the registry must be asked: it was not yet, or a signature may have come since."""
    check = inputs.observed.signatures.get(push.digest)
    return check is None or (check.verdict is not Verdict.VERIFIED and now - check.at >= _pause(push, check.at))


def _pause(push: Push, now: datetime) -> timedelta:
    return min(max((now - push.pushed_at) / 4, MIN_PAUSE), MAX_PAUSE)


def _waits(check: SignatureCheck, push: Push, spec: AgentSpec, now: datetime) -> Requeue | None:
    """Wait for an answer for as long as it takes, and for a signature until ``signed_within`` is over."""
    next_read = now + _pause(push, now)
    if check.verdict is Verdict.UNKNOWN:
        return Requeue(Reason.SIGNATURE_UNKNOWN, next_read, check.detail)
    end = add(push.pushed_at, spec.release.signed_within)
    if now >= end:
        return None
    return Requeue(Reason.SIGNATURE_WAITING, max(min(next_read, end), now + timedelta(seconds=1)), check.detail)
