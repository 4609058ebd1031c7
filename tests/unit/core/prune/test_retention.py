"""Which versions pruning deletes, with a reason for every version."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents_file.spec import KeepSpec
from core.definition import FINGERPRINT
from core.image_manifest import RegistryTag
from core.model import UNKNOWN_TIME, Agent, Push, Routing, Status, Version
from core.prune.retention import Delete, Keep, plan_prune, recheck, tagged_digests
from core.reasons import Reason
from core.state.desired import KeptTag
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


def keep(**keys: Any) -> KeepSpec:
    return KeepSpec.model_validate({"newest": 0} | keys)


def reasons(
    *versions: Version,
    routing: Routing | None = None,
    release: ReleaseState | None = None,
    spec: KeepSpec | None = None,
) -> dict[str, Reason]:
    decisions = plan_prune(versions, routing or Routing.to("9"), release or ReleaseState(), spec or keep(), NOW)
    assert [decision.version for decision in decisions] == sorted(
        versions, key=lambda version: int(version.number) if version.number.isdecimal() else -1
    )
    return {decision.version.number: decision.reason for decision in decisions}


LIVE = version(9)
LIVE_AT_9 = Agent("hello-agent", True, Routing.to("9"), None)


@pytest.mark.parametrize(
    ("candidate", "release", "spec", "reason"),
    [
        pytest.param(version(1), ReleaseState(), keep(), Reason.PRUNED_STALE, id="stale"),
        pytest.param(version(1, Status.FAILED), ReleaseState(), keep(), Reason.PRUNED_FAILED, id="failed long ago"),
        pytest.param(version(1, Status.FAILED, age=1), ReleaseState(), keep(), Reason.KEPT_YOUNG, id="failed just now"),
        pytest.param(version(1, age=1), ReleaseState(), keep(), Reason.KEPT_YOUNG, id="young"),
        pytest.param(
            version(1, tag="v1.0.0"), ReleaseState(), keep(tags=[r"^v\d+\.0\.0$"]), Reason.KEPT_TAGGED, id="tagged"
        ),
        pytest.param(version(1, ours=False), ReleaseState(), keep(), Reason.KEPT_FOREIGN, id="foreign"),
        pytest.param(
            version(1, ours=False),
            ReleaseState(),
            keep(foreign=False),
            Reason.PRUNED_STALE,
            id="foreign, which keep allows to delete",
        ),
        pytest.param(version(1, Status.CREATING), ReleaseState(), keep(), Reason.KEPT_UNSETTLED, id="creating"),
        pytest.param(version(1, Status.DELETING), ReleaseState(), keep(), Reason.KEPT_UNSETTLED, id="deleting"),
        pytest.param(version(1, Status.UNKNOWN), ReleaseState(), keep(), Reason.KEPT_UNSETTLED, id="an unknown status"),
        pytest.param(replace(version(1), draft=True), ReleaseState(), keep(), Reason.KEPT_DRAFT, id="a draft"),
        pytest.param(
            replace(version(1), created_at=UNKNOWN_TIME), ReleaseState(), keep(), Reason.KEPT_UNDATED, id="no date"
        ),
        pytest.param(version("draft-1"), ReleaseState(), keep(), Reason.KEPT_DRAFT, id="a name that is not a number"),
        pytest.param(
            version(1),
            ReleaseState(candidate="1", phase=Phase.STARTED),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="the candidate",
        ),
        pytest.param(
            version(1), ReleaseState(candidate="1"), keep(), Reason.PRUNED_STALE, id="the candidate of an ended release"
        ),
        pytest.param(
            version(1),
            ReleaseState(previous_good=GoodVersion(PUSH, "f", "1")),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="the previous good version",
        ),
        pytest.param(
            version(1),
            ReleaseState(last_good=GoodVersion(PUSH, "fp", "1")),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="the last good version",
        ),
        pytest.param(
            version(1),
            ReleaseState(routing_at_start=Routing.to("1")),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="live at the start of the release",
        ),
        pytest.param(
            version(1),
            ReleaseState(pending_write=PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, Routing.to("1"))),
            keep(),
            Reason.KEPT_IN_RELEASE,
            id="getting the traffic",
        ),
        pytest.param(version(1), ReleaseState(), keep(newest=1), Reason.KEPT_RECENT, id="older than the live version"),
        pytest.param(version(10), ReleaseState(), keep(newest=5), Reason.KEPT_RECENT, id="newer than the live version"),
        pytest.param(version(1, Status.FAILED), ReleaseState(), keep(newest=1), Reason.PRUNED_FAILED, id="failed"),
    ],
)
def test_a_version_is_kept_or_deleted_for_one_reason(
    candidate: Version, release: ReleaseState, spec: KeepSpec, reason: Reason
) -> None:
    by_number = reasons(candidate, LIVE, release=release, spec=spec)
    assert by_number == {candidate.number: reason, "9": Reason.KEPT_LIVE}


def test_while_the_endpoint_follows_the_newest_version_that_version_is_live() -> None:
    assert reasons(version(1), version(2), routing=Routing()) == {"1": Reason.PRUNED_STALE, "2": Reason.KEPT_LIVE}


def test_the_last_version_stays_even_if_nothing_names_it() -> None:
    assert reasons(version(1)) == {"1": Reason.KEPT_LAST}


def test_after_a_rollback_the_newest_versions_by_number_stay_and_live_and_previous_come_on_top() -> None:
    release = ReleaseState(last_good=GoodVersion(PUSH, "fp", "3"), previous_good=GoodVersion(PUSH, "fp", "8"))
    by_number = reasons(
        *(version(number) for number in range(1, 9)), routing=Routing.to("3"), release=release, spec=keep(newest=2)
    )
    stays = {number for number, reason in by_number.items() if reason is not Reason.PRUNED_STALE}
    assert stays == {"3", "8", "7", "6"}


def test_a_version_stays_whose_digest_has_or_had_a_tag_that_is_kept() -> None:
    tagged = replace(version(1), image=f"demo.azurecr.io/agents/hello@{PUSH.digest}")
    spec = keep(tags=["^release-"])
    for known, tags in (
        ((KeptTag(PUSH.digest, "release-1"),), ()),
        ((), (RegistryTag("release-1", PUSH.digest, OLD),)),
        ((KeptTag(PUSH.digest, "other"),), (RegistryTag("other", PUSH.digest, OLD),)),
    ):
        digests = tagged_digests(spec, known, tags)
        decisions = plan_prune([tagged, LIVE], Routing.to("9"), ReleaseState(), spec, NOW, tagged=digests)
        expected = Reason.KEPT_TAGGED if digests else Reason.PRUNED_STALE
        assert decisions[0].reason is expected
    assert not tagged_digests(spec, (KeptTag(PUSH.digest, "other"),), ())


def test_near_the_limit_versions_kept_by_settings_are_deleted_oldest_first() -> None:
    by_number = reasons(*(version(number, age=1) for number in range(1, 9)), LIVE, spec=keep(limit=10))
    assert [number for number, reason in by_number.items() if reason is Reason.PRUNED_STALE] == ["1"]


def test_a_run_deletes_at_most_max_deletes_and_the_oldest_first() -> None:
    by_number = reasons(*(version(number) for number in range(1, 6)), LIVE, spec=keep(max_deletes=2))
    assert [number for number, reason in by_number.items() if reason is Reason.PRUNED_STALE] == ["1", "2"]
    assert by_number["3"] is Reason.KEPT_FOR_NEXT_RUN


@pytest.mark.parametrize(
    ("version_", "agent", "release", "reason"),
    [
        pytest.param(version(1), LIVE_AT_9, ReleaseState(), Reason.PRUNED_STALE, id="deleted"),
        pytest.param(
            version(1), Agent("a", True, Routing.to("1"), None), ReleaseState(), Reason.KEPT_LIVE, id="live now"
        ),
        pytest.param(version(1), None, ReleaseState(), Reason.KEPT_LIVE, id="no agent"),
        pytest.param(
            version(1),
            LIVE_AT_9,
            ReleaseState(previous_good=GoodVersion(PUSH, "f", "1")),
            Reason.KEPT_IN_RELEASE,
            id="in the release state",
        ),
        pytest.param(version(1, Status.DELETING), LIVE_AT_9, ReleaseState(), Reason.KEPT_UNSETTLED, id="being deleted"),
        pytest.param(version(1, Status.FAILED), LIVE_AT_9, ReleaseState(), Reason.PRUNED_FAILED, id="failed after all"),
        pytest.param(
            version(1, Status.FAILED, age=1), LIVE_AT_9, ReleaseState(), Reason.KEPT_YOUNG, id="failed just now"
        ),
    ],
)
def test_a_planned_deletion_is_checked_against_a_new_read(
    version_: Version, agent: Agent | None, release: ReleaseState, reason: Reason
) -> None:
    decision = recheck(Delete(version(1), Reason.PRUNED_STALE), agent, version_, release, keep(), NOW)
    assert (decision.version, decision.reason) == (version_, reason)
    assert isinstance(decision, Delete) is reason.value.startswith("PRUNED")


def test_an_active_version_that_the_list_reports_as_failed_is_not_deleted() -> None:
    planned = Delete(version(1, Status.FAILED), Reason.PRUNED_FAILED)
    assert recheck(planned, LIVE_AT_9, version(1), ReleaseState(), keep(), NOW) == Keep(
        version(1), Reason.KEPT_UNSETTLED
    )


def test_if_a_version_could_not_be_deleted_another_is_deleted() -> None:
    versions = [*(version(number, age=1) for number in range(1, 9)), LIVE]
    decisions = plan_prune(
        versions, Routing.to("9"), ReleaseState(), keep(limit=10), NOW, {"1": Reason.SESSIONS_ACTIVE}
    )
    assert decisions[0] == Keep(versions[0], Reason.SESSIONS_ACTIVE)
    assert [decision.version.number for decision in decisions if isinstance(decision, Delete)] == ["2"]


VERSIONS = st.lists(
    st.builds(
        version,
        st.integers(1, 30),
        st.sampled_from(Status),
        age=st.floats(0, 60),
        ours=st.booleans(),
        tag=st.sampled_from(["v1.0.0", "v1.2.0"]),
    ),
    unique_by=lambda version: version.number,
    max_size=20,
)
KEEP_SPECS = st.builds(
    lambda newest, limit, foreign: keep(newest=newest, limit=limit, foreign=foreign, tags=["^v1.0.0$"]),
    st.integers(0, 5),
    st.integers(2, 30),
    st.booleans(),
)


@given(VERSIONS, KEEP_SPECS, st.integers(1, 30), st.randoms())
def test_the_run_after_a_run_deletes_nothing_and_the_order_does_not_matter(
    versions: list[Version], spec: KeepSpec, live: int, random: Any
) -> None:
    routing, release = Routing.to(str(live)), ReleaseState(candidate=str(live + 1), phase=Phase.STARTED)
    decisions = plan_prune(versions, routing, release, spec, NOW)
    assert decisions == plan_prune(random.sample(versions, len(versions)), routing, release, spec, NOW)
    deleted = {decision.version.number for decision in decisions if isinstance(decision, Delete)}
    assert not deleted & {str(live), str(live + 1)}
    left = [decision.version for decision in decisions if isinstance(decision, Keep)]
    assert not [decision for decision in plan_prune(left, routing, release, spec, NOW) if isinstance(decision, Delete)]
