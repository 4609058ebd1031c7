"""``release.windows``: what it means, and every mistake with its line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.loader import AgentsFileError, load_agents, past_freezes
from core.agents_file.spec import ReleaseSpec

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
"""A Tuesday."""
HOURS = "are not hours; write 09:00-17:00, or 22:00-04:00 for a window past midnight"
DAYS = "write mon, mon-fri or [mon, wed]"
ZONE = "is not a time zone of IANA's list;"
DATE = "is not a date; write 2026-12-24, or 2026-12-24T18:00 in the time of the zone"
WINDOWS = "agents.a.release.windows"


def text(windows: str) -> str:
    return f"agents:\n  a:\n    repository: agents/a\n    release:\n      windows: {windows}\n"


def release(windows: str) -> ReleaseSpec:
    return load_agents(text(windows).encode()).agents["a"].release


@pytest.mark.parametrize(
    ("windows", "opening"),
    [
        ("{allow: {days: tue}}", None),
        ("{deny: {days: wed}}", None),
        ("{allow: {days: Mon-Wednesday, hours: 12:00-12:01}}", None),
        ("{allow: {days: [mon, tue], hours: 13:00-24:00}}", NOW + timedelta(hours=1)),
        ("{allow: {days: fri-mon}}", NOW + timedelta(days=2, hours=12)),
        ("{allow: {days: mon, hours: 22:00-13:00}}", None),
        ("{deny: {hours: 11:00-13:00}}", NOW + timedelta(hours=1)),
        ("{zone: America/New_York, allow: {hours: 08:00-17:00}}", NOW + timedelta(hours=1)),
        ("{freezes: {start: 2026-11-24, end: 2026-11-24}}", NOW + timedelta(hours=12)),
        ("{freezes: {start: 2026-11-24T12:00, end: 2026-11-24 12:01}}", NOW + timedelta(minutes=1)),
        ("{freezes: {start: 2026-11-25, end: 2026-11-26}}", None),
        ("{zone: Europe/Berlin}", None),
    ],
)
def test_windows_open_when_they_say(windows: str, opening: datetime | None) -> None:
    assert release(windows).opens_at(NOW) == opening


def test_without_windows_it_is_always_open() -> None:
    assert (ReleaseSpec().opens_at(NOW), ReleaseSpec().describe(NOW, NOW)) == (None, "")


def test_an_opening_is_described_by_the_wall_clock_in_utc_and_with_its_freeze() -> None:
    freeze = release("{zone: Asia/Tokyo, freezes: [{start: 2026-11-20, end: 2026-12-01, why: audit}]}")
    opening = freeze.opens_at(NOW)
    assert opening is not None
    shown = "Wed 2026-12-02 00:00 Asia/Tokyo (2026-12-01 15:00 UTC), after a freeze for audit"
    assert freeze.describe(opening, NOW) == shown
    assert release("{freezes: {start: 2026-11-20, end: 2026-12-01}}").describe(NOW, NOW).endswith(", after a freeze")


def test_agents_share_windows_and_may_drop_them() -> None:
    file = b"""
defaults:
  release: {windows: {zone: Europe/Berlin, freezes: {start: 2026-11-20, end: 2026-11-24}}}
agents:
  a: {repository: r}
  b: {repository: r, release: {windows: null}}
  c: {repository: r, release: {windows: {allow: {days: mon}}}}
