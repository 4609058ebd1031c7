"""The stand-in of Application Insights' ingestion in a thread, sent to over HTTP as the exporter sends."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from local.telemetry.server import Telemetry


class Served:
    """A running stand-in; stopped and started again it listens where it did."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.telemetry = Telemetry()
        self.url = self._run(self.telemetry.start())

    def send(self, items: Iterable[Any]) -> dict[str, Any]:
        """As the exporter does: one JSON array."""
        request = urllib.request.Request(f"{self.url}/v2.1/track", json.dumps(list(items)).encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def stop(self) -> None:
        """As Ctrl-C does."""
        self._run(self.telemetry.stop())

    def hang_up(self) -> None:
        """End the streams; the server stays."""
        self._run(self.telemetry.stopped())

    def pick_up(self) -> None:
        """Streams last again."""
        self._run(self.telemetry.started())

    def start_anew(self) -> None:
        """A stack that knows nothing of the one before, at the same address."""
        self.telemetry = Telemetry()
        self._run(self.telemetry.start(int(self.url.rpartition(":")[2])))

    def close(self) -> None:
        """End the thread, too."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


@contextmanager
def serving() -> Iterator[Served]:
    """One for a test."""
    served = Served()
    try:
        yield served
    finally:
        served.close()
