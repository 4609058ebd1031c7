"""Over any history whatever: what must stay stays, one run after another comes to rest, order does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
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
    made = draw(
        st.one_of(
            st.just(UNKNOWN_TIME),
            st.floats(-400, 400).map(lambda days: NOW - timedelta(days=days)),  # also from a clock that is ahead
        )
    )
    metadata = draw(st.sampled_from([{}, {FINGERPRINT: "fp"}, {FINGERPRINT: "fp", TAG: "v1.0.0"}]))
    number = draw(st.one_of(NUMBERS, NUMBERS, NUMBERS, ODD_NAMES))
    return Version(
        number, draw(st.sampled_from(Status)), made, "image", frozenset(), metadata, draft=draw(st.booleans())
    )


ROUTINGS = st.one_of(
    st.just(Routing()),
    NUMBERS.map(Routing.to),
    st.tuples(NUMBERS, NUMBERS).map(lambda two: Routing((TrafficRule(two[0], 90), TrafficRule(two[1], 10)))),
)
GOODS = st.one_of(st.none(), NUMBERS.map(lambda number: GoodVersion(PUSH, "fp", number)))
RECORDS = st.builds(
    ReleaseState,
    candidate=st.one_of(st.none(), NUMBERS),
    phase=st.sampled_from([Phase.STARTED, Phase.VERIFIED, Phase.ENDED]),
    last_good=GOODS,
    previous_good=GOODS,
    routing_at_start=st.one_of(st.none(), ROUTINGS),
    expected_routing=st.one_of(st.none(), ROUTINGS),
    pending_write=st.one_of(st.none(), ROUTINGS.map(lambda to: PendingWrite(WriteKind.MOVE_TRAFFIC, NOW, to))),
)
RULES = st.builds(
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
MANY = st.lists(versions(), unique_by=lambda one: one.number, max_size=25)


def needed(all_of_them: Sequence[Version], routing: Routing, release: ReleaseState, keep: KeepSpec) -> set[str]:
    """The hard list in other words: by no means may one of these go."""
    numbered = [one for one in all_of_them if one.number.isdecimal()]
    by_number = sorted(numbered, key=lambda one: int(one.number))
    names = {rule.version for rule in routing.rules}
    if by_number and (routing.follows_latest or not names & {one.number for one in numbered}):
        names.add(by_number[-1].number)
    names |= {good.version for good in (release.last_good, release.previous_good) if good}
    names |= {release.candidate} if release.candidate and release.phase is not Phase.ENDED else set()
    for other in (
        release.routing_at_start,
        release.expected_routing,
        release.pending_write.routing if release.pending_write else None,
    ):
        names |= {rule.version for rule in other.rules} if other else set()
    names |= {one.number for one in all_of_them if one.draft or not one.number.isdecimal()}
    names |= {one.number for one in all_of_them if one.status not in RELEASED or one.created_at == UNKNOWN_TIME}
    names |= {one.number for one in all_of_them if keep.foreign and FINGERPRINT not in one.metadata}
    pinned = [int(rule.version) for rule in routing.rules if rule.version.isdecimal()]
    live = int(by_number[-1].number) if by_number and (routing.follows_latest or not pinned) else max(pinned, default=0)
    behind = [one.number for one in by_number if int(one.number) < live and one.status is Status.ACTIVE]
    return names | set(behind[len(behind) - keep.newest :] if keep.newest < len(behind) else behind)


def going(lines: Sequence[PruneDecision]) -> set[str]:
    return {line.version.number for line in lines if isinstance(line, Delete)}


@settings(max_examples=400)
@given(MANY, ROUTINGS, RECORDS, RULES, CLOCKS, st.randoms())
def test_what_must_stay_stays_until_nothing_more_goes(
    found: list[Version], routing: Routing, release: ReleaseState, keep: KeepSpec, now: datetime, random: Any
) -> None:
    left, runs = found, 0
    while True:
        lines = plan_prune(left, routing, release, keep, now)
        assert lines == plan_prune(random.sample(left, len(left)), routing, release, keep, now)
        assert sorted(line.version.number for line in lines) == sorted(one.number for one in left)
        gone = going(lines)
        assert not gone & needed(left, routing, release, keep)
        assert len(gone) <= keep.max_deletes
        if not gone:
            break
        left, runs = [line.version for line in lines if isinstance(line, Keep)], runs + 1
    assert runs <= len(found)
    assert left or not found


@given(MANY, ROUTINGS, RECORDS, CLOCKS)
def test_rules_that_keep_everything_delete_nothing(
    found: list[Version], routing: Routing, release: ReleaseState, now: datetime
) -> None:
    everything = KeepSpec(newest=1000, tags=(".*",), limit=1000)
    ours = [replace(one, status=Status.ACTIVE) for one in found]
    assert not going(plan_prune(ours, routing, release, everything, now))


@given(MANY, ROUTINGS, CLOCKS)
def test_rules_that_keep_nothing_leave_what_serves_and_what_is_not_ours(
    found: list[Version], routing: Routing, now: datetime
) -> None:
    nothing = KeepSpec(newest=0, min_age=timedelta(0), failed=timedelta(0), max_deletes=1000)
    lines = plan_prune(found, routing, ReleaseState(), nothing, now)
    stays = {line.version.number for line in lines if isinstance(line, Keep)}
    old = {one.number for one in found if one.created_at <= now}
    assert stays & old == needed(found, routing, ReleaseState(), nothing) & old
