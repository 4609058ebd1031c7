"""Finds characters that web pages and word processors write where a keyboard has another, such as curly quotes."""

from __future__ import annotations

import unicodedata

PLAIN = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
    "\u2212": "-",
    "\u2026": "...",
}
BY_CATEGORY = {"Zs": "a plain space", "Pd": "-", "Cf": "nothing"}
"""Spaces, dashes, and characters without width."""


def copied_character(text: str) -> str | None:
    """What the first such character is and what to write instead, or None if there is none."""
    return next((f"{_named(char)}; write {plain}" for char in text if (plain := _plain(char))), None)


def foreign_character(text: str) -> str | None:
    """The first character beyond ASCII, or None."""
    return next((_named(char) for char in text if not char.isascii()), None)


def _plain(char: str) -> str | None:
    return None if char.isascii() else PLAIN.get(char) or BY_CATEGORY.get(unicodedata.category(char))


def _named(char: str) -> str:
    """The character, if it can be seen, with its number and name."""
    name = unicodedata.name(char, "a character without a name").lower()
    return f"{char} (U+{ord(char):04X}, {name})" if char.isprintable() else f"U+{ord(char):04X} ({name})"
