"""The page of the wire contracts: each contract says how it is known, and names a source that the page has."""

from __future__ import annotations

import re

import pytest

from tests.recorded.test_stand_ins import PAGE

TEXT = PAGE.read_text()
WAYS = re.compile(r"\b(recorded|documented|assumed|observed)\b", re.IGNORECASE)
SOURCE = re.compile(r"\b(?:recorded|documented|assumed):\s+([A-Z](?:,\s+[A-Z])*)(?![a-zA-Z])")
ABOUT_THE_PAGE = ("Assumed", "Where a stand-in differs", "Sources")
BY_OTHER_TESTS = ("The container",)
"""Microsoft's own server runs in a test of each of its contracts."""


def paragraphs(section: str) -> list[str]:
    """The paragraphs of a section that state a contract: examples, and tables under one, do not."""
    text = re.sub(r"^```.*?^```$", "", section, flags=re.MULTILINE | re.DOTALL)
    blocks = [block.strip() for block in text.split("\n\n")[1:]]
    return [block for block in blocks if block and not block.startswith(("#", "|"))]


def sections() -> dict[str, str]:
    parts = re.split(r"^##+ (.*)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


HEADINGS = [heading for heading in sections() if heading not in ABOUT_THE_PAGE + BY_OTHER_TESTS]


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_contract_says_how_it_is_known(heading: str) -> None:
    unmarked = [block for block in paragraphs(sections()[heading]) if not WAYS.search(block)]
    assert [block for block in unmarked if not block.startswith("A stand-in produces")] == []


def test_each_call_says_how_it_is_known() -> None:
    tables = re.findall(r"^\| call \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) == 25
    assert [row for row in rows if not re.search(r"\| (recorded|documented): [A-Z].*\|$", row)] == []


def test_each_source_is_on_the_page_and_used() -> None:
    listed = set(re.findall(r"^\| ([A-Z]) \|", sections()["Sources"], re.MULTILINE))
    named = {letter for found in SOURCE.findall(TEXT) for letter in re.findall("[A-Z]", found)}
    assert named == listed
