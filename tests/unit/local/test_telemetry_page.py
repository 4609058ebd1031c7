"""The files of the telemetry page: they are small, load nothing from other servers, and never turn text into markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.telemetry.page_files import CONTENT_TYPES, FILES

PAGE = sorted(FILES.iterdir())
CREATES_MARKUP = re.compile(
    r"\b(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|"
    r"setAttribute\(\"style\""
)
EXTERNAL_URL = re.compile(r"(?<![:\w])(?:https?:)?//[a-z0-9-]+\.[a-z]", re.IGNORECASE)
NAMESPACE = "http://www.w3.org/2000/svg"
MAX_LINES = 200
COLOUR = re.compile(r"s\d")
"""The class of a series in a plot, which metrics.js counts."""


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", PAGE, ids=name)
def test_a_file_is_small_and_self_contained(path: Path) -> None:
    text = path.read_text()
    assert path.suffix in CONTENT_TYPES
    assert len(text.splitlines()) <= MAX_LINES
    assert not CREATES_MARKUP.search(text)
    assert not EXTERNAL_URL.search(text.replace(NAMESPACE, ""))


@pytest.mark.parametrize("path", PAGE, ids=name)
def test_every_file_that_a_file_names_exists(path: Path) -> None:
    text = path.read_text()
    named = re.findall(r"\"/page/([\w.-]+)\"", text) + re.findall(r"from \"\./([\w.-]+)\"", text)
    assert {name for name in named if not (FILES / name).is_file()} == set()


def test_every_file_is_used() -> None:
    texts = "".join(path.read_text() for path in PAGE)
    unused = {path.name for path in PAGE if not re.search(rf"[./]{re.escape(path.name)}\"", texts)}
    assert unused == {"index.html"}


def test_every_class_and_id_of_a_stylesheet_is_one_that_the_page_gives() -> None:
    given = "".join(path.read_text() for path in PAGE if path.suffix in (".js", ".html"))
    for sheet in FILES.glob("*.css"):
        selectors = re.sub(r"/\*.*?\*/|\{[^{}]*\}", "", sheet.read_text(), flags=re.DOTALL)
        styled = set(re.findall(r"[.#]([a-z][\w-]*)", selectors))
        unused = {name for name in styled if not re.search(rf"(?<![\w-]){name}(?![\w-])", given)}
        assert {name for name in unused if not COLOUR.fullmatch(name)} == set(), sheet.name
