"""The only logger and tracer of the product; importing it imports nothing of Azure's or OpenTelemetry's."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_log = logging.getLogger("slipway")
_log.setLevel(logging.INFO)
logging.getLogger("azure").setLevel(logging.WARNING)  # at INFO every SDK call is some fifteen lines

_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
PREFIX = "slipway."
"""Attributes named http, db, messaging and the like never become custom dimensions of Application Insights."""


def decision(line: Mapping[str, object], *, severity: str) -> None:
    """One canonical line per decision: the name is constant, the data is in fields."""
    _log.log(_LEVELS[severity], "slipway.decision", extra={PREFIX + key: _plain(value) for key, value in line.items()})


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A step of a trace; without OpenTelemetry's SDK it costs next to nothing."""
    from opentelemetry import trace

    with trace.get_tracer("slipway").start_as_current_span(
        name, attributes={PREFIX + k: v for k, v in attributes.items()}
    ):
        yield


def carrier() -> str | None:
    """The current trace as a W3C traceparent, or None outside of any."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return headers.get("traceparent")


@contextmanager
def attached(traceparent: str | None) -> Iterator[None]:
    """Make the trace of a message the parent of what follows; without one the current trace goes on."""
    if traceparent is None:
        yield
        return
    from opentelemetry import context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = context.attach(TraceContextTextMapPropagator().extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def _plain(value: object) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
