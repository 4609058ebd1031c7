"""Finds the name that somebody meant who misspelled it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def most_similar(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known name that resembles this one most; an empty text where none does."""
    return next(iter(get_close_matches(name, list(dict.fromkeys(known)), n=1, cutoff=cutoff)), "")


def did_you_mean(found: str | None, otherwise: str) -> str:
    """The hint in a message about an unknown name: what was meant, if that was found."""
    return f"did you mean {found}?" if found else otherwise
