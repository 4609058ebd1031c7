"""The single values of agents.yaml: names, durations, expressions, version ranges, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import nodesemver
import re2
from pydantic import AfterValidator, BeforeValidator, StringConstraints

NAME = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
"""An agent's name, as azure-ai-projects documents it for create_version."""
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
REPOSITORY = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
"""A repository's name in the OCI distribution specification: no registry, no tag, no digest."""
RESERVED = ("FOUNDRY_", "AGENT_", "SLIPWAY_")
PLATFORM = frozenset(
    {"PORT", "HOME", "SSE_KEEPALIVE_INTERVAL", "APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT"}
)
"""What the platform injects itself: https://learn.microsoft.com/azure/foundry/agents (environment variables)."""
DURATION = re2.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


def duration(value: object) -> object:
    """``1d``, ``90s``, ``1h30m``: days, hours, minutes, seconds, in this order."""
    if isinstance(value, timedelta):
        return value
    found = DURATION.match(value) if isinstance(value, str) and value else None
    if found is None:
        raise ValueError(f"{value!r} is no duration; write 30s, 10m, 12h, 7d or 1h30m")
    days, hours, minutes, seconds = (int(part) if part else 0 for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


QUIET = re2.Options()
QUIET.log_errors = False  # a mistake is ours to tell; the library would also print it


def expression(pattern: str) -> str:
    """An RE2 expression that compiles."""
    try:
        re2.compile(pattern, QUIET)
    except re2.error as error:
        raise ValueError(f"{pattern!r} is no RE2 expression: {_text(error)}") from error
    return pattern


def _text(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode() if isinstance(told, bytes) else str(told)


def npm_range(text: str) -> str:
    """A version range in npm's grammar."""
    try:
        nodesemver.make_range(text, loose=False)
    except ValueError as error:
        raise ValueError(f'{text!r} is no version range; write ">=1.0.0 <2.0.0" or "^1.2.0"') from error
    return text


def group(pattern: str) -> str:
    """An expression with the group that cuts the version or number out."""
    if re2.compile(expression(pattern), QUIET).groups < 1:
        raise ValueError(f"{pattern!r} has no group; put parentheses around the part to compare")
    return pattern


def variable(name: str) -> str:
    """The name of an environment variable that is ours to set."""
    if name.startswith(RESERVED) or name in PLATFORM:
        raise ValueError(f"{name} is reserved: the platform sets it, or Slipway does")
    if not re2.search(VARIABLE, name):
        raise ValueError(f"{name!r} is no variable name; use letters, digits and underscores, not a digit first")
    return name


Duration = Annotated[timedelta, BeforeValidator(duration)]
Expression = Annotated[str, AfterValidator(expression)]
Variable = Annotated[str, AfterValidator(variable)]
SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z-]{1,127}$")]
Map = Mapping[str, Any]
