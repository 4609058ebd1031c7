"""Secrets of a test, which later tests of the same process must not find registered."""

from __future__ import annotations

from handlers.redaction import MAX_SECRETS, is_registered, register_secret

FILLERS = [f"\x00filler {number:04} \x00" for number in range(MAX_SECRETS)]
"""They stand in no text."""


def forget_secrets() -> None:
    """Push every registered secret out with newer ones, first with those that are still known, which cost nothing."""
    for filler in sorted(FILLERS, key=is_registered, reverse=True):
        register_secret(filler, filler)
