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
    THROTTLED_SECONDS,
    Heartbeat,
    count_ahead,
    rate_share,
)
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError


class Instances(Protocol):
    """The heartbeats of all instances of the app. Each method raises TransientError or PermanentError."""

    async def exchange(self, own: Heartbeat) -> Sequence[Heartbeat]:
        """Store the own heartbeat, and return those of the others, with the time since each by the store's clock."""

    async def leave(self, instance: str) -> None:
        """Remove the heartbeat of an instance that has nothing more in hand."""


class AppShare:
    """The releases in hand, here and in the other instances; times in seconds of the monotonic clock.

    Without ``instances`` this is the only one.
    """

    def __init__(self, instances: Instances | None = None) -> None:
        self._instances = instances
        self._name = uuid.uuid4().hex
        self._began: list[float] = []
        self._refused_at = float("-inf")
        self._others: Sequence[Heartbeat] = ()
        self._heard_at = float("-inf")
        self._is_deaf = False
        self._refused = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def in_hand(self, clock: Clock) -> AsyncIterator[float]:
        """A release is in hand; yields the time at which it began."""
        began = clock.monotonic()
        self._began.append(began)
        if self._beating is None and self._instances is not None:
            self._beating = asyncio.ensure_future(self._beat(self._instances, clock))
        try:
            yield began
        finally:
            self._began.remove(began)
            if not self._began:
                await self._stop()

    def record_refusal(self, now: float) -> None:
        """Foundry answered 429: the others learn it at once, unless they know that it refuses."""
        if self.calm_seconds(now) >= THROTTLED_SECONDS:
            self._refused.set()
        self._refused_at = now

    def calm_seconds(self, now: float) -> float:
        """How long ago Foundry refused a request of any instance."""
        return min(beat.calm for beat in (self._own(now), *self._heard(now)))

    def divisor(self, now: float) -> int:
        """By how much the app's rate is divided because no heartbeat arrives: an equal share for each instance."""
        return MAX_INSTANCES if self._is_deaf and now - self._heard_at > MAX_SILENT_SECONDS else 1

    def of_rate(self, now: float, limit: float = math.inf) -> float:
        """The share of this instance where so many releases of the app go on at a time."""
        return rate_share(self._own(now), self._heard(now), limit)

    def ahead(self, began: float, now: float) -> int:
        """How many releases of the app began earlier."""
        return count_ahead(now - began, self._own(now), self._heard(now))

    def _own(self, now: float) -> Heartbeat:
        return Heartbeat(self._name, tuple(now - began for began in self._began), now - self._refused_at)

    def _heard(self, now: float) -> list[Heartbeat]:
        later = (beat.after(now - self._heard_at) for beat in self._others)
        return [beat for beat in later if beat.is_alive]

    async def _beat(self, instances: Instances, clock: Clock) -> None:
        """Exchange heartbeats while a release is in hand: after a period, or at once where Foundry refuses requests."""
        if self.calm_seconds(clock.monotonic()) >= THROTTLED_SECONDS:
            await self._pause(clock)
        while True:
            asked_at = clock.monotonic()
            try:
                self._others, self._heard_at = await instances.exchange(self._own(asked_at)), asked_at
                self._is_deaf = False
            except GatewayError:
                self._is_deaf = True  # releases go on, by what was heard last and then by an equal share
            self._refused.clear()
            await self._pause(clock)

    async def _pause(self, clock: Clock) -> None:
        """Wait for a period, or until Foundry refuses a request."""
        waits = [asyncio.ensure_future(wait) for wait in (clock.sleep(HEARTBEAT_SECONDS), self._refused.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _stop(self) -> None:
        """Nothing is in hand: the others need not wait until this instance counts as ended."""
        beating, self._beating = self._beating, None
        if beating is not None:
            beating.cancel()
            await asyncio.wait({beating})
        if self._instances is not None and self._others:
            try:
                await self._instances.leave(self._name)
            except GatewayError:
                return  # it counts as ended after two periods
