"""Which rollback is in force, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.spec import AgentSpec
from core.image_manifest import RegistryTag
from core.intake.events import apply_config, apply_push, apply_rotation, runtime_hash
from core.intake.registry_check import reject
from core.intake.user_commands import request_release, unhold
from core.model import Push
from core.reasons import Reason
from core.state.desired import DesiredState, Hold, RollbackRequest
from core.state.release import GoodVersion, Phase, ReleaseState
from core.state.rollbacks import describe, is_done, rolled_back, under_way_first

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = NOW - timedelta(hours=2)
OLD = Push("agents/hello", f"sha256:{'a' * 64}", "v1", AT - timedelta(hours=2), "event-1")
BAD = Push("agents/hello", f"sha256:{'b' * 64}", "v2", AT - timedelta(hours=1), "event-2")
NEW = Push("agents/hello", f"sha256:{'c' * 64}", "v3", NOW - timedelta(minutes=1), "event-3")
SPEC = AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello"})
OTHER_SPEC = AgentSpec.model_validate(
    {"name": "hello-agent", "repository": "agents/hello", "cpu": "2", "memory": "4Gi"}
)
ROLLBACK = RollbackRequest("1", 5, None, OLD, "ann", "it lies", AT)
HOLD = Hold("fp-2", BAD.digest, "HOLD_SET", "it lies", AT, None, "ann")
DESIRED = DesiredState(
    5, 5, OLD, newest_push=BAD, holds=(HOLD,), rollback=ROLLBACK, push_generation=5, runtime_hash=runtime_hash(SPEC)
)
WAITING = ReleaseState(observed_generation=4, last_good=GoodVersion(BAD, "fp-2", "2"))
UNDER_WAY = replace(WAITING, observed_generation=5, phase=Phase.VERIFIED)
DONE = ReleaseState(observed_generation=5, reason="LIVE", last_good=GoodVersion(OLD, "fp-1", "1", rollback_at=AT))


def test_a_rotation_waits_until_the_rollback_is_answered() -> None:
    rotated = apply_rotation(DESIRED, SPEC, None, NOW).desired
    assert rotated.not_before is not None
    for release in (WAITING, UNDER_WAY):
        first = under_way_first(rotated, release)
        assert (first.generation, first.user_generation, first.push, first.not_before) == (5, 5, OLD, None)
    assert under_way_first(rotated, DONE) is rotated
    assert under_way_first(DesiredState(), WAITING) == DesiredState()


def test_what_runs_is_the_version_or_what_was_made_from_it() -> None:
    assert rolled_back(DesiredState(), DONE) is None
    renewed = replace(DONE, last_good=GoodVersion(OLD, "fp-3", "3", rollback_at=AT))
    found = [rolled_back(DESIRED, release) for release in (WAITING, DONE, renewed)]
    assert [back.version if back else "" for back in found] == ["1", "1", "3"]
    assert [is_done(ROLLBACK, release) for release in (WAITING, DONE, renewed, ReleaseState())] == [
        False,
        True,
        True,
        False,
    ]


def test_a_record_of_before_has_no_person() -> None:
    before = RollbackRequest("1", 5)
    assert describe(before) == "to version 1 by somebody: no reason given"
    assert not is_done(before, replace(DONE, last_good=GoodVersion(OLD, "fp-1", "1")))
    back = rolled_back(replace(DESIRED, rollback=before), WAITING)
    assert back is not None
    assert back.push == OLD


def test_a_newer_push_ends_it_unless_its_image_is_held() -> None:
    assert apply_push(DESIRED, SPEC, NEW, None, NOW).desired.rollback is None
    again = replace(NEW, digest=BAD.digest)
    assert apply_push(DESIRED, SPEC, again, None, NOW).desired.rollback == ROLLBACK


def test_a_changed_agents_yaml_waits() -> None:
    update = apply_config(DESIRED, OTHER_SPEC, NOW)
    assert (update.reason, update.enqueues) == (Reason.ROLLED_BACK_BY, False)
    assert update.detail == "to version 1 by ann since 2026-11-24 10:00 UTC: it lies"
    assert update.desired.generation == DESIRED.generation
    assert update.desired.rollback == replace(ROLLBACK, config_at=NOW)
    assert apply_config(update.desired, OTHER_SPEC, NOW).reason is Reason.NO_PUSH_YET


@pytest.mark.parametrize(
    ("release", "repeated"),
    [
        pytest.param(WAITING, True, id="not begun"),
        pytest.param(UNDER_WAY, True, id="under way"),
        pytest.param(replace(UNDER_WAY, phase=Phase.ENDED, reason="ROUTE_REFUSED"), True, id="refused"),
        pytest.param(replace(UNDER_WAY, phase=Phase.ENDED, reason="CANDIDATE_GONE"), False, id="the version is gone"),
        pytest.param(ReleaseState(observed_generation=5, reason="AGENT_DELETED"), False, id="the agent is gone"),
        pytest.param(DONE, False, id="done"),
    ],
)
def test_retry_repeats_a_rollback_that_is_not_done(release: ReleaseState, repeated: bool) -> None:
    update = request_release(DESIRED, release, None, "bob", NOW)
    again = replace(ROLLBACK, generation=6)
    assert update.desired.rollback == (again if repeated else None)
    assert update.reason is (Reason.ROLLBACK_REQUESTED if repeated else Reason.RELEASE_REQUESTED)
    assert request_release(DESIRED, release, NEW, "bob", NOW).desired.rollback is None


def test_the_end_of_its_hold_ends_it() -> None:
    assert unhold(DESIRED, DONE, BAD.digest, "bob", NOW).desired.rollback is None
    other = replace(DESIRED, holds=(HOLD, replace(HOLD, digest=NEW.digest, fingerprint="", since=NOW)))
    assert unhold(other, DONE, NEW.digest, "bob", NOW).desired.rollback == ROLLBACK


def test_a_rejected_push_brings_it_back() -> None:
    pushed = apply_push(DESIRED, SPEC, NEW, None, NOW).desired
    tags = [RegistryTag("v3", NEW.digest, NEW.pushed_at)]
    rejection = (Reason.NOT_AN_IMAGE, "a chart")
    answered = reject(pushed, SPEC, rejection, tags, 5, NOW)
    assert (answered.push, answered.rollback) == (OLD, replace(ROLLBACK, generation=7))
    unanswered = reject(pushed, SPEC, rejection, tags, 4, NOW)
    assert unanswered.rollback == replace(ROLLBACK, generation=7)
    rotated = apply_push(apply_rotation(DESIRED, SPEC, None, NOW).desired, SPEC, NEW, None, NOW).desired
    assert reject(rotated, SPEC, rejection, tags, 6, NOW).rollback == ROLLBACK


def test_an_agents_yaml_that_changed_meanwhile_waits_after_a_rejected_push() -> None:
    pushed = apply_push(DESIRED, OTHER_SPEC, NEW, None, NOW).desired
    restored = reject(pushed, OTHER_SPEC, (Reason.NOT_AN_IMAGE, "a chart"), [], 5, NOW)
    assert restored.rollback == replace(ROLLBACK, generation=7, config_at=NOW)
    assert restored.user_generation == 5
    assert restored.runtime_hash == runtime_hash(OTHER_SPEC)
