"""Reads the numbers of a YAML file, and rejects notations that YAML 1.1, YAML 1.2 and people read differently.

PyYAML reads YAML 1.1: ``010`` is 8, ``1:30`` is 90, ``1_0`` is 10, and ``1e3`` is text. In YAML 1.2 they are 10, text,
text and 1000.
"""

from __future__ import annotations

import math
import re

from core.agents_file.fields import truncate

INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*|0x[0-9a-fA-F]+)")
FRACTION = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
SPECIAL = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
LOOKS_LIKE_A_NUMBER = re.compile(rf"{FRACTION.pattern}|0o[0-7]+")
"""A number in YAML 1.2, decimal, with an exponent or octal."""
OTHER_NOTATION = "is read as different numbers by different YAML readers"
MAX_INTEGER_DIGITS = 20
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
"""What a JSON reader keeps in 64 bits; larger numbers come back as others, or not at all."""


def read_number(kind: str, text: str) -> int | float:
    """The number of a scalar with the tag ``int`` or ``float``; raises ValueError with what to write instead."""
    if kind == "int" and INTEGER.fullmatch(text):
        return _integer(text)
    if kind == "float" and FRACTION.fullmatch(text):
        return _fraction(text)
    if SPECIAL.fullmatch(text):
        raise ValueError("is not a number in JSON; put it in quotes if it is text")
    if not re.search("[0-9]", text):
        raise ValueError(f"is not a valid {kind}; put it in quotes if it is text")
    raise ValueError(f'{truncate(text)} {OTHER_NOTATION}; write a decimal number, or "{truncate(text)}" for text')


def check_text(text: str) -> None:
    """Raises ValueError for unquoted text that is a number in YAML 1.2."""
    if LOOKS_LIKE_A_NUMBER.fullmatch(text):
        shown = truncate(text)
        raise ValueError(f'{shown} is text in YAML 1.1 and a number in YAML 1.2; write "{shown}", or a decimal number')


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    number = int(text, 16 if digits.startswith("0x") else 10) if len(digits) <= MAX_INTEGER_DIGITS else None
    if number is None or not MIN_INTEGER <= number <= MAX_INTEGER:
        raise ValueError(f"{truncate(text)} does not fit in 64 bits; put it in quotes if it is text")
    return number


def _fraction(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{truncate(text)} is too large for JSON; put it in quotes if it is text")
    return number
