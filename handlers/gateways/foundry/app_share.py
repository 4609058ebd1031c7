"""The share of Foundry's rate that this instance of the app takes, known from the heartbeats of the others."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from core.foundry_rate import (
    HEARTBEAT_SECONDS,
    MAX_INSTANCES,
    MAX_SILENT_SECONDS,
    MIN_READS_PER_SECOND,
    MIN_UNSHARED_READS_PER_SECOND,
    Heartbeat,
    count_ahead,
    is_throttled,
    rate_after_refusal,
    rate_share,
    recovered_rate,
    takes_releases,
)
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError

MIN_AGE_DIFFERENCE = 1e-6
"""Of two releases here, so that one of them is always ahead."""
ONE_REFUSAL_SECONDS = 2.0
"""Several 429 within this time count as one."""
NOT_REFUSED = (float("-inf"), math.inf)
"""When Foundry refused a request last, and what that left of the app's rate."""


class Instances(Protocol):
    """The heartbeats of all instances of the app."""

    async def exchange(self, own: Heartbeat) -> Sequence[Heartbeat]:
        """Store the own heartbeat, and return those of the others that are alive, brought up to this moment.

        The store's clock says how old a heartbeat is. Raises TransientError or PermanentError.
        """


class AppShare:
    """The releases in hand, here and in the other instances; times in seconds of the monotonic clock.

    Without ``instances`` this is the only one; without a ``name`` it has a random one.
    """

    def __init__(self, instances: Instances | None = None, name: str = "") -> None:
        self._instances = instances
        self._name = name or uuid.uuid4().hex
        self._own: list[tuple[float, str]] = []
        self._others: list[tuple[float, str]] = []
        self._alive = frozenset[str]()
        self._users = 0
        self._last_began = float("-inf")
        self._own_refusal = NOT_REFUSED
        self._others_refusals: tuple[tuple[float, float], ...] = ()
        """The one that leaves the lowest rate, and the last one."""
        self._exchanged_at = float("-inf")
        self._exchange_failed = False
        self._refused: asyncio.Event | None = None
        self._exchanges: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def in_hand(self, clock: Clock) -> AsyncIterator[float]:
        """A release is in hand; yields the time at which it began."""
        began = max(clock.monotonic(), self._last_began + MIN_AGE_DIFFERENCE)
        self._last_began = began
        self._own.append((began, self._name))
        try:
            async with self.exchanging(clock):
                yield began
        finally:
            self._own.remove((began, self._name))

    @asynccontextmanager
    async def exchanging(self, clock: Clock) -> AsyncIterator[None]:
        """Heartbeats are exchanged while a caller is inside."""
        self._users += 1
        if self._exchanges is None and self._instances is not None:
            self._refused = asyncio.Event()
            self._exchanges = asyncio.ensure_future(self._exchange_until_stopped(self._instances, clock, self._refused))
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                await self._stop()

    def record_refusal(self, now: float, most: float) -> None:
        """Foundry answered 429: the others learn it at once, unless they know that it refuses."""
        if self._refused and not self.is_throttled(now):
            self._refused.set()
        if now - self._own_refusal[0] >= ONE_REFUSAL_SECONDS:
            minimum = MIN_UNSHARED_READS_PER_SECOND if self._is_unshared(now) else MIN_READS_PER_SECOND
            self._own_refusal = now, rate_after_refusal(self.app_rate(now, most), minimum)

    def is_throttled(self, now: float) -> bool:
        """Whether Foundry refused a request of any instance lately."""
        return any(is_throttled(left, now - at) for at, left in self._refusals())

    def app_rate(self, now: float, most: float) -> float:
        """The rate of the app, in reads a second: the lowest that the refusals of any instance leave.

        Without heartbeats it is an equal share of the maximum for each instance, so that together they keep to it, and
        no less than the minimum where Foundry refuses nothing.
        """
        if self._is_unshared(now):
            most = max(min(most, MIN_READS_PER_SECOND), most / MAX_INSTANCES)
        return min(recovered_rate(left, now - at, most) for at, left in self._refusals())

    def _refusals(self) -> tuple[tuple[float, float], ...]:
        return (self._own_refusal, *self._others_refusals)

    def portion(self, now: float, limit: float) -> float:
        """The share of this instance where so many releases of the app go on at a time."""
        return rate_share(self._own, self._other_releases(now), limit)

    def takes_releases(self, now: float, limit: float) -> bool:
        """Whether this instance takes releases where so many of the app go on at a time."""
        return takes_releases(self._name, self._alive if self._is_current(now) else (), limit)

    def knows_others(self, now: float) -> bool:
        """Whether it is known which other instances there are, or that no heartbeat arrives."""
        return self._instances is None or self._exchange_failed or self._is_current(now)

    def ahead(self, began: float, now: float) -> int:
        """How many releases of the app began earlier."""
        return count_ahead((began, self._name), self._own, self._other_releases(now))

    def _other_releases(self, now: float) -> list[tuple[float, str]]:
        return self._others if self._is_current(now) else []

    def _is_unshared(self, now: float) -> bool:
        """Whether no heartbeat arrives, so that each instance has a rate of its own."""
        return self._exchange_failed and not self._is_current(now)

    def _is_current(self, now: float) -> bool:
        return now - self._exchanged_at <= MAX_SILENT_SECONDS

    async def _exchange(self, instances: Instances, now: float) -> None:
        refused_at, left = self._own_refusal
        shared = max(left, MIN_READS_PER_SECOND)  # less was left by refusals without heartbeats
        own = Heartbeat(self._name, tuple(now - began for began, _ in self._own), now - refused_at, shared)
        try:
            others = await instances.exchange(own)
        except GatewayError:
            self._exchange_failed = True  # releases go on: by what the last exchange said, and then by an equal share
            return
        self._exchange_failed, self._exchanged_at = False, now
        refused_at, left = self._own_refusal
        self._own_refusal = refused_at, max(left, MIN_READS_PER_SECOND)
        self._alive = frozenset(beat.instance for beat in others)
        self._others = sorted((now - age, beat.instance) for beat in others for age in beat.ages)
        refusals = [NOT_REFUSED, *((now - beat.since_refusal, beat.rate_left) for beat in others)]
        lowest = min(refusals, key=lambda refusal: recovered_rate(refusal[1], now - refusal[0], math.inf))
        self._others_refusals = (lowest, max(refusals))

    async def _exchange_until_stopped(self, instances: Instances, clock: Clock, refused: asyncio.Event) -> None:
        """Exchange heartbeats: after a period, or at once where Foundry refuses requests."""
        if not self.is_throttled(clock.monotonic()):
            await _pause(clock, refused)
        while True:
            await self._exchange(instances, clock.monotonic())
            refused.clear()
            await _pause(clock, refused)

    async def _stop(self) -> None:
        """Nothing is in hand or waits: for the others this instance has ended after two periods."""
        exchanges, self._exchanges = self._exchanges, None
        if exchanges is not None:
            exchanges.cancel()
            await asyncio.wait({exchanges})


async def _pause(clock: Clock, refused: asyncio.Event) -> None:
    """Wait for a period, or until Foundry refuses a request."""
    waits = [asyncio.ensure_future(wait) for wait in (clock.sleep(HEARTBEAT_SECONDS), refused.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
