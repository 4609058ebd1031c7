"""What a version's name must be so that one of two can be said to be newer."""

from __future__ import annotations

MAX_VERSION_DIGITS = 18
"""Digits; Foundry counts from 1."""


def is_number(name: str) -> bool:
    """Whether a name is a number, as that of every released version is; digits of other scripts are none."""
    return name.isascii() and name.isdecimal() and len(name) <= MAX_VERSION_DIGITS
