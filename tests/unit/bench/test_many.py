"""The bound of many agents at once is what the local host's listener takes, which does as Azure's own did."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from bench.many import shortest_seconds
from local.functions_host.dispatch import Dispatch, end_process
from local.functions_host.host_json import HostSettings
from local.functions_host.indexing import Function
from local.functions_host.queue_listener import QueueListener
from tests.recorded.host_world import Account, Life, MemoryQueue, base64
from tests.simulation.virtual_time import START, run

RUN_SECONDS = 5.0


async def seconds_of_listener(count: int, batch: int, threshold: int) -> float:
    """How long the listener takes for so many waiting messages."""
    account, ended = Account(START, {"releases": []}), list[float]()
    for _ in range(count):
        account.add("releases", base64("{}"))

    async def call(_payload: str, _metadata: dict[str, Any]) -> None:
        """Never called: the dispatch below runs for it."""

    async def run_function(*_: object) -> bool:
        await asyncio.sleep(RUN_SECONDS)
        ended.append(account.time())
        return True

    settings = HostSettings(batch, threshold, max_polling_interval=0.1)
    function = Function("release_agent", "queueTrigger", "message", call, queue="releases")
    dispatch = Dispatch(run_function, None, end_process)
    listener = QueueListener(
        function, lambda name: MemoryQueue(account, Life(), name), settings, dispatch, Random(1).uniform
    )
    listening = asyncio.ensure_future(listener.run())
    while len(ended) < count:
        await asyncio.sleep(RUN_SECONDS)
    listener.stop()
    await listening
    return max(ended)


@pytest.mark.parametrize(("batch", "threshold"), [(32, 16), (32, 32), (32, 64), (16, 8), (32, 0)])
@pytest.mark.parametrize("count", [1, 33, 200])
def test_the_bound_is_what_the_listener_takes_for_runs_that_cost_nothing(
    count: int, batch: int, threshold: int
) -> None:
    took = run(seconds_of_listener(count, batch, threshold))
    bound = shortest_seconds(count, batch, threshold, RUN_SECONDS)
    assert bound < took < bound + RUN_SECONDS / 2, "the requests to storage take the rest"
