"""The stand-in for Application Insights' ingestion, in a thread; tests send to it over HTTP, as the exporter does."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from local.telemetry.server import Telemetry


class TelemetryServer:
    """A running stand-in; after a restart it listens at the same address."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.telemetry = Telemetry()
        self.url = self._run(self.telemetry.start())

    def send(self, items: Iterable[Any]) -> dict[str, Any]:
        """Send items as one JSON array, as the exporter does."""
        request = urllib.request.Request(f"{self.url}/v2.1/track", json.dumps(list(items)).encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            result: dict[str, Any] = json.loads(answer.read())
        return result

    def stop(self) -> None:
        """Stop, as Ctrl-C does."""
        self._run(self.telemetry.stop())

    def end_streams(self) -> None:
        """End the streams; the server keeps running."""
        self._run(self.telemetry.stopped())

    def allow_streams(self) -> None:
        """Keep new streams open again."""
        self._run(self.telemetry.started())

    def restart_empty(self) -> None:
        """Start a new, empty stand-in at the same address."""
        self.telemetry = Telemetry()
        self._run(self.telemetry.start(int(self.url.rpartition(":")[2])))

    def close(self) -> None:
        """Stop the server and its thread."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


@contextmanager
def running_server() -> Iterator[TelemetryServer]:
    """A server for one test."""
    server = TelemetryServer()
    try:
        yield server
    finally:
        server.close()
