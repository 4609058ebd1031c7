"""The rate limiter of one process: spaces reads of Foundry after a 429, and decides when a release may go on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from core.foundry_rate import (
    HEARTBEAT_SECONDS,
    LoadSnapshot,
    may_go_on,
    may_start,
    releases_at_once,
)
from handlers.gateways.clock import Clock
from handlers.gateways.foundry.app_share import AppShare, Instances

MAX_REMEMBERED_ACTIVATIONS = 20
MIN_ACTIVATIONS = 5
"""So many activations must be known before they say anything about the next."""
MAX_PAUSE_SECONDS = 30.0
"""No read waits longer because of a ``Retry-After``: the lease of a release that reads lasts 40 s at least."""
MAX_SWEEP_QUEUE_SECONDS = 1.0
"""While a read waits longer than that, a sweep over many agents begins no other agent: releases read first."""
MAX_BURST = 4
"""So many reads go at once, after a 429, where none went for a while."""
SLOT_RETRY_SECONDS, MAX_SLOT_WAIT_SECONDS = 2.0, 300.0
"""How often a release asks for a slot, and how long before it goes back to the queue."""

Sleep = Callable[[float], Awaitable[None]]


class FoundryRateLimiter:
    """Shared by all releases of the process; a rate of ``inf`` reads a second means no limit.

    The rate is that of the app: ``instances`` are asked what the others have in hand, and know this one by ``name``.
    """

    def __init__(self, reads_per_second: float = 5.0, instances: Instances | None = None, name: str = "") -> None:
        self._most = reads_per_second
        self._pauses: list[float] = []
        self._share = AppShare(instances, name)
        self._next_read = 0.0
        self._sweep = asyncio.Lock()
        self._activations: deque[float] = deque(maxlen=MAX_REMEMBERED_ACTIVATIONS)

    @contextmanager
    def polling(self, pause: float) -> Iterator[None]:
        """A release waits for its next poll; alone it would make a pause of so many seconds."""
        self._pauses.append(pause)
        try:
            yield
        finally:
            self._pauses.remove(pause)

    def load(self, now: float) -> LoadSnapshot:
        """The load with the release that asks counted in; ``now`` is in seconds of the monotonic clock."""
        fastest = min(self._activations) if len(self._activations) >= MIN_ACTIVATIONS else 0.0
        app_rate = self._share.app_rate(now, self._most)
        throttled = self._share.is_throttled(now) and self._most < float("inf")
        at_once = releases_at_once(app_rate) if throttled else float("inf")
        rate = app_rate * self._share.portion(now, at_once)
        return LoadSnapshot(tuple(self._pauses), rate, fastest, throttled, at_once)

    def is_calm(self, now: float) -> bool:
        """True where Foundry refused nothing lately."""
        return not self.load(now).throttled

    async def wait_for_read(self, clock: Clock) -> None:
        """Call before a read of Foundry: it goes at once while Foundry is calm, else one read after another."""
        now = clock.monotonic()
        load = self.load(now)
        if load.throttled:
            # A small share is used in bursts: a decision needs several reads, which may not be 20 s apart.
            self._next_read = max(self._next_read, now - MAX_BURST / load.reads_per_second)
            wait = self._next_read - now
            self._next_read += 1 / load.reads_per_second
            await clock.sleep(max(0.0, wait))

    async def wait_for_room(self, clock: Clock) -> None:
        """Call before the reads of one agent of many, such as in pruning: waits until few reads wait."""
        async with self._sweep:  # one agent after another, or all would begin in the same moment
            while (queue := self._next_read - clock.monotonic()) > MAX_SWEEP_QUEUE_SECONDS:
                await clock.sleep(queue - MAX_SWEEP_QUEUE_SECONDS)

    async def takes_release(self, clock: Clock) -> bool:
        """Call before a release is taken from the queue: False, some seconds later, where other instances take it.

        The wait is at most a period of heartbeats, and differs by chance, so that the messages come back one by one.
        """
        if not self._may_take(clock.monotonic()):
            async with self._share.exchanging(clock):
                await _becomes_true(self._knows_others, clock, clock.sleep)
                if self.is_for_others(clock.monotonic()):
                    await clock.sleep(HEARTBEAT_SECONDS * clock.jitter())
        return not self.is_for_others(clock.monotonic())

    @asynccontextmanager
    async def slot(self, clock: Clock, sleep: Sleep) -> AsyncIterator[bool]:
        """A place among the running releases.

        False where none was free for five minutes, and where other instances take the releases. ``sleep`` waits in
        place of the clock's, such as one that keeps a lease meanwhile.
        """
        async with self._share.in_hand(clock) as began:
            await _becomes_true(self._knows_others, clock, sleep)
            await _becomes_true(lambda now: self.is_for_others(now) or self._may_start(began, now), clock, sleep)
            now = clock.monotonic()
            yield self._may_start(began, now) and not self.is_for_others(now)

    async def wait_to_go_on(self, began: float, clock: Clock, sleep: Sleep) -> None:
        """Call before a poll: after a 429 the releases that began first go on, the others five minutes later at most.

        ``began``: when the release began, in seconds of the monotonic clock.
        """
        await _becomes_true(lambda now: self._may_go_on(began, now), clock, sleep)

    def _may_go_on(self, began: float, now: float) -> bool:
        return may_go_on(self._share.ahead(began, now), self._next_read - now, self.load(now))

    def _may_start(self, began: float, now: float) -> bool:
        return may_start(self._share.ahead(began, now), self._next_read - now, self.load(now))

    def _knows_others(self, now: float) -> bool:
        return not self._share.is_throttled(now) or self._share.knows_others(now)

    def _may_take(self, now: float) -> bool:
        return self._knows_others(now) and not self.is_for_others(now)

    def is_for_others(self, now: float) -> bool:
        """Whether other instances take the releases that have not begun."""
        load = self.load(now)
        return load.throttled and not self._share.takes_releases(now, load.releases_at_once)

    def record_activation(self, seconds: float) -> None:
        """A version took at least so long to become active."""
        self._activations.append(seconds)

    def record_refusal(self, now: float, retry_after: float | None = None) -> None:
        """Foundry answered 429, and asked for a pause of so many seconds, if any."""
        pause = min(retry_after or 0.0, MAX_PAUSE_SECONDS) if self._most < float("inf") else 0.0
        self._next_read = max(self._next_read, now + pause)
        self._share.record_refusal(now, self._most)


async def _becomes_true(is_true: Callable[[float], bool], clock: Clock, sleep: Sleep) -> bool:
    """Wait until it is true at the moment, for five minutes at most."""
    ends = clock.monotonic() + MAX_SLOT_WAIT_SECONDS
    while not (now_true := is_true(clock.monotonic())) and clock.monotonic() < ends:
        await sleep(SLOT_RETRY_SECONDS)
    return now_true
