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
