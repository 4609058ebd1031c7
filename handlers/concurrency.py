"""Calls that wait for each other: none is left running when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar, cast

One = TypeVar("One")
Two = TypeVar("Two")


async def gather_two(one: Awaitable[One], two: Awaitable[Two]) -> tuple[One, Two]:
    """Both answers, or the first error in the order of the arguments once both have ended."""
    both: tuple[Awaitable[Any], Awaitable[Any]] = (one, two)
    return cast("tuple[One, Two]", tuple(await gather_all(both)))


async def gather_all(many: Iterable[Awaitable[One]]) -> list[One]:
    """The answers in the order of the arguments, or the first error in it, once all have ended."""
    answers = await asyncio.gather(*many, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return cast("list[One]", answers)
