"""Which of all that a list of versions has can be a release's."""

from __future__ import annotations

from core.model import Version

LONGEST_NUMBER = 18


def is_number(name: str) -> bool:
    """False for a name that is no number: which of two is newer could not be said."""
    return name.isascii() and name.isdecimal() and len(name) <= LONGEST_NUMBER


def released(version: Version) -> bool:
    """False for a draft, and for what has no number: neither is ever a release's."""
    return is_number(version.number) and not version.draft
