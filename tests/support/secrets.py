"""Secrets of a test, which later tests of the same process must not find registered."""

from __future__ import annotations

from handlers.redaction import MAX_SECRETS, register_secret


def forget_secrets() -> None:
    """Push every registered secret out with newer ones that stand in no text."""
    for number in range(MAX_SECRETS):
        register_secret(f"\x00filler {number:04} \x00")
