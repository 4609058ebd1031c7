"""Every reason code has a page that a person can act on, and the index says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.reasons import _OF_SERVICE, Reason

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference" / "reasons"
INDEX = PAGES / "README.md"
SECTIONS = ["What Slipway did", "What you can do", "Find it in Application Insights", "Source"]
SERVICE = "## Codes of Foundry and of the seed document"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
ROW = re.compile(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \| (.+) \|$", re.MULTILINE)
LONGEST_LINE = 120
FEWEST_LINES, MOST_LINES = 12, 25


def page(reason: Reason) -> str:
    return (PAGES / f"{reason}.md").read_text()


def prose(text: str) -> str:
    return FENCE.sub("", text)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {INDEX.stem} == {reason.value for reason in Reason}


@pytest.mark.parametrize("reason", Reason)
def test_a_page_has_its_headings_in_order(reason: Reason) -> None:
    desired = [("#", reason.value), *(("##", section) for section in SECTIONS)]
    assert HEADING.findall(prose(page(reason))) == desired


@pytest.mark.parametrize("reason", Reason)
def test_no_part_of_a_page_is_empty(reason: Reason) -> None:
    parts = re.split(r"^#+ .+$", page(reason), flags=re.MULTILINE)[1:]
    assert all(part.strip() for part in parts)


@pytest.mark.parametrize("reason", Reason)
def test_a_page_has_one_query_that_names_its_own_code(reason: Reason) -> None:
    ((language, query),) = FENCE.findall(page(reason))
    assert language == "kusto"
    assert reason.value in re.findall(r"\w+", query)


@pytest.mark.parametrize("reason", Reason)
def test_a_page_is_short(reason: Reason) -> None:
    lines = page(reason).splitlines()
    assert FEWEST_LINES <= len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= LONGEST_LINE


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_relative_links_resolve(path: Path) -> None:
    links = [link for link in LINK.findall(prose(path.read_text())) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_index_says_what_the_enum_says_in_its_order() -> None:
    listed, _, _ = INDEX.read_text().partition(SERVICE)
    desired = [(reason.value, reason.value, reason.severity, reason.meaning) for reason in Reason]
    assert ROW.findall(listed) == desired


def test_the_index_maps_every_code_of_the_service_to_its_reason() -> None:
    _, _, mapped = INDEX.read_text().partition(SERVICE)
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| \[(\w+)\]\(.*\|$", mapped, re.MULTILINE))
    assert {code: rows.get(code) for code in _OF_SERVICE} == {code: to.value for code, to in _OF_SERVICE.items()}
