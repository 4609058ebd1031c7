"""Whether a secret that was read is as new as the version that an event named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.events import SecretChanged
from core.model import Secret, SecretUnavailable, SecretValue, SecretVersion
from core.secret_versions import LaggingSecret, ReadInstead, judge, version_to_await, with_named_version
from core.state.desired import NamedVersion

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
OLD, NEW, OTHER = "a" * 32, "b" * 32, "c" * 32
NAMED = NamedVersion(NEW, NOW, NOW)
READ = Secret("key", OLD, SecretValue("x"), created_at=NOW - timedelta(days=1))


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def changed(version: str, seconds: float | None) -> SecretChanged:
    return SecretChanged("vault", "key", version, "id", at=None if seconds is None else later(seconds))


def test_the_latest_event_counts_in_whatever_order_they_come() -> None:
    named = with_named_version({}, changed(NEW, 2), later(3))
    assert with_named_version(named, changed(OLD, 1), later(4)) == named
    assert with_named_version(named, changed(NEW, 2), later(9)) == named, "a second delivery waits no longer"
    assert with_named_version(named, changed(OTHER, None), later(9))["key"].version == OTHER


def test_what_an_event_named_counts_for_an_hour_and_is_replaced_then() -> None:
    named = with_named_version({}, changed(NEW, 2), later(3))
    assert with_named_version(named, changed(OLD, 1), later(3602)) == named
    assert with_named_version(named, changed(OLD, 1), later(3603))["key"].version == OLD


def test_the_last_named_versions_are_remembered() -> None:
    named: Mapping[str, NamedVersion] = {}
    for number in range(60):
        named = with_named_version(named, replace(changed(NEW, 0), name=f"key-{number}"), later(number))
    assert list(named) == [f"key-{number}" for number in range(10, 60)]


@pytest.mark.parametrize(
    ("named", "found", "seconds"),
    [
        (None, READ, 0),
        (NAMED, replace(READ, version=NEW.upper()), 0),
        (NAMED, READ, 3600),
        (NAMED, SecretUnavailable.FORBIDDEN, 0),
    ],
    ids=["no event", "the same", "long ago", "no right to read"],
)
def test_nothing_is_awaited(named: NamedVersion | None, found: Secret | SecretUnavailable, seconds: float) -> None:
    assert version_to_await(named, found, later(seconds)) is None


@pytest.mark.parametrize("found", [READ, SecretUnavailable.MISSING, SecretUnavailable.DISABLED])
def test_another_version_or_none_is_compared(found: Secret | SecretUnavailable) -> None:
    assert version_to_await(NAMED, found, NOW) == NEW


def judged(created: float, seconds: float, found: Secret | SecretUnavailable = READ, *, enabled: bool = True) -> object:
    """The judgement when the named version was created so many seconds after the one that was read."""
    made = READ.created_at + timedelta(seconds=created) if READ.created_at else None
    return judge(found, NAMED, [SecretVersion(OTHER), SecretVersion(NEW, enabled, made)], OLD, later(seconds))


def test_an_older_version_lags_and_then_the_newer_one_is_read_by_its_id() -> None:
    lagging = judged(1, 29)
    assert isinstance(lagging, LaggingSecret)
    assert lagging.read_again_at(later(29), push_waits=False) == later(30)
    assert lagging.read_again_at(later(1), push_waits=True) == later(6)
    assert OLD in lagging.detail
    assert NEW in lagging.detail
    assert judged(1, 30) == ReadInstead(NEW)


def test_a_newer_version_than_the_named_one_is_right() -> None:
    assert judged(-1, 0) is None
    assert judged(1, 0, enabled=False) is None, "the named version was disabled since"


def test_two_versions_of_one_second_are_read_again_and_then_the_vault_decides() -> None:
    assert isinstance(judged(0, 0), LaggingSecret)
    assert isinstance(judged(0, 30), LaggingSecret)


def test_an_unlisted_version_is_waited_for_longer_where_nothing_else_is_new() -> None:
    released = judge(READ, NAMED, [], OLD, later(30))
    unreleased = judge(READ, NAMED, [], OTHER, later(30))
    assert isinstance(released, LaggingSecret)
    assert isinstance(unreleased, LaggingSecret)
    assert released.read_again_at(later(299), push_waits=False) == later(300)
    assert released.read_again_at(later(30), push_waits=True) is None
    assert unreleased.read_again_at(later(30), push_waits=False) is None


def test_a_vault_that_gives_no_times_lags_for_a_while() -> None:
    assert isinstance(judge(READ, NAMED, [SecretVersion(NEW)], OLD, NOW), LaggingSecret)
    assert isinstance(judged(1, 0, replace(READ, created_at=None)), LaggingSecret)


def test_a_secret_that_cannot_be_read_yet_lags() -> None:
    lagging = judged(1, 0, SecretUnavailable.MISSING)
    assert isinstance(lagging, LaggingSecret)
    assert lagging.read_again_at(later(30), push_waits=False) is None
    assert judged(1, 0, SecretUnavailable.DISABLED, enabled=False) is None
