"""The only logger, tracer and meter of the product; importing it imports nothing of Azure's or OpenTelemetry's.

Who exports is the worker's business (PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY, on every Python): nothing here
configures a provider, so nothing is exported twice, and without one all of this costs next to nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from handlers.redaction import redact_and_truncate, redact_fields

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span

_log = logging.getLogger("slipway")
_log.setLevel(logging.INFO)
logging.getLogger("azure").setLevel(logging.WARNING)  # at INFO every SDK call is some fifteen lines

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
PREFIX = "slipway."
"""Attributes named http, db, messaging and the like never become custom dimensions of Application Insights."""
MAX_VALUE_CHARS = 1000
"""Characters of an attribute's value; what an event or a service says may have any length."""
Value = str | int | float | bool | None
Attributes = dict[str, str | int | float | bool]


class SetAttributes(Protocol):
    """Says more about one step; ``failed`` makes it one that Application Insights shows as failed."""

    def __call__(self, *, failed: bool = False, **attributes: Value) -> None:
        """Add attributes."""


def log_decision(fields: Mapping[str, object], *, severity: str) -> None:
    """One canonical line per decision: the name is constant, the data is in fields."""
    told = {PREFIX + key: value for key, value in redact_fields(fields, MAX_VALUE_CHARS).items()}
    _log.log(_LEVELS[severity], "slipway.decision", extra=told)


@contextmanager
def span(name: str, *, of: str | None = None, **attributes: Value) -> Iterator[SetAttributes]:
    """A step of a trace: of the trace that a traceparent names, else of the one that goes on.

    No error is recorded with it: a traceback prints the words of every cause, and services repeat what they were sent.
    """
    from opentelemetry import trace

    tracer, kept = trace.get_tracer("slipway"), _attributes(attributes)
    with tracer.start_as_current_span(
        name, _context(of), attributes=kept, links=_links(of), record_exception=False, set_status_on_exception=False
    ) as opened:
        try:
            yield partial(_describe, opened)
        finally:
            _end(opened, sys.exc_info()[0])


def past_span(name: str, since: datetime, until: datetime, **attributes: Value) -> None:
    """A step that is over, such as a wait of many looks."""
    from opentelemetry import trace

    tracer, kept = trace.get_tracer("slipway"), _attributes(attributes)
    tracer.start_span(name, attributes=kept, start_time=_nanoseconds(since)).end(_nanoseconds(until))


def set_attributes(*, failed: bool = False, **attributes: Value) -> None:
    """Say more about the step that goes on."""
    from opentelemetry import trace

    _describe(trace.get_current_span(), failed=failed, **attributes)


def _describe(opened: Span, *, failed: bool = False, **attributes: Value) -> None:
    opened.set_attributes(_attributes(attributes))
    if failed:
        _fail(opened, str(attributes.get("reason", "")))


def current_traceparent() -> str | None:
    """The current trace as a W3C traceparent, or None outside of any."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers.get("traceparent")


def count(name: str, number: int = 1, *, unit: str, **attributes: Value) -> None:
    """Add to a counter."""
    _instrument("create_counter", name, unit).add(number, _attributes(attributes))


def measure(name: str, value: float, *, unit: str, **attributes: Value) -> None:
    """One more value of a distribution."""
    _instrument("create_histogram", name, unit).record(value, _attributes(attributes))


def gauge(name: str, value: float, *, unit: str, **attributes: Value) -> None:
    """How much there is of something now: exported once, so that what is seldom looked at does not seem to be new."""
    kept = _attributes(attributes)
    _levels(name, unit)[tuple(sorted(kept.items()))] = (value, kept)


@cache
def _instrument(kind: str, name: str, unit: str) -> Any:
    from opentelemetry import metrics

    return getattr(metrics.get_meter("slipway"), kind)(PREFIX + name, unit=unit)


@cache
def _levels(name: str, unit: str) -> dict[Any, tuple[float, Attributes]]:
    """What waits for the next export; a plain gauge would export its last value every minute for as long as we live."""
    from opentelemetry import metrics

    waiting: dict[Any, tuple[float, Attributes]] = {}

    def told(_: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
        while waiting:
            yield metrics.Observation(*waiting.popitem()[1])

    metrics.get_meter("slipway").create_observable_gauge(PREFIX + name, [told], unit=unit)
    return waiting


def _attributes(given: Mapping[str, Value]) -> Attributes:
    return {
        PREFIX + key: redact_and_truncate(value, MAX_VALUE_CHARS) if isinstance(value, str) else value
        for key, value in given.items()
        if value is not None and value != ""
    }


def _context(of: str | None) -> Context | None:
    if of is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": of})


def _links(of: str | None) -> list[Link]:
    """To the host's own span, where this one belongs to another trace: the host makes one per message."""
    from opentelemetry import trace

    here = trace.get_current_span().get_span_context()
    return [trace.Link(here)] if of is not None and here.is_valid else []


def _end(opened: Span, error: type[BaseException] | None) -> None:
    if error is not None:
        _fail(opened, error.__name__)


def _fail(opened: Span, why: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    opened.set_status(Status(StatusCode.ERROR, why))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