"""
    opens = {name: spec.release.opens_at(NOW) for name, spec in load_agents(file).agents.items()}
    assert opens["a"] == datetime(2026, 11, 24, 23, tzinfo=UTC)
    assert (opens["b"], opens["c"]) == (None, datetime(2026, 11, 29, 23, tzinfo=UTC))


@pytest.mark.parametrize(
    ("windows", "issue"),
    [
        ("{}", ", line 5: is empty; write allow, deny or freezes, or remove the key"),
        ("always", ", line 5: expected a map, found text"),
        ("{allow: []}", ".allow, line 5: is empty; write at least one, or remove the key"),
        ("{allow: [{}]}", ".allow.0, line 5: is empty; write days, hours or both"),
        ("{allow: mon}", ".allow, line 5: expected a list, found text"),
        ("{allow: {day: mon}}", ".allow.day, line 5: unknown key; did you mean days?"),
        ("{allow: {days: []}}", ".allow.days, line 5: is empty; write at least one, or remove the key"),
        ("{allow: {days: 3}}", f".allow.days, line 5: expected weekdays; {DAYS}"),
        ("{allow: {days: [3]}}", f".allow.days, line 5: 3 is not a weekday; {DAYS}"),
        ("{allow: {days: weekdays}}", f".allow.days, line 5: 'weekdays' is not a weekday; {DAYS}"),
        ("{allow: {days: [mon-wed, tue]}}", ".allow.days, line 5: names tue twice; write each day once"),
        ("{allow: {hours: 9-17}}", f".allow.hours, line 5: '9-17' {HOURS}"),
        ("{allow: {hours: 09:00-24:30}}", f".allow.hours, line 5: '09:00-24:30' {HOURS}"),
        ("{allow: {hours: [9]}}", f".allow.hours, line 5: [9] {HOURS}"),
        (
            "{allow: {hours: 09:00-09:00}}",
            ".allow.hours, line 5: 09:00-09:00 is empty; for the whole day remove the key",
        ),
        (
            "{allow: [{days: mon-fri}, {days: sun, hours: 22:00-02:00}]}",
            ".allow.1, line 5: overlaps allow.0 at Mon 00:00; write one window",
        ),
        (
            "{deny: [{days: mon}, {days: tue}, {hours: 23:00-24:00}]}",
            ".deny.2, line 5: overlaps deny.0 at Mon 23:00; write one window",
        ),
        ("{zone: Europe/Berln}", f".zone, line 5: 'Europe/Berln' {ZONE} did you mean Europe/Berlin?"),
        ("{zone: europe/berlin}", f".zone, line 5: 'europe/berlin' {ZONE} did you mean Europe/Berlin?"),
        ("{zone: ../etc/passwd}", f".zone, line 5: '../etc/passwd' {ZONE} write one such as Europe/Berlin or UTC"),
        ("{zone: 1}", '.zone, line 5: expected text, found 1; write "1"'),
        ("{freezes: {start: 2026-02-30, end: 2026-12-01}}", f".freezes.start, line 5: '2026-02-30' {DATE}"),
        ("{freezes: {start: 0026-02-20, end: 2026-12-01}}", f".freezes.start, line 5: '0026-02-20' {DATE}"),
        ("{freezes: {start: 2026-12-01, end: [1]}}", f".freezes.end, line 5: [1] {DATE}"),
        ("{freezes: {start: 2026-12-01}}", ".freezes.end, line 5: is missing; add `end: …` here"),
        (
            "{freezes: {start: 2026-12-02, end: 2026-12-01}}",
            ".freezes, line 5: does not end after it begins; write a later end, or exchange start and end",
        ),
        (
            "{freezes: {start: 2026-12-02T18:00, end: 2026-12-02T18:00}}",
            ".freezes, line 5: does not end after it begins; write a later end, or exchange start and end",
        ),
        (
            "{freezes: {start: 2026-12-01, end: 2026-12-02, reason: fair}}",
            ".freezes.reason, line 5: unknown key; valid keys here: start, end, why",
        ),
        (
            "{freezes: [{start: 2026-12-01, end: 2026-12-09}, {start: 2026-12-09, end: 2026-12-10}]}",
            ".freezes.1, line 5: overlaps freezes.0; write one freeze",
        ),
        ("{allow: {days: mon}, deny: {days: sun-tue}}", ", line 5: is never open: deny covers all that allow opens"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(windows: str, issue: str) -> None:
    with pytest.raises(AgentsFileError) as wrong:
        load_agents(text(windows).encode())
    assert [str(item) for item in wrong.value.issues] == [f"{WINDOWS}{issue}"]


def test_a_mistake_in_the_defaults_is_listed_once_with_its_line() -> None:
    file = b"""
defaults:
  release:
    windows:
      allow:
        - {days: mon}
        - {days: mon-tue}
agents:
  a: {repository: r}
  b: {repository: r}
"""
    with pytest.raises(AgentsFileError) as wrong:
        load_agents(file)
    issue = "defaults.release.windows.allow.1, line 7: overlaps allow.0 at Mon 00:00; write one window"
    assert [str(item) for item in wrong.value.issues] == [issue]


def test_a_freeze_that_is_over_is_found_and_valid_all_the_same() -> None:
    file = b"""
defaults: {release: {windows: {freezes: [{start: 2025-12-18, end: 2026-01-04}, {start: 2026-12-18, end: 2027-01-04}]}}}
agents:
  a: {repository: r}
  b: {repository: r}
  c: {repository: r, release: {windows: null}}
"""
    (issue,) = past_freezes(load_agents(file), NOW)
    assert str(issue) == "defaults.release.windows.freezes.0, line 2: ended 2026-01-05 00:00 UTC; remove it"


def test_windows_are_read_from_their_own_values() -> None:
    spec = release("{allow: {days: mon-fri, hours: 09:00-17:00}, freezes: {start: 2099-12-20, end: 2099-12-31}}")
    assert ReleaseSpec.model_validate(spec.model_dump()) == spec
