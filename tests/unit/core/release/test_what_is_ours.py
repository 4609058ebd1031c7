"""A version, or a tag, that says that it is ours: what the release asks for and the registry decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.definition import UnresolvedDefinition, definition_parts, differing_parts
from core.image_manifest import RegistryTag
from core.intake.registry_check import reject
from core.model import Definition, SecretValue
from core.reasons import Reason
from core.release.actions import Create, EndRelease, Read, ReplaceDesiredPush, Requeue, UpdateState
from core.release.gates.confirm import after_confirm
from core.release.inputs import Observed
from core.state.desired import PreviousPush
from core.state.release import PendingWrite, WriteKind
from tests.unit.core.release.test_decide import (
    ANSWERED,
    AT_1,
    DEFINITION,
    DESIRED,
    LONG_AGO,
    NOW,
    OLD_PUSH,
    PUSH,
    RESOLVED,
    SERVING,
    SPEC,
    STARTED,
    WITH_CANDIDATE,
    decide,
    needs_read,
    read_all,
    version,
)

PARTS = definition_parts(DEFINITION)
FORGED = {**PARTS, "variable UPSTREAM": "1"}
OURS, OTHER = version("2", parts=PARTS), version("2", parts=FORGED)
OLD_TAG = RegistryTag("v1", OLD_PUSH.digest, LONG_AGO)
LATE = replace(DESIRED, push=replace(PUSH, pushed_at=NOW - timedelta(hours=1)), push_generation=2)


def test_the_parts_of_a_definition_are_compared_without_showing_a_value() -> None:
    secret = replace(DEFINITION, environment={"MODE": SecretValue("canary-of-a-part")})
    assert "canary" not in str(definition_parts(secret))
    assert differing_parts(OURS, DEFINITION) == []
    assert differing_parts(OURS, secret) == ["variable MODE"]
    assert differing_parts(OTHER, DEFINITION) == ["variable UPSTREAM"]
    assert differing_parts(version("2", parts={**PARTS, "variable FOUNDRY_X": "1"}), DEFINITION) == []
    assert differing_parts(version("1", parts=PARTS), DEFINITION) == ["image"]
    assert differing_parts(version("2", parts={**PARTS, "cpu": "1"}), DEFINITION) == ["cpu"]


def test_of_a_copied_definition_or_an_unread_version_nothing_is_compared() -> None:
    assert differing_parts(version("2"), DEFINITION) == []
    assert differing_parts(OTHER, Definition("", "", "", (), {})) == []


def test_a_version_with_another_definition_is_not_adopted() -> None:
    assert isinstance(decide(STARTED, read_all(AT_1, version("1"), OURS), ANSWERED), UpdateState)
    assert isinstance(decide(STARTED, read_all(AT_1, version("1"), OTHER), ANSWERED), Create)


def test_a_version_that_is_not_adopted_is_named_once_a_release() -> None:
    also = replace(OTHER, number="3", image="other")
    created = decide(STARTED, read_all(AT_1, version("1"), OTHER, also), ANSWERED)
    assert isinstance(created, Create)
    assert [(note.reason, note.detail) for note in created.notes] == [
        (Reason.VERSION_NOT_ADOPTED, "version 3 differs in image, variable UPSTREAM"),
        (Reason.VERSION_NOT_ADOPTED, "version 2 differs in variable UPSTREAM"),
    ]
    again = decide(replace(STARTED, create_count=1), read_all(AT_1, version("1"), OTHER), ANSWERED)
    assert isinstance(again, Create)
    assert again.notes == ()


def test_the_definition_is_read_before_a_version_is_adopted() -> None:
    observed = read_all(AT_1, version("1"), OURS).without(Read.RELEASE_DEFINITION)
    assert decide(STARTED, observed, ANSWERED) == needs_read(Read.RELEASE_DEFINITION)


def test_without_a_definition_a_version_counts_that_was_noted() -> None:
    gone = UnresolvedDefinition(Reason.SECRET_MISSING, "hello-key")
    observed = replace(read_all(AT_1, version("1"), OURS), release_definition=gone)
    assert isinstance(decide(STARTED, observed, ANSWERED), EndRelease)
    noted = replace(STARTED, fingerprints={"2": "fp-2"}, created_at={"2": LONG_AGO})
    assert isinstance(decide(noted, observed, ANSWERED), UpdateState)


@pytest.mark.parametrize(("found", "adopted"), [(OURS, True), (OTHER, False)])
def test_after_an_unclear_create_only_what_was_asked_for_is_taken_for_it(found: object, adopted: bool) -> None:
    unclear = replace(STARTED, pending_write=PendingWrite(WriteKind.CREATE, NOW - timedelta(hours=1), None, 1))
    action = decide(unclear, read_all(AT_1, version("1"), found), ANSWERED)  # type: ignore[arg-type]
    assert isinstance(action, UpdateState)
    assert action.reason is (Reason.ADOPT if adopted else Reason.WRITE_NOT_APPLIED)


def test_confirm_compares_every_part() -> None:
    assert isinstance(after_confirm(WITH_CANDIDATE, OURS, NOW, RESOLVED), UpdateState)
    action = after_confirm(WITH_CANDIDATE, OTHER, NOW, RESOLVED)
    assert isinstance(action, EndRelease)
    assert (action.reason, action.detail) == (Reason.DEFINITION_MISMATCH, "variable UPSTREAM differ")
    other_release = replace(RESOLVED, fingerprint="fp-3")
    assert isinstance(after_confirm(WITH_CANDIDATE, OTHER, NOW, other_release), UpdateState)


def with_tags(*tags: RegistryTag) -> Observed:
    return replace(read_all(AT_1, version("1")), recent_tags=tags)


def test_a_tag_that_the_registry_does_not_have_is_rejected_once_it_cannot_lag() -> None:
    action = decide(SERVING, with_tags(OLD_TAG), LATE)
    assert isinstance(action, ReplaceDesiredPush)
    assert (action.reason, action.push, action.detail) == (Reason.TAG_UNKNOWN, None, "agents/hello has no tag v2")
    fresh = replace(LATE, push=PUSH)
    assert isinstance(decide(SERVING, with_tags(OLD_TAG), fresh), Requeue)


def test_a_push_that_ran_needs_no_tag_any_more() -> None:
    ran = replace(LATE, push_generation=1)
    assert not isinstance(decide(SERVING, with_tags(OLD_TAG), ran), ReplaceDesiredPush | Requeue)


def test_a_real_push_does_not_wait_for_a_tag_that_is_unknown() -> None:
    semver = SPEC.model_validate({"name": "a", "repository": "agents/hello", "tags": {"order": "semver"}})
    forged = replace(DESIRED, push=replace(PUSH, tag="2.999.0"), push_generation=2)
    running = replace(SERVING, push=replace(OLD_PUSH, tag="2.0.0"))
    tags = (RegistryTag("2.0.0", OLD_PUSH.digest, LONG_AGO), RegistryTag("2.1.0", f"sha256:{'c' * 64}", LONG_AGO))
    action = decide(running, with_tags(*tags), forged, semver)
    assert isinstance(action, ReplaceDesiredPush)
    assert action.push is not None
    assert (action.reason, action.push.tag) == (Reason.MISSED_PUSH_FOUND, "2.1.0")


def test_the_digest_of_an_unknown_tag_may_be_released_under_another() -> None:
    desired = replace(LATE, previous_pushes=(PreviousPush(push=OLD_PUSH, push_generation=1),))
    restored = reject(desired, SPEC, (Reason.TAG_UNKNOWN, "no tag"), [], 1, NOW)
    assert restored.push == OLD_PUSH
    assert restored.rejected == ()
