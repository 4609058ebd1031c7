"""Calls that wait for each other: none is left running when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

One = TypeVar("One")
Two = TypeVar("Two")


async def together(one: Awaitable[One], two: Awaitable[Two]) -> tuple[One, Two]:
    """Both answers, or the first error in the order of the arguments once both have ended."""
    answers = await asyncio.gather(one, two, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return cast("tuple[One, Two]", tuple(answers))
