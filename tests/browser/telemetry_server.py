"""The stand-in for Application Insights' ingestion, in a thread; tests send to it over HTTP, as the exporter does."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from local.background import Background
from local.telemetry.server import Telemetry


class TelemetryServer:
    """A running stand-in; after a restart it listens at the same address."""

    def __init__(self, background: Background) -> None:
        self._run = background.run
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


@contextmanager
def running_server() -> Iterator[TelemetryServer]:
    """A server for one test."""
    with Background() as background:
        server = TelemetryServer(background)
        try:
            yield server
        finally:
            server.stop()
