"""The trace of a release: the push that it belongs to, the step that it is at, and the waits as one span each."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from types import TracebackType

from handlers.gateways.clock import Clock
from handlers.telemetry import otel
from handlers.telemetry.otel import Value

LOOK, WAIT = "look", "wait"


class ReleaseTrace:
    """Entered while a release is taken further: one span ``release`` in the trace of its push, the steps below it."""

    def __init__(self, agent: str, clock: Clock, traceparent: str | None) -> None:
        self.step = LOOK
        self.since: datetime = clock.now()
        self._agent = agent
        self._clock = clock
        self._of = traceparent
        self._span = ExitStack()
        self._describe: otel.SetAttributes = otel.set_attributes
        self._about: dict[str, Value] = {}

    def __enter__(self) -> ReleaseTrace:
        """Open the span."""
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the wait that goes on, and the span."""
        self.at(LOOK)
        self._span.__exit__(kind, error, trace)

    @property
    def took(self) -> float:
        """Seconds that the step has taken so far."""
        return round((self._clock.now() - self.since).total_seconds(), 3)

    def at(self, step: str) -> None:
        """The release is at this step now; looks while it waits are one wait."""
        if step == self.step:
            return
        now = self._clock.now()
        if self.step == WAIT:
            otel.past_span(f"release.{WAIT}", self.since, now, agent=self._agent, **self._about)
        self.step, self.since = step, now

    def follow(self, traceparent: str | None) -> None:
        """Another push is taken up: what follows belongs to its trace."""
        if traceparent is None or traceparent == self._of:
            return
        self.at(LOOK)
        self._span.close()
        self._of, self._about = traceparent, {}
        self._open()

    def describe(self, *, failed: bool = False, **attributes: Value) -> None:
        """Say of the release, and of the step that goes on, what it is about."""
        self._about = {key: value for key, value in attributes.items() if key != "reason"}  # a wait is of no decision
        otel.set_attributes(failed=failed, **attributes)
        self._describe(failed=failed, **attributes)

    def _open(self) -> None:
        self._describe = self._span.enter_context(otel.span("release", of=self._of, agent=self._agent))
