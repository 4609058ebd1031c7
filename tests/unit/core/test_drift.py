"""What changed behind our back is seen, and only that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.drift import find_drift, is_watched
from core.model import Agent, Routing, Status, TrafficRule, Version
from core.state.release import PendingWrite, Phase, ReleaseState, WriteKind
from core.timing import CONSISTENCY_LAG
from tests.unit.core.release.test_decide import NOW, SERVING, version

LIVE = version("1")
AGENT = Agent("hello-agent", True, Routing.to("1"), LIVE, "identity-1")
RECORD = replace(SERVING, identity="identity-1")
SPLIT = Routing((TrafficRule("1", 90), TrafficRule("2", 10)))
CHANGES = [
    pytest.param(None, None, ["agent gone"], id="no agent"),
    pytest.param(AGENT, LIVE, [], id="nothing"),
    pytest.param(replace(AGENT, routing=SPLIT), LIVE, ["routing 1 at 90 %, 2 at 10 %"], id="split by a person"),
    pytest.param(replace(AGENT, routing=Routing()), LIVE, ["routing the newest version"], id="unpinned"),
    pytest.param(AGENT, None, ["version 1 gone"], id="the live version deleted"),
    pytest.param(AGENT, replace(LIVE, status=Status.FAILED), ["version 1 failed"], id="the live version failed"),
    pytest.param(replace(AGENT, identity="identity-2"), LIVE, ["identity identity-2"], id="another identity"),
    pytest.param(replace(AGENT, identity=None), LIVE, [], id="an identity that is not told"),
    pytest.param(replace(AGENT, enabled=False), LIVE, ["disabled"], id="disabled"),
]


@pytest.mark.parametrize(("agent", "live", "names"), CHANGES)
def test_what_changed_has_a_name_and_a_sentence(agent: Agent | None, live: Version | None, names: list[str]) -> None:
    found = find_drift(RECORD, agent, live)
    assert list(found) == names
    assert all(found.values())


def test_what_was_never_noted_cannot_have_changed() -> None:
    assert find_drift(ReleaseState(), AGENT, LIVE) == {}


def test_only_what_is_live_by_our_doing_and_at_rest_is_watched() -> None:
    assert is_watched(RECORD, NOW)
    assert not is_watched(ReleaseState(), NOW)
    assert not is_watched(replace(RECORD, phase=Phase.STARTED), NOW)
    assert not is_watched(replace(RECORD, pending_write=PendingWrite(WriteKind.PIN, NOW)), NOW)


def test_a_change_of_ours_that_reads_do_not_show_yet_is_nobodys_drift() -> None:
    moved = replace(RECORD, routed_at=NOW)
    assert not is_watched(moved, NOW + CONSISTENCY_LAG / 2)
    assert is_watched(moved, NOW + CONSISTENCY_LAG)
