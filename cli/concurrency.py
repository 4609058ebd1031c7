"""Reads many agents, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from core.target import project_of
from handlers.concurrency import gather_limited
from handlers.gateways.errors import GatewayError, TransientError
from handlers.retry import USUAL_TIME, with_retries

if TYPE_CHECKING:
    from cli.runner import CommandContext

T = TypeVar("T")
MAX_CONCURRENT_READS = 8
MAX_NAMED_ERRORS = 5
TIMEOUT = "Timeout"
MAX_WAIT = timedelta(seconds=10)
"""Of a person for a service that is busy, where the command has something to say without it."""
MIN_WAIT_SECONDS = 1.0
"""For an agent that is read after the others waited in vain: its project may answer."""


@dataclass(frozen=True, slots=True)
class AgentReads(Generic[T]):
    """What was read of many agents, and why some could not be read."""

    found: Mapping[str, T]
    unread: Mapping[str, GatewayError]

    @property
    def notes(self) -> list[str]:
        """Lines that name the agents that could not be read: the first five with their errors, and the others."""
        names = sorted(self.unread)
        lines = [f"{name}: not read: {self.unread[name]}" for name in names[:MAX_NAMED_ERRORS]]
        others = names[MAX_NAMED_ERRORS:]
        return [*lines, f"not read either: {', '.join(others)}"] if others else lines


def reading(names: Sequence[str]) -> str:
    """Return the progress line for reading these agents."""
    return f"reading {names[0]}" if len(names) == 1 else f"reading {len(names)} agents"


async def read_agents(
    context: CommandContext,
    names: Sequence[str],
    read: Callable[[str], Awaitable[T]],
    patience: timedelta = USUAL_TIME,
) -> AgentReads[T]:
    """Read each agent; raise the first error only if no agent could be read."""
    reads = await try_to_read_agents(context, names, read, patience)
    if reads.unread and not reads.found:
        raise next(iter(reads.unread.values()))
    return reads


async def try_to_read_agents(
    context: CommandContext,
    names: Sequence[str],
    read: Callable[[str], Awaitable[T]],
    patience: timedelta = USUAL_TIME,
) -> AgentReads[T]:
    """Read each agent, again where a service is busy; other faults are not waited out: a person can ask again.

    ``patience``: for how long all of them wait while no agent is read. Once a project refuses calls for longer, or does
    not answer, its other agents are not asked.
    """
    found, unread, busy = dict[str, T](), dict[str, GatewayError](), dict[str, TransientError]()
    clock = context.gateways.clock
    last_read = clock.monotonic()

    async def ask(name: str, left: float) -> None:
        nonlocal last_read
        await context.gateways.limiter_of(name).wait_for_room(clock)
        ends = clock.now() + timedelta(seconds=left)
        found[name] = await with_retries(clock, lambda: read(name), ends, max_tries=1)
        last_read = clock.monotonic()

    async def read_one(name: str) -> None:
        project, limiter = project_of(name), context.gateways.limiter_of(name)
        left = max(MIN_WAIT_SECONDS, last_read + patience.total_seconds() - clock.monotonic())
        error = busy.get(project) or await _error_of(
            ask(name, left), left, lambda: not limiter.is_calm(clock.monotonic())
        )
        if error is not None:
            unread[name] = error
        if isinstance(error, TransientError) and (error.throttled or error.code == TIMEOUT):
            busy[project] = error
        if len(names) > 1:
            context.progress.activity = f"{reading(names)}: {len(found) + len(unread)} done"

    if names:
        context.progress.activity = reading(names)
    await read_each(names, read_one)
    return AgentReads({name: found[name] for name in names if name in found}, unread)


async def _error_of(work: Awaitable[None], seconds: float, is_throttled: Callable[[], bool]) -> GatewayError | None:
    """Return the error of work that has so much time; None if it was done."""
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        message = f"no answer within {seconds:.0f} s"
        return TransientError("Foundry", "429" if is_throttled() else TIMEOUT, message, throttled=is_throttled())
    except GatewayError as error:
        return error
    return None


async def read_each(names: Iterable[str], read: Callable[[str], Awaitable[T]]) -> list[T]:
    """Return the results in the order of the names, or raise the first error once every read has ended."""
    return await gather_limited(MAX_CONCURRENT_READS, map(read, names))
