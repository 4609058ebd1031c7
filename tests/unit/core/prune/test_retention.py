"""Which versions may go: one line and one reason for each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents_file.spec import KeepSpec
from core.definition import FINGERPRINT
from core.model import UNKNOWN_TIME, Agent, Push, Routing, Status, Version
from core.prune.retention import Delete, Keep, plan_prune, recheck
from core.reasons import Reason
from core.state.release import GoodVersion, PendingWrite, Phase, ReleaseState, WriteKind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD = NOW - timedelta(days=90)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")


def version(
    number: int | str, status: Status = Status.ACTIVE, *, age: float = 90, ours: bool = True, tag: str = ""
) -> Version:
    metadata = {FINGERPRINT: f"fp-{number}"} if ours else {}
    return Version(
        str(number), status, NOW - timedelta(days=age), "image", frozenset(), metadata | {"slipway.tag": tag}
    )


def keep(**given: Any) -> KeepSpec:
    return KeepSpec.model_validate({"newest": 0} | given)


def reasons(
    *versions: Version,
    routing: Routing | None = None,
    release: ReleaseState | None = None,
    spec: KeepSpec | None = None,
) -> dict[str, Reason]:
    lines = plan_prune(versions, routing or Routing.to("9"), release or ReleaseState(), spec or keep(), NOW)
    assert [line.version for line in lines] == sorted(
        versions, key=lambda one: int(one.number) if one.number.isdecimal() else -1
    )
    return {line.version.number: line.reason for line in lines}


LIVE = version(9)
SERVED_BY_9 = Agent("hello-agent", True, Routing.to("9"), None)


@pytest.mark.parametrize(
    ("other", "release", "spec", "reason"),
    [
        pytest.param(version(1), ReleaseState(), keep(), Reason.PRUNED_STALE, id="stale"),
        pytest.param(version(1, Status.FAILED), ReleaseState(), keep(), Reason.PRUNED_FAILED, id="failed long ago"),
        pytest.param(version(1, Status.FAILED, age=1), ReleaseState(), keep(), Reason.KEPT_YOUNG, id="failed just now"),
        pytest.param(version(1, age=1), ReleaseState(), keep(), Reason.KEPT_YOUNG, id="young"),
        pytest.param(
            version(1, tag="v1.0.0"), ReleaseState(), keep(tags=[r"^v\d+\.0\.0$"]), Reason.KEPT_TAGGED, id="tagged"
        ),
        pytest.param(version(1, ours=False), ReleaseState(), keep(), Reason.KEPT_FOREIGN, id="somebody else's"),
        pytest.param(
            version(1, ours=False), ReleaseState(), keep(foreign=False), Reason.PRUNED_STALE, id="foreign may go"
        ),
        pytest.param(version(1, Status.CREATING), ReleaseState(), keep(), Reason.KEPT_UNSETTLED, id="creating"),
        pytest.param(version(1, Status.DELETING), ReleaseState(), keep(), Reason.KEPT_UNSETTLED, id="deleting"),
        pytest.param(version(1, Status.UNKNOWN), ReleaseState(), keep(), Reason.KEPT_UNSETTLED, id="an unknown status"),
        pytest.param(replace(version(1), draft=True), ReleaseState(), keep(), Reason.KEPT_DRAFT, id="a draft"),
        pytest.param(
            replace(version(1), created_at=UNKNOWN_TIME), ReleaseState(), keep(), Reason.KEPT_UNDATED, id="no date"
        ),
        pytest.param(version("draft-1"), ReleaseState(), keep(), Reason.KEPT_DRAFT, id="a name that is no number"),
        pytest.param(
            version(1),
            ReleaseState(candidate="1", phase=Phase.STARTED),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="the candidate",
        ),
        pytest.param(
            version(1), ReleaseState(candidate="1"), keep(), Reason.PRUNED_STALE, id="the candidate of before"
        ),
        pytest.param(
            version(1),
            ReleaseState(previous_good=GoodVersion(PUSH, "f", "1")),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="before",
        ),
        pytest.param(
            version(1),
            ReleaseState(last_good=GoodVersion(PUSH, "fp", "1")),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="the good one",
        ),
        pytest.param(
            version(1),
            ReleaseState(routing_at_start=Routing.to("1")),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="the way back",
        ),
        pytest.param(
            version(1),
            ReleaseState(pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, Routing.to("1"))),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="being promoted",
        ),
        pytest.param(version(1), ReleaseState(), keep(newest=1), Reason.KEPT_RECENT, id="behind the live one"),
        pytest.param(version(10), ReleaseState(), keep(newest=5), Reason.PRUNED_STALE, id="ahead of it is no way back"),
        pytest.param(version(1, Status.FAILED), ReleaseState(), keep(newest=1), Reason.PRUNED_FAILED, id="failed"),
    ],
)
def test_a_version_stays_or_goes_for_one_reason(
    other: Version, release: ReleaseState, spec: KeepSpec, reason: Reason
) -> None:
    found = reasons(other, LIVE, release=release, spec=spec)
    assert found == {other.number: reason, "9": Reason.KEPT_LIVE}


def test_while_the_endpoint_follows_latest_the_newest_serves() -> None:
    assert reasons(version(1), version(2), routing=Routing()) == {"1": Reason.PRUNED_STALE, "2": Reason.KEPT_LIVE}


def test_the_last_version_stays_even_where_nothing_names_it() -> None:
    assert reasons(version(1)) == {"1": Reason.KEPT_LAST}


def test_when_it_is_crowded_what_is_only_kept_for_now_gives_way_oldest_first() -> None:
    found = reasons(*(version(each, age=1) for each in range(1, 9)), LIVE, spec=keep(limit=10))
    assert [one for one, reason in found.items() if reason is Reason.PRUNED_STALE] == ["1"]


def test_one_run_deletes_no_more_than_it_may_and_the_oldest_first() -> None:
    found = reasons(*(version(each) for each in range(1, 6)), LIVE, spec=keep(max_deletes=2))
    assert [one for one, reason in found.items() if reason is Reason.PRUNED_STALE] == ["1", "2"]
    assert found["3"] is Reason.KEPT_FOR_NEXT_RUN


@pytest.mark.parametrize(
    ("found", "told", "release", "reason"),
    [
        pytest.param(version(1), SERVED_BY_9, ReleaseState(), Reason.PRUNED_STALE, id="goes"),
        pytest.param(
            version(1), Agent("a", True, Routing.to("1"), None), ReleaseState(), Reason.KEPT_LIVE, id="serves now"
        ),
        pytest.param(version(1), None, ReleaseState(), Reason.KEPT_LIVE, id="the agent cannot be seen"),
        pytest.param(
            version(1),
            SERVED_BY_9,
            ReleaseState(previous_good=GoodVersion(PUSH, "f", "1")),
            Reason.KEPT_IN_RELEASE,
            id="named",
        ),
        pytest.param(
            version(1, Status.DELETING), SERVED_BY_9, ReleaseState(), Reason.KEPT_UNSETTLED, id="being deleted"
        ),
        pytest.param(
            version(1, Status.FAILED), SERVED_BY_9, ReleaseState(), Reason.PRUNED_FAILED, id="failed after all"
        ),
        pytest.param(
            version(1, Status.FAILED, age=1), SERVED_BY_9, ReleaseState(), Reason.KEPT_YOUNG, id="failed just now"
        ),
    ],
)
def test_a_line_is_held_once_more_against_what_was_just_read(
    found: Version, told: Agent | None, release: ReleaseState, reason: Reason
) -> None:
    again = recheck(Delete(version(1), Reason.PRUNED_STALE), told, found, release, keep(), NOW)
    assert (again.version, again.reason) == (found, reason)
    assert isinstance(again, Delete) is reason.value.startswith("PRUNED")


def test_a_version_that_the_list_called_failed_and_that_is_active_is_not_deleted() -> None:
    line = Delete(version(1, Status.FAILED), Reason.PRUNED_FAILED)
    assert recheck(line, SERVED_BY_9, version(1), ReleaseState(), keep(), NOW) == Keep(
        version(1), Reason.KEPT_UNSETTLED
    )


def test_where_one_stays_after_all_another_gives_way() -> None:
    versions = [*(version(each, age=1) for each in range(1, 9)), LIVE]
    lines = plan_prune(versions, Routing.to("9"), ReleaseState(), keep(limit=10), NOW, {"1": Reason.SESSIONS_ACTIVE})
    assert lines[0] == Keep(versions[0], Reason.SESSIONS_ACTIVE)
    assert [line.version.number for line in lines if isinstance(line, Delete)] == ["2"]


VERSIONS = st.lists(
    st.builds(
        version,
        st.integers(1, 30),
        st.sampled_from(Status),
        age=st.floats(0, 60),
        ours=st.booleans(),
        tag=st.sampled_from(["v1.0.0", "v1.2.0"]),
    ),
    unique_by=lambda one: one.number,
    max_size=20,
)
RULES = st.builds(
    lambda newest, limit, foreign: keep(newest=newest, limit=limit, foreign=foreign, tags=["^v1.0.0$"]),
    st.integers(0, 5),
    st.integers(2, 30),
    st.booleans(),
)


@given(VERSIONS, RULES, st.integers(1, 30), st.randoms())
def test_after_a_run_the_next_one_deletes_nothing_and_order_does_not_matter(
    versions: list[Version], spec: KeepSpec, live: int, random: Any
) -> None:
    routing, release = Routing.to(str(live)), ReleaseState(candidate=str(live + 1), phase=Phase.STARTED)
    lines = plan_prune(versions, routing, release, spec, NOW)
    assert lines == plan_prune(random.sample(versions, len(versions)), routing, release, spec, NOW)
    gone = {line.version.number for line in lines if isinstance(line, Delete)}
    assert not gone & {str(live), str(live + 1)}
    left = [line.version for line in lines if isinstance(line, Keep)]
    assert not [line for line in plan_prune(left, routing, release, spec, NOW) if isinstance(line, Delete)]
