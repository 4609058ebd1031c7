"""A timer trigger: runs on schedule in the one host that has the timer's lease; timer_rules decides when."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from core.ncrontab import Schedule, ScheduleError
from local.functions_host.dispatch import Dispatch
from local.functions_host.indexing import Function, IndexingError
from local.functions_host.timer_rules import (
    LEASE_POLL,
    LEASE_RENEWAL,
    Status,
    after_run,
    at_start,
    invocation_time,
    keeps_status,
)
from local.functions_host.timer_store import TimerStore


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class TimerListener:
    """A timer."""

    def __init__(
        self, function: Function, store: TimerStore, dispatch: Dispatch, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._function = function
        try:
            self._schedule = Schedule(function.schedule)
        except ScheduleError as error:
            raise IndexingError(f"{function.name}: the schedule of its timer {error}") from error
        self._keeps_status = function.use_monitor and keeps_status(function.schedule)
        self._status: Status | None = None
        self._store = store
        self._dispatch = dispatch
        self._now = now
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Get the lease, make up for a missed run, and run on schedule until stopped."""
        name = self._function.name
        while not self._store.acquire(name):
            if await self._stopped_within(LEASE_POLL):
                return
        renewing = asyncio.create_task(self._renew())
        try:
            await self._run()
        finally:
            renewing.cancel()
            self._store.release(name)

    def stop(self) -> None:
        """Run no more."""
        self._stopping.set()

    async def _run(self) -> None:
        now = self._now()
        is_past_due = False
        if self._keeps_status:
            start = at_start(self._schedule, self._store.read(self._function.name), now)
            self._status, is_past_due = start.status, start.is_past_due
            if start.save is not None:
                self._store.write(self._function.name, start.save)
        if is_past_due or self._function.run_on_startup:
            await self._invoke(now, is_past_due=is_past_due)
        due = self._schedule.next(self._now())
        while not await self._stopped_within((due - self._now()).total_seconds()):
            invoked_at = invocation_time(self._now(), due)
            await self._invoke(invoked_at, is_past_due=False)
            due = self._schedule.next(invoked_at)

    async def _invoke(self, invoked_at: datetime, *, is_past_due: bool) -> None:
        status = self._status.to_json() if self._status else None
        body = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": is_past_due}
        await self._dispatch.run(self._function, json.dumps(body))
        if self._keeps_status:  # after the run: a host that is killed in it leaves a due time that is past
            self._status = after_run(self._schedule, invoked_at)
            self._store.write(self._function.name, self._status)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_RENEWAL)
            self._store.acquire(self._function.name)

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._stopping.wait()
        return self._stopping.is_set()
