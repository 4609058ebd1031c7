"""Characters that a copy from a web page or a word processor brings along."""

from __future__ import annotations

import pytest

from core.agents_file.copied_text import copied_character, foreign_character


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\u201c^v\u201d", '\u201c (U+201C, left double quotation mark); write "'),
        ("it\u2019s", "\u2019 (U+2019, right single quotation mark); write '"),
        ("1.0 \u2013 2.0", "\u2013 (U+2013, en dash); write -"),
        ("^v\u00a0", "U+00A0 (no-break space); write a plain space"),
        ("^v\u200b", "U+200B (zero width space); write nothing"),
        ("^v\u2026", "\u2026 (U+2026, horizontal ellipsis); write ..."),
        ("^v\\d+$", None),
        ("^gr\u00fcn \u4f60\u597d$", None),
    ],
)
def test_the_first_copied_character_is_named_with_the_one_to_write(text: str, found: str | None) -> None:
    assert copied_character(text) == found


def test_a_character_beyond_ascii_is_named() -> None:
    assert foreign_character("^gr\u00fcn") == "\u00fc (U+00FC, latin small letter u with diaeresis)"
    assert foreign_character("\ue000") == "U+E000 (a character without a name)"
    assert foreign_character("^v") is None
