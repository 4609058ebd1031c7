"""The only logger, tracer and meter of the product; importing it imports nothing of Azure or OpenTelemetry.

The worker exports (PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY, on every Python). Nothing here configures a provider:
nothing is exported twice, and without a provider all of this costs next to nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from handlers.redaction import redact_fields, redact_text

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, Tracer, TracerProvider

_log = logging.getLogger("slipway")
_log.setLevel(logging.INFO)
logging.getLogger("azure").setLevel(logging.WARNING)  # at INFO each SDK call is some fifteen lines

PREFIX = "slipway."
"""Attributes named http, db, messaging and the like never become custom dimensions of Application Insights."""
MAX_VALUE_CHARS = 1000
"""Of an attribute's value; texts of events and services may have any length."""
Value = str | int | float | bool | None
Attributes = dict[str, str | int | float | bool]


class SetAttributes(Protocol):
    """Adds attributes to one span; ``failed`` marks it as failed in Application Insights."""

    def __call__(self, *, failed: bool = False, **attributes: Value) -> None:
        """Add attributes."""


def log_decision(fields: Mapping[str, object], *, severity: str) -> None:
    """Log one canonical line per decision: its name is constant, the data is in fields."""
    level = getattr(logging, severity.upper())
    if _log.isEnabledFor(level):
        extra = {PREFIX + key: value for key, value in redact_fields(fields, MAX_VALUE_CHARS).items()}
        _log.log(level, "slipway.decision", extra=extra)


@contextmanager
def span(name: str, *, parent: str | None = None, **attributes: Value) -> Iterator[SetAttributes]:
    """A span in the trace of the traceparent ``parent``, else in the current trace.

    It records no exception: a traceback prints the message of every cause, and services repeat what they were sent.
    """
    options: dict[str, Any] = {"record_exception": False, "set_status_on_exception": False, "links": _links(parent)}
    options["attributes"] = _attributes(attributes)
    with _tracer().start_as_current_span(name, _context(parent), **options) as current:
        try:
            yield partial(_set_attributes, current)
        finally:
            if (error := sys.exc_info()[0]) is not None:
                _fail(current, error.__name__)


def past_span(name: str, since: datetime, until: datetime, **attributes: Value) -> None:
    """A span that is over, such as a wait of many polls."""
    start, end = (int(at.timestamp() * 1_000_000) * 1000 for at in (since, until))
    _tracer().start_span(name, attributes=_attributes(attributes), start_time=start).end(end)


def _tracer() -> Tracer:
    from opentelemetry import trace

    return _tracer_of(trace.get_tracer_provider())


@lru_cache(1)
def _tracer_of(provider: TracerProvider) -> Tracer:
    """One for all spans: making one reads the environment and resolves a sampler's rules."""
    return provider.get_tracer("slipway")


def set_attributes(*, failed: bool = False, **attributes: Value) -> None:
    """Add attributes to the current span."""
    from opentelemetry import trace

    _set_attributes(trace.get_current_span(), failed=failed, **attributes)


def rename(name: str) -> None:
    """Give the current span another name, where it turned out to be something else."""
    from opentelemetry import trace

    trace.get_current_span().update_name(name)


def _set_attributes(current: Span, *, failed: bool = False, **attributes: Value) -> None:
    current.set_attributes(_attributes(attributes))
    if failed:
        _fail(current, str(attributes.get("reason", "")))


def _fail(current: Span, why: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    current.set_status(Status(StatusCode.ERROR, why))


def current_traceparent() -> str | None:
    """The current trace as a W3C traceparent, or None outside of any."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers.get("traceparent")


def count(name: str, *, unit: str, **attributes: Value) -> None:
    """Add one to a counter."""
    _instrument("create_counter", name, unit).add(1, _attributes(attributes))


def measure(name: str, value: float, *, unit: str, **attributes: Value) -> None:
    """Add a value to a histogram."""
    _instrument("create_histogram", name, unit).record(value, _attributes(attributes))


def gauge(name: str, value: float, *, unit: str, **attributes: Value) -> None:
    """Set a gauge; each value is exported once, so that an old value does not seem to be a new one."""
    labels = _attributes(attributes)
    _gauge_values(name, unit)[tuple(sorted(labels.items()))] = (value, labels)


@cache
def _instrument(kind: str, name: str, unit: str) -> Any:
    from opentelemetry import metrics

    return getattr(metrics.get_meter("slipway"), kind)(PREFIX + name, unit=unit)


@cache
def _gauge_values(name: str, unit: str) -> dict[Any, tuple[float, Attributes]]:
    """The values for the next export; a plain gauge would export its last value every minute until the process ends."""
    from opentelemetry import metrics

    waiting: dict[Any, tuple[float, Attributes]] = {}

    def observe(_: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
        while waiting:
            yield metrics.Observation(*waiting.popitem()[1])

    metrics.get_meter("slipway").create_observable_gauge(PREFIX + name, [observe], unit=unit)
    return waiting


def _attributes(attributes: Mapping[str, Value]) -> Attributes:
    return {
        PREFIX + key: redact_text(key, value, MAX_VALUE_CHARS) if isinstance(value, str) else value
        for key, value in attributes.items()
        if value is not None and value != ""
    }


def _context(parent: str | None) -> Context | None:
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent})


def _links(parent: str | None) -> list[Link]:
    """A link to the host's own span, of which there is one a message, where this span belongs to another trace."""
    from opentelemetry import trace

    current = trace.get_current_span().get_span_context()
    return [trace.Link(current)] if parent is not None and current.is_valid else []
