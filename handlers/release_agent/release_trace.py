"""The trace of a release: one span ``release`` in its push's trace, one span below it for each step and each wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from types import TracebackType

from handlers.gateways.clock import Clock
from handlers.telemetry import otel
from handlers.telemetry.otel import Value

READ, WAIT = "read", "wait"
LEASE_TAKEN = "lease_taken"
"""The span of a message whose release another instance has."""


class ReleaseTrace:
    """Open while a message's release runs."""

    def __init__(self, agent: str, clock: Clock, traceparent: str | None) -> None:
        self.step = READ
        self.since: datetime = clock.now()
        self._agent = agent
        self._clock = clock
        self._traceparent = traceparent
        self._span = ExitStack()
        self._set_attributes: otel.SetAttributes = otel.set_attributes
        self._about: dict[str, Value] = {}

    def __enter__(self) -> ReleaseTrace:
        """Open the span."""
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the span, and the wait that is under way."""
        self.enter_step(READ)
        self._span.__exit__(kind, error, trace)

    @property
    def step_seconds(self) -> float:
        """Seconds that the step has taken so far."""
        return round((self._clock.now() - self.since).total_seconds(), 3)

    def enter_step(self, step: str) -> None:
        """The release is at this step now; all polls of one wait are one span."""
        if step == self.step:
            return
        now = self._clock.now()
        if self.step == WAIT:
            otel.past_span(f"release.{WAIT}", self.since, now, agent=self._agent, **self._about)
        self.step, self.since = step, now

    @contextmanager
    def step_span(self, step: str) -> Iterator[None]:
        """The span of one step."""
        self.enter_step(step)
        with otel.span(f"release.{step}", agent=self._agent):
            yield

    def lease_taken(self) -> None:
        """Another instance has the release and its span: this one is not counted as a second release."""
        otel.rename(LEASE_TAKEN)

    def follow(self, traceparent: str | None) -> None:
        """Another push is released from here on: what follows belongs to its trace."""
        if traceparent is None or traceparent == self._traceparent:
            return
        self.enter_step(READ)
        self._span.close()
        self._traceparent, self._about = traceparent, {}
        self._open()

    def set_attributes(self, *, failed: bool = False, **attributes: Value) -> None:
        """Add attributes to the release's span and to that of the current step."""
        self._about = {key: value for key, value in attributes.items() if key != "reason"}  # a wait has no decision
        otel.set_attributes(failed=failed, **attributes)
        self._set_attributes(failed=failed, **attributes)

    def _open(self) -> None:
        self._set_attributes = self._span.enter_context(
            otel.span("release", parent=self._traceparent, agent=self._agent)
        )
