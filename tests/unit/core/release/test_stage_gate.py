"""The stage gate: what is held in an earlier stage makes no version; in the first stage holds count as before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.spec import AgentSpec, StagePlace
from core.intake.user_commands import request_release
from core.model import Push
from core.reasons import Reason
from core.release.actions import EndRelease
from core.release.gates.stage import stage
from core.release.inputs import DecisionInput
from core.release.rules_registry import is_checked
from core.release.transitions import went_live
from core.state.desired import DesiredState, Hold, StageWait
from core.state.release import GoodVersion, Phase, ReleaseState

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
FIRST = AgentSpec(name="hello", repository="agents/hello")
SECOND = FIRST.at("eu", StagePlace(2, ("hello",), ("hello",)))
HELD = DesiredState(push=PUSH, holds=(Hold("", PUSH.digest, "HOLD_SET", "at hello: odd", NOW, None, "ana"),))
STARTED = ReleaseState(push=PUSH, phase=Phase.STARTED)


def test_a_release_whose_image_is_held_in_an_earlier_stage_ends_before_its_create() -> None:
    decided = stage(DecisionInput(HELD, STARTED), SECOND, NOW)
    assert isinstance(decided, EndRelease)
    assert (decided.reason, decided.detail) == (Reason.HELD, "HOLD_SET by ana: at hello: odd")


@pytest.mark.parametrize(
    ("desired", "release", "spec"),
    [
        (HELD, STARTED, FIRST),
        (HELD, replace(STARTED, candidate="2"), SECOND),
        (HELD, replace(STARTED, push=None), SECOND),
        (DesiredState(push=PUSH), STARTED, SECOND),
    ],
)
def test_other_releases_go_on(desired: DesiredState, release: ReleaseState, spec: AgentSpec) -> None:
    assert stage(DecisionInput(desired, release), spec, NOW) is None


def test_the_registry_corrects_only_what_follows_pushes() -> None:
    desired = DesiredState(push=PUSH)
    assert is_checked(desired, FIRST)
    assert not is_checked(desired, SECOND)


def good_after(release: ReleaseState, now: datetime) -> GoodVersion:
    good = went_live(release, None, now).last_good
    assert good is not None
    return good


def test_an_image_is_good_since_it_went_live_first_without_interruption() -> None:
    release = ReleaseState(push=PUSH, fingerprint="f-2", candidate="2")
    good, yesterday, later = good_after(release, NOW), NOW - timedelta(days=1), NOW + timedelta(hours=1)
    assert good.since == NOW
    rotated = replace(release, last_good=replace(good, since=yesterday), candidate="3")
    assert good_after(rotated, NOW).since == yesterday
    other = replace(rotated, last_good=GoodVersion(replace(PUSH, digest="sha256:b"), "f", "1", since=NOW))
    assert good_after(other, later).since == later


def test_an_operator_s_image_ends_the_wait_for_the_stage() -> None:
    waits = DesiredState(stage_wait=StageWait(PUSH, NOW, NOW, "STAGE_WAITING"))
    sent = request_release(waits, ReleaseState(), PUSH, "ana", NOW, "hot fix", ("hello",))
    assert (sent.reason, sent.enqueues) == (Reason.STAGE_SKIPPED_BY_OPERATOR, True)
    assert (sent.desired.past_stage, sent.desired.stage_wait) == (PUSH.digest, None)
