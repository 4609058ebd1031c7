"""Where a rule asks for signatures: what waits, what is refused, and that nothing unsigned is created or displaces."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.agents_file.spec import AgentSpec
from core.definition import UnresolvedDefinition
from core.model import Push, Status
from core.reasons import Reason
from core.release.actions import (
    Action,
    Create,
    EndRelease,
    NeedsRead,
    Poll,
    Read,
    ReplaceDesiredPush,
    Requeue,
    StartRelease,
    UpdateState,
)
from core.release.decide import next_action
from core.release.inputs import DecisionInput, Observed
from core.release.rules_signature import push_to_verify
from core.signatures import SignatureCheck, Verdict
from core.state.desired import DesiredState, RollbackRequest
from core.state.release import ReleaseState
from tests.unit.core.release.test_decide import (
    ANSWERED,
    AT_1,
    DESIRED,
    JUST_NOW,
    LONG_AGO,
    NOW,
    OLD_PUSH,
    PUSH,
    RESOLVED,
    SERVING,
    STARTED,
    WITH_CANDIDATE,
    read_all,
    spec_with,
    version,
)

SIGNED = spec_with(signed_by=[{"github": "contoso/hello"}])
VERIFIED = SignatureCheck(Verdict.VERIFIED, "signed by GitHub", "GitHub", NOW)
NONE = SignatureCheck(Verdict.NONE, "no signature was found", at=NOW)
INVALID = SignatureCheck(Verdict.INVALID, "is signed with another key", at=NOW)
UNKNOWN = SignatureCheck(Verdict.UNKNOWN, "the registry does not answer", at=NOW)
NEWEST = replace(RESOLVED, fingerprint="fp-3")
LATE = replace(PUSH, pushed_at=NOW - timedelta(minutes=10))
"""Its time for a signature is over."""


def decide(
    check: SignatureCheck | None,
    release: ReleaseState = SERVING,
    push: Push = PUSH,
    observed: Observed | None = None,
    spec: AgentSpec = SIGNED,
    desired: DesiredState = DESIRED,
) -> Action:
    read = observed or read_all(AT_1, version("1"))
    read = read.with_signature(push.digest, check) if check else read
    return next_action(DecisionInput(replace(desired, push=push), release, read), spec, NOW)


def test_a_signed_image_is_released_and_its_signer_is_noted() -> None:
    decided = decide(VERIFIED)
    assert isinstance(decided, StartRelease)
    assert decided.state.signer == "GitHub"
    assert [(note.reason, note.detail) for note in decided.notes] == [(Reason.SIGNATURE_PASSED, "signed by GitHub")]


def test_without_a_rule_nothing_is_asked() -> None:
    decided = decide(None, spec=spec_with())
    assert isinstance(decided, StartRelease)
    assert (decided.state.signer, decided.notes) == ("", ())
    assert isinstance(decide(None, STARTED, spec=spec_with(), desired=ANSWERED), Create)


def test_the_signature_is_read_beside_what_else_is_missing() -> None:
    assert decide(None) == NeedsRead(signature_of=PUSH)
    tags = replace(Observed(), reads=frozenset({Read.AGENT, Read.RECENT_TAGS, Read.DESIRED_DEFINITION}), agent=AT_1)
    tags = replace(tags, desired_definition=read_all().desired_definition)
    assert decide(None, observed=tags) == NeedsRead(frozenset({Read.VERSION_LIST}), signature_of=PUSH)
    assert decide(VERIFIED, observed=tags) == NeedsRead(frozenset({Read.VERSION_LIST}))


@pytest.mark.parametrize("check", [NONE, INVALID])
@pytest.mark.parametrize("mode", ["auto", "notify"])
def test_a_fresh_push_waits_for_its_signature(check: SignatureCheck, mode: str) -> None:
    spec = spec_with(signed_by=[{"github": "contoso/hello"}], mode=mode)
    assert decide(check, spec=spec) == Requeue(Reason.SIGNATURE_WAITING, NOW + timedelta(seconds=5), check.detail)


def test_the_registry_is_asked_more_rarely_as_the_push_ages_and_once_at_the_end() -> None:
    aged = replace(PUSH, pushed_at=NOW - timedelta(minutes=4))
    assert decide(NONE, push=aged) == Requeue(Reason.SIGNATURE_WAITING, NOW + timedelta(minutes=1), NONE.detail)
    last = replace(PUSH, pushed_at=NOW - timedelta(minutes=9))
    assert decide(NONE, push=last) == Requeue(Reason.SIGNATURE_WAITING, NOW + timedelta(minutes=1), NONE.detail)
    end = replace(PUSH, pushed_at=NOW - timedelta(minutes=10) + timedelta(microseconds=1))
    assert decide(NONE, push=end) == Requeue(Reason.SIGNATURE_WAITING, NOW + timedelta(seconds=1), NONE.detail)
    long_wait = spec_with(signed_by=[{"github": "contoso/hello"}], signed_within="30d")
    week = replace(PUSH, pushed_at=NOW - timedelta(days=7))
    assert decide(NONE, push=week, spec=long_wait) == Requeue(
        Reason.SIGNATURE_WAITING, NOW + timedelta(minutes=5), NONE.detail
    )


@pytest.mark.parametrize(("check", "reason"), [(NONE, Reason.SIGNATURE_MISSING), (INVALID, Reason.SIGNATURE_INVALID)])
def test_a_push_that_is_not_signed_in_time_leaves_the_desired_state(check: SignatureCheck, reason: Reason) -> None:
    assert decide(check, push=LATE) == ReplaceDesiredPush(reason, check.detail, DESIRED.generation)


def test_an_unanswered_question_neither_refuses_nor_passes() -> None:
    decided = decide(UNKNOWN, push=replace(PUSH, pushed_at=LONG_AGO))
    assert decided == Requeue(Reason.SIGNATURE_UNKNOWN, NOW + timedelta(minutes=5), UNKNOWN.detail)


@pytest.mark.parametrize("check", [NONE, INVALID, UNKNOWN])
def test_a_version_that_exists_is_not_asked_about_again(check: SignatureCheck) -> None:
    observed = read_all(AT_1, version("1"), version("2"))
    assert isinstance(decide(check, push=LATE, observed=observed), StartRelease)


def test_a_failed_version_is_none_that_exists() -> None:
    observed = read_all(AT_1, version("1"), version("2", Status.FAILED))
    assert isinstance(decide(NONE, push=LATE, observed=observed), ReplaceDesiredPush)


def test_an_image_without_a_definition_is_asked_about_first() -> None:
    unresolved = UnresolvedDefinition(Reason.SECRET_MISSING, "hello-key")
    observed = read_all(AT_1, version("1"), resolved=unresolved)
    assert isinstance(decide(NONE, push=LATE, observed=observed), ReplaceDesiredPush)
    ended = decide(VERIFIED, push=LATE, observed=observed)
    assert isinstance(ended, EndRelease)
    assert ended.reason is Reason.SECRET_MISSING


def test_a_new_definition_of_the_live_image_ends_and_the_live_version_stays() -> None:
    ended = decide(NONE, push=OLD_PUSH)
    assert isinstance(ended, EndRelease)
    assert (ended.reason, ended.detail) == (Reason.SIGNATURE_MISSING, NONE.detail)
    assert ended.state.last_good == SERVING.last_good
    assert ended.state.observed_generation == DESIRED.generation


def test_the_push_of_the_live_version_ends_where_a_rotation_asks_for_it() -> None:
    failed = replace(SERVING, push=PUSH, reason="VERIFY_FAILED", observed_generation=2)
    rotated = replace(DESIRED, generation=3)
    observed = read_all(AT_1, version("1")).with_signature(OLD_PUSH.digest, INVALID)
    ended = next_action(DecisionInput(rotated, failed, observed), SIGNED, NOW)
    assert isinstance(ended, EndRelease)
    assert ended.reason is Reason.SIGNATURE_INVALID


def test_a_rollback_asks_for_no_signature() -> None:
    rollback = RollbackRequest("1", generation=2, push=OLD_PUSH)
    assert push_to_verify(replace(DESIRED, rollback=rollback), SERVING, SIGNED, NOW) is None
    assert push_to_verify(ANSWERED, STARTED, SIGNED, NOW) is None
    assert push_to_verify(DESIRED, SERVING, SIGNED, NOW) == PUSH


@pytest.mark.parametrize("check", [NONE, INVALID, UNKNOWN])
def test_a_release_under_way_goes_on_while_a_newer_push_waits_for_its_signature(check: SignatureCheck) -> None:
    newest = replace(PUSH, digest=f"sha256:{'c' * 64}", tag="v3")
    desired = DesiredState(generation=3, user_generation=3, push=newest)
    creating = version("2", Status.CREATING, created_at=JUST_NOW)
    observed = replace(read_all(AT_1, version("1"), creating), desired_definition=NEWEST)
    observed = observed.with_signature(newest.digest, check)
    release = replace(WITH_CANDIDATE, created_at={"1": LONG_AGO, "2": JUST_NOW})
    decided = next_action(DecisionInput(desired, release, observed), SIGNED, NOW)
    assert decided == Poll(Reason.CREATE, "2")


def test_it_is_superseded_once_the_newer_push_is_signed() -> None:
    newest = replace(PUSH, digest=f"sha256:{'c' * 64}", tag="v3")
    desired = DesiredState(generation=3, user_generation=3, push=newest)
    observed = replace(read_all(AT_1, version("1"), version("2", Status.CREATING)), desired_definition=NEWEST)
    waiting = observed.with_signature(newest.digest, replace(NONE, at=NOW - timedelta(minutes=1)))
    assert next_action(DecisionInput(desired, WITH_CANDIDATE, waiting), SIGNED, NOW) == NeedsRead(signature_of=newest)
    signed = observed.with_signature(newest.digest, VERIFIED)
    assert isinstance(next_action(DecisionInput(desired, WITH_CANDIDATE, signed), SIGNED, NOW), StartRelease)


# before the create, whatever was known when the release began


def test_a_create_asks_where_its_release_did_not() -> None:
    assert decide(None, STARTED, desired=ANSWERED) == NeedsRead(signature_of=PUSH)
    noted = decide(VERIFIED, STARTED, desired=ANSWERED)
    assert isinstance(noted, UpdateState)
    assert (noted.reason, noted.state.signer) == (Reason.SIGNATURE_PASSED, "GitHub")
    assert isinstance(decide(VERIFIED, noted.state, desired=ANSWERED), Create)


def test_nothing_is_created_without_a_verified_signature() -> None:
    waits = decide(NONE, STARTED, desired=ANSWERED)
    assert waits == Requeue(Reason.SIGNATURE_WAITING, NOW + timedelta(seconds=5), NONE.detail)
    unknown = decide(UNKNOWN, replace(STARTED, push=LATE), push=LATE, desired=ANSWERED)
    assert isinstance(unknown, Requeue)
    assert unknown.reason is Reason.SIGNATURE_UNKNOWN
    ended = decide(INVALID, replace(STARTED, push=LATE), push=LATE, desired=ANSWERED)
    assert isinstance(ended, EndRelease)
    assert (ended.reason, ended.detail, ended.state.is_open) == (Reason.SIGNATURE_INVALID, INVALID.detail, False)


def test_a_release_without_a_push_creates_as_before() -> None:
    assert isinstance(decide(None, replace(STARTED, push=None), desired=ANSWERED), Create)
