"""How the Functions host runs functions, and when it ends its process."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import pytest

from local.functions_host.dispatch import Dispatch, watched
from local.functions_host.indexing import Function
from tests.simulation.virtual_time import in_virtual_time


async def call(_payload: str, _metadata: dict[str, Any]) -> None:
    raise AssertionError("the dispatch has its own way to run")


FUNCTION = Function("work", "queueTrigger", "message", call, queue="work")


class Process:
    """Records why it ended."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def end(self, reason: str) -> NoReturn:
        self.reasons.append(reason)
        raise asyncio.CancelledError


async def sleep(_: Function, payload: str, __: dict[str, Any] | None) -> bool:
    await asyncio.sleep(float(payload))
    return True


@in_virtual_time
async def test_a_run_may_take_as_long_as_function_timeout_says() -> None:
    process = Process()
    dispatch = Dispatch(sleep, 4.0, process.end)
    assert await dispatch.run(FUNCTION, "3.9")
    with pytest.raises(asyncio.CancelledError):
        await dispatch.run(FUNCTION, "4.1")
    assert process.reasons == ["work ran longer than functionTimeout (4 s)"]
    assert await Dispatch(sleep, None, process.end).run(FUNCTION, "100000")


@in_virtual_time
async def test_an_unexpected_exception_in_the_host_ends_its_process_and_says_where_it_was_raised() -> None:
    async def listen() -> None:
        raise LookupError("surprise")

    ended = asyncio.get_running_loop().create_future()

    def end(reason: str) -> NoReturn:
        ended.set_result(reason)
        raise asyncio.CancelledError

    task = watched(listen(), end)
    reason = await ended
    assert "LookupError: surprise" in reason
    assert "in listen" in reason
    assert task.done()
