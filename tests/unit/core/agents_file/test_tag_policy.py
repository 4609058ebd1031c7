"""Which tags an agent follows, and which push is newer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents_file.spec import TagSpec
from core.agents_file.tag_policy import check_newer, check_tag
from core.model import Push
from core.reasons import Reason

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def push(tag: str, seconds: float = 0, letter: str = "a") -> Push:
    return Push("agents/hello", f"sha256:{letter * 64}", tag, NOW + timedelta(seconds=seconds), "event")


def tag_spec(**keys: Any) -> TagSpec:
    return TagSpec.model_validate(keys)


@pytest.mark.parametrize(
    ("keys", "tag", "reason"),
    [
        pytest.param({}, "anything", None, id="without settings every tag is followed"),
        pytest.param({"allow": ["^v", "^release-"]}, "release-1", None, id="one expression of allow is enough"),
        pytest.param({"allow": ["^v"]}, "main", Reason.TAG_NOT_ALLOWED, id="no expression of allow"),
        pytest.param({"ignore": ["-dev$"]}, "1.0.0-dev", Reason.TAG_IGNORED, id="ignored"),
        pytest.param({"allow": ["dev"], "ignore": ["dev"]}, "dev", Reason.TAG_IGNORED, id="ignore wins"),
        pytest.param({"order": "semver"}, "v1.2.3", None, id="semver with a v"),
        pytest.param({"order": "semver"}, "latest", Reason.TAG_UNREADABLE, id="not a version"),
        pytest.param({"order": "semver"}, "1.2", Reason.TAG_UNREADABLE, id="two parts are not a version"),
        pytest.param({"order": "semver", "range": "^1.0.0"}, "1.9.9", None, id="in range"),
        pytest.param({"order": "semver", "range": "^1.0.0"}, "2.0.0", Reason.TAG_NOT_ALLOWED, id="outside range"),
        pytest.param({"range": "^1.0.0"}, "1.1.0-rc.1", Reason.TAG_NOT_ALLOWED, id="a pre-release, as in npm"),
        pytest.param({"order": "number"}, "007", None, id="a number"),
        pytest.param({"order": "semver"}, "1.1.0-rc.1", Reason.TAG_NOT_ALLOWED, id="a pre-release without a range"),
        pytest.param({"order": "semver", "prereleases": True}, "1.1.0-rc.1", None, id="pre-releases are allowed"),
        pytest.param({"prereleases": False}, "1.1.0-rc.1", None, id="without semver it is any tag"),
        pytest.param({"range": "^1.0.0", "prereleases": True}, "1.1.0-rc.1", None, id="a pre-release in range"),
        pytest.param(
            {"range": "^1", "prereleases": True}, "2.0.0-rc.1", Reason.TAG_NOT_ALLOWED, id="of the next major"
        ),
        pytest.param({"range": ">=1.0.0", "prereleases": True}, "1.0.0-rc.1", Reason.TAG_NOT_ALLOWED, id="before it"),
        pytest.param({"range": ">=1.1.0-rc.0"}, "1.1.0-rc.1", None, id="a range that names a pre-release"),
        pytest.param(
            {"range": ">=1.1.0-rc.0"}, "1.2.0-rc.1", Reason.TAG_NOT_ALLOWED, id="of another version, as in npm"
        ),
        pytest.param({"range": ">=0.0.0-0"}, "1.2.0-rc.1", None, id="all pre-releases, as in Flux"),
        pytest.param({"range": "=1.2.0 || *", "prereleases": True}, "1.2.0-rc.1", None, id="any version"),
        pytest.param({"range": ">1.0.0 <=2.0.0", "prereleases": True}, "2.0.0-rc.1", None, id="below an included end"),
        pytest.param({"range": "1.0.0"}, "latest", Reason.TAG_NOT_ALLOWED, id="a range needs versions"),
        pytest.param({"order": "semver"}, "2025.07.03", None, id="a date with leading zeros"),
        pytest.param({"range": ">=2025.07.01 <2025.10.00"}, "2025.09.30", None, id="a range of dates"),
        pytest.param({"range": ">=2025.07.01"}, "2025.06.30", Reason.TAG_NOT_ALLOWED, id="a date before the range"),
        pytest.param({"range": "2025.07.x"}, "2025.07.03", None, id="the dates of a month"),
        pytest.param({"range": ">=01.0.0-0"}, "1.2.0-rc.1", None, id="a range with a leading zero and pre-releases"),
        pytest.param({"order": "semver"}, "2025.07.03.1", Reason.TAG_UNREADABLE, id="four numbers"),
        pytest.param({"order": "semver"}, "2025.07.03-1", Reason.TAG_NOT_ALLOWED, id="a build of a day: a pre-release"),
        pytest.param({"order": "semver"}, "1.2.0_5", None, id="build metadata, which a tag writes with _"),
        pytest.param(
            {"order": "semver", "extract": "^app-(.*)$"}, "app-1.0.0-rc.1", Reason.TAG_NOT_ALLOWED, id="a part"
        ),
        pytest.param({"order": "number"}, "2025.07.03.1", None, id="numbers with dots"),
        pytest.param({"order": "number"}, "20250703-1", None, id="numbers with a hyphen"),
        pytest.param({"order": "number"}, "v2025_07", None, id="numbers with an underscore"),
        pytest.param({"order": "number"}, "2025..07", Reason.TAG_UNREADABLE, id="a number is missing"),
        pytest.param({"order": "number"}, "7a", Reason.TAG_UNREADABLE, id="not a number"),
        pytest.param({"order": "number"}, "\u0667", Reason.TAG_UNREADABLE, id="a digit of another script"),
        pytest.param({"order": "number", "extract": r"build-(\d+)"}, "build-7-linux", None, id="extracted"),
        pytest.param(
            {"order": "number", "extract": r"build-(\d+)"}, "7", Reason.TAG_UNREADABLE, id="nothing extracted"
        ),
    ],
)
def test_a_tag_is_followed_or_rejected_with_a_reason(keys: dict[str, Any], tag: str, reason: Reason | None) -> None:
    rejection = check_tag(tag_spec(**keys), tag)
    assert (rejection.reason if rejection else None) is reason


@pytest.mark.parametrize(
    ("keys", "old", "new", "reason"),
    [
        pytest.param({}, push("a"), push("b", 1), None, id="later"),
        pytest.param({}, push("a"), push("b", -1), Reason.NOT_NEWER, id="a late event"),
        pytest.param({}, push("a"), push("a", 9), Reason.SAME_PUSH, id="the same image and tag again"),
        pytest.param({}, push("a"), push("a", 1, "b"), None, id="a tag that moved"),
        pytest.param({"order": "semver"}, push("1.9.0"), push("1.10.0", -1), None, id="a higher version"),
        pytest.param({"order": "semver"}, push("1.10.0"), push("1.9.0", 1), Reason.NOT_NEWER, id="no downgrade"),
        pytest.param({"order": "semver"}, push("1.0.0"), push("v1.0.0", 1), None, id="equal versions: the later push"),
        pytest.param({"order": "semver"}, push("main"), push("1.0.0", -1), None, id="not followed any more"),
        pytest.param({"order": "semver"}, push("2025.09.30"), push("2025.10.01", -1), None, id="a later date"),
        pytest.param({"order": "semver"}, push("1.0.0_9"), push("1.0.0_1", 1), None, id="builds: the later push"),
        pytest.param(
            {"order": "semver"}, push("2.0.0-rc.1"), push("1.0.0", 1), None, id="a pre-release is not followed"
        ),
        pytest.param(
            {"order": "number"}, push("2025.09.30"), push("2025.10.01", -1), None, id="a later date by number"
        ),
        pytest.param({"order": "number"}, push("20250703-9"), push("20250703-10", -1), None, id="a later build"),
        pytest.param({"order": "number"}, push("2025.07.03"), push("2025.7.3.1", -1), None, id="a build of the day"),
        pytest.param({"order": "number"}, push("9"), push("10", -1), None, id="as numbers, not as text"),
        pytest.param({"order": "number"}, push("10"), push("9", 1), Reason.NOT_NEWER, id="a lower number"),
        pytest.param(
            {"order": "alphabetical"}, push("9"), push("10", 1), Reason.NOT_NEWER, id="as text, not as numbers"
        ),
        pytest.param({"order": "alphabetical"}, push("a"), push("b", -1), None, id="after it in the alphabet"),
    ],
)
def test_a_push_replaces_the_desired_push_or_is_rejected_with_a_reason(
    keys: dict[str, Any], old: Push, new: Push, reason: Reason | None
) -> None:
    rejection = check_newer(tag_spec(**keys), new, old)
    assert (rejection.reason if rejection else None) is reason


def test_a_rejection_says_what_to_write() -> None:
    rejections = [
        check_tag(tag_spec(order="semver"), "2025.07.03.1"),
        check_tag(tag_spec(order="semver"), "2025.07.03-1"),
        check_tag(tag_spec(range="^1.0.0"), "1.1.0-rc.1"),
        check_tag(tag_spec(range="^1.0.0"), "2.0.0"),
        check_tag(tag_spec(extract="^b-(.*)$"), "a-1"),
    ]
    details = [rejection.detail if rejection else "" for rejection in rejections]
    assert "tags.order: number" in details[0]
    assert "tags.prereleases: true" in details[1]
    assert "tags.order: number" in details[1]
    assert "is a pre-release" in details[2]
    assert details[3] == "2.0.0 is outside ^1.0.0"
    assert details[4] == "a-1 does not match tags.extract"


def test_the_first_push_is_newer_than_nothing() -> None:
    assert check_newer(tag_spec(), push("a"), None) is None


def test_a_push_of_another_repository_replaces_the_desired_push() -> None:
    assert check_newer(tag_spec(), push("a", -9), replace(push("b"), repository="agents/old")) is None


PUSHES = st.builds(push, st.sampled_from(["1", "2", "10"]), st.integers(-2, 2), st.sampled_from("ab"))


@given(st.sampled_from(["pushed", "number", "alphabetical"]), PUSHES, PUSHES)
def test_of_two_pushes_exactly_one_is_newer(order: str, first: Push, second: Push) -> None:
    if (first.tag, first.digest) != (second.tag, second.digest):
        assert (check_newer(tag_spec(order=order), first, second) is None) != (
            check_newer(tag_spec(order=order), second, first) is None
        )


@given(st.sampled_from(["pushed", "number", "alphabetical"]), st.lists(PUSHES, max_size=6), st.randoms())
def test_the_order_of_events_does_not_matter(order: str, pushes: list[Push], random: Any) -> None:
    def last(events: list[Push]) -> tuple[str, str] | None:
        desired: Push | None = None
        for event in events:
            desired = event if check_newer(tag_spec(order=order), event, desired) is None else desired
        return (desired.tag, desired.digest) if desired else None

    distinct = list({(push.tag, push.digest): push for push in pushes}.values())
    shuffled = random.sample(distinct, len(distinct))
    assert last(distinct) == last(shuffled)
