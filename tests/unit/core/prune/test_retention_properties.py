"""For any versions: needed versions stay, repeated runs come to an end, and the order does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.agents_file.spec import KeepSpec
from core.definition import FINGERPRINT, TAG
from core.model import UNKNOWN_TIME, Push, Routing, Status, TrafficRule, Version
from core.prune.retention import Delete, Keep, PruneDecision, plan_prune
from core.state.release import GoodVersion, PendingWrite, Phase, ReleaseState, WriteKind

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PUSH = Push("agents/hello", f"sha256:{'a' * 64}", "v1", NOW, "event-1")
NUMBERS = st.integers(1, 40).map(str)
ODD_NAMES = st.sampled_from(["draft", "v7", "-3", "1.5", "", "²"])
RELEASED = {Status.ACTIVE, Status.FAILED}


@st.composite
def versions(draw: st.DrawFn) -> Version:
    created_at = draw(
        st.one_of(
            st.just(UNKNOWN_TIME),
            st.floats(-400, 400).map(lambda days: NOW - timedelta(days=days)),  # also from a clock that is ahead
        )
    )
    metadata = draw(st.sampled_from([{}, {FINGERPRINT: "fp"}, {FINGERPRINT: "fp", TAG: "v1.0.0"}]))
    number = draw(st.one_of(NUMBERS, NUMBERS, NUMBERS, ODD_NAMES))
    return Version(
        number, draw(st.sampled_from(Status)), created_at, "image", frozenset(), metadata, draft=draw(st.booleans())
    )


ROUTINGS = st.one_of(
    st.just(Routing()),
    NUMBERS.map(Routing.to),
    st.tuples(NUMBERS, NUMBERS).map(
        lambda numbers: Routing((TrafficRule(numbers[0], 90), TrafficRule(numbers[1], 10)))
    ),
)
GOOD_VERSIONS = st.one_of(st.none(), NUMBERS.map(lambda number: GoodVersion(PUSH, "fp", number)))
RELEASES = st.builds(
    ReleaseState,
    candidate=st.one_of(st.none(), NUMBERS),
    phase=st.sampled_from([Phase.STARTED, Phase.VERIFIED, Phase.ENDED]),
    last_good=GOOD_VERSIONS,
    previous_good=GOOD_VERSIONS,
    routing_at_start=st.one_of(st.none(), ROUTINGS),
    expected_routing=st.one_of(st.none(), ROUTINGS),
    pending_write=st.one_of(st.none(), ROUTINGS.map(lambda to: PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, to))),
)
KEEP_SPECS = st.builds(
    KeepSpec,
    newest=st.sampled_from([0, 1, 3, 1000]),
    min_age=st.sampled_from([timedelta(0), timedelta(days=14), timedelta(days=3650)]),
    failed=st.sampled_from([timedelta(0), timedelta(days=2)]),
    tags=st.sampled_from([(), (r"^v\d+\.0\.0$",), (".*",)]),
    foreign=st.booleans(),
    limit=st.sampled_from([2, 10, 100]),
    max_deletes=st.sampled_from([1, 2, 50]),
)
CLOCKS = st.sampled_from([NOW, NOW - timedelta(days=3000), NOW + timedelta(days=3000)])
MANY = st.lists(versions(), unique_by=lambda version: version.number, max_size=25)


def needed(all_versions: Sequence[Version], routing: Routing, release: ReleaseState, keep: KeepSpec) -> set[str]:
    """The versions that must never be deleted, by an independent implementation."""
    numbered = [version for version in all_versions if version.number.isdecimal()]
    by_number = sorted(numbered, key=lambda version: int(version.number))
    names = {rule.version for rule in routing.rules}
    if by_number and routing.follows_latest:
        names.add(by_number[-1].number)
    is_routed = bool(names & {version.number for version in numbered})
    names |= {good.version for good in (release.last_good, release.previous_good) if good}
    names |= {release.candidate} if release.candidate and release.phase is not Phase.ENDED else set()
    for routing_ in (
        release.routing_at_start,
        release.expected_routing,
        release.pending_write.routing if release.pending_write else None,
    ):
        names |= {rule.version for rule in routing_.rules} if routing_ else set()
    others = [item.number for item in by_number if item.status is Status.ACTIVE and item.number not in names]
    names |= set(others[max(0, len(others) - keep.newest) :])
    names |= {by_number[-1].number} if by_number and not is_routed else set()
    names |= {version.number for version in all_versions if version.draft or not version.number.isdecimal()}
    names |= {
        version.number
        for version in all_versions
        if version.status not in RELEASED or version.created_at == UNKNOWN_TIME
    }
    return names | {version.number for version in all_versions if keep.foreign and FINGERPRINT not in version.metadata}


def deleted(decisions: Sequence[PruneDecision]) -> set[str]:
    return {decision.version.number for decision in decisions if isinstance(decision, Delete)}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MANY, ROUTINGS, RELEASES, KEEP_SPECS, CLOCKS, st.randoms())
def test_needed_versions_stay_until_no_run_deletes_anything(
    all_versions: list[Version], routing: Routing, release: ReleaseState, keep: KeepSpec, now: datetime, random: Any
) -> None:
    left, runs = all_versions, 0
    while True:
        decisions = plan_prune(left, routing, release, keep, now)
        assert decisions == plan_prune(random.sample(left, len(left)), routing, release, keep, now)
        assert sorted(decision.version.number for decision in decisions) == sorted(version.number for version in left)
        numbers = deleted(decisions)
        assert not numbers & needed(left, routing, release, keep)
        assert len(numbers) <= keep.max_deletes
        if not numbers:
            break
        left, runs = [decision.version for decision in decisions if isinstance(decision, Keep)], runs + 1
    assert runs <= len(all_versions)
    assert left or not all_versions


@given(MANY, ROUTINGS, RELEASES, CLOCKS)
def test_settings_that_keep_everything_delete_nothing(
    all_versions: list[Version], routing: Routing, release: ReleaseState, now: datetime
) -> None:
    everything = KeepSpec(newest=1000, tags=(".*",), limit=1000)
    ours = [replace(version, status=Status.ACTIVE) for version in all_versions]
    assert not deleted(plan_prune(ours, routing, release, everything, now))


@given(MANY, ROUTINGS, CLOCKS)
def test_settings_that_keep_nothing_leave_live_and_foreign_versions(
    all_versions: list[Version], routing: Routing, now: datetime
) -> None:
    nothing = KeepSpec(newest=0, min_age=timedelta(0), failed=timedelta(0), max_deletes=1000)
    decisions = plan_prune(all_versions, routing, ReleaseState(), nothing, now)
    kept = {decision.version.number for decision in decisions if isinstance(decision, Keep)}
    old = {version.number for version in all_versions if version.created_at <= now}
    assert kept & old == needed(all_versions, routing, ReleaseState(), nothing) & old
