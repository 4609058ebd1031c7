"""What the registry says that an agent should run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.image_manifest import RegistryTag
from core.intake.registry_check import EVENT_ID, find_correction
from core.model import Push
from core.reasons import Reason
from core.state.desired import DesiredState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
SPEC = AgentSpec.model_validate({"name": "hello-agent", "repository": "agents/hello"})


def test_a_repository_that_the_agent_no_longer_follows_is_not_compared() -> None:
    desired = DesiredState(1, 1, replace(PUSH, repository="agents/former"))
    assert find_correction(SPEC, desired, []) is None
    found = find_correction(SPEC, desired, [RegistryTag("v1", PUSH.digest, NOW - timedelta(days=9))])
    assert found is not None
    assert (found.push.repository, found.reason) == ("agents/hello", Reason.TAG_MOVED)


def test_an_older_answer_of_another_replica_displaces_no_newer_one() -> None:
    older = [RegistryTag("v1", f"sha256:{'b' * 64}", NOW - timedelta(seconds=9))]
    assert find_correction(SPEC, DesiredState(1, 1, replace(PUSH, event_id=EVENT_ID)), older) is None
    found = find_correction(SPEC, DesiredState(1, 1, PUSH), older)
    assert found is not None
    assert found.reason is Reason.TAG_MOVED
