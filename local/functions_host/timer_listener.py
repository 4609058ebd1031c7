"""Timer triggers: UTC, one run at a time, one run at start if runs were missed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from core.ncrontab import Schedule, ScheduleError
from local.functions_host.indexing import Function, IndexingError
from local.functions_host.invoker import Invoker


class TimerListener:
    """A timer; its last run is in a small file, as the host keeps it in a blob."""

    def __init__(self, function: Function, folder: Path, invoker: Invoker) -> None:
        self._function = function
        try:
            self._schedule = Schedule(function.schedule)
        except ScheduleError as error:
            raise IndexingError(f"{function.name}: the schedule of its timer {error}") from error
        self._status = folder / "timers" / f"{function.name}.json"
        self._invoker = invoker

    async def run(self) -> None:
        """Run on schedule until cancelled."""
        if self._missed():
            await self._invoke(past_due=True)
        while True:
            due = self._schedule.next(datetime.now(UTC))
            await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            await self._invoke(past_due=False)

    def _missed(self) -> bool:
        if not self._status.exists():
            return False
        return datetime.fromisoformat(json.loads(self._status.read_text())["Next"]) < datetime.now(UTC)

    async def _invoke(self, *, past_due: bool) -> None:
        now = datetime.now(UTC)
        status = {"Last": now.isoformat(), "Next": self._schedule.next(now).isoformat(), "LastUpdated": now.isoformat()}
        self._status.parent.mkdir(parents=True, exist_ok=True)
        self._status.write_text(json.dumps(status))
        body = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
        await self._invoker.run(self._function, json.dumps(body))
