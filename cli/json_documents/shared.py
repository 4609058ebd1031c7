"""Objects that the documents of several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

CLOSED = with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True))
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]
Age = Annotated[int, Field(ge=0)]
Severity = Literal["info", "warning", "error"]


@CLOSED
class Image(TypedDict):
    """An image as a push named it."""

    repository: str
    tag: str
    digest: str


@CLOSED
class ServiceError(TypedDict):
    """How a service failed a request."""

    service: str
    code: str
    """The service's own code, or the HTTP status."""
    detail: str


@CLOSED
class UnreadAgent(TypedDict):
    """An agent that could not be read."""

    agent: str
    error: ServiceError


@CLOSED
class Pause(TypedDict):
    """An operator stopped the agent's releases."""

    why: str
    by: str
    since: Time
    age_s: Age
    until: Time | None
    """Null where only ``slipway resume`` ends it."""


@CLOSED
class Hold(TypedDict):
    """An image, or a definition, that must not be released."""

    digest: str
    """Empty where only the definition is held."""
    fingerprint: str
    reason: str
    detail: str
    """Why, as the operator or Slipway recorded it."""
    by: str
    """Empty where Slipway set the hold."""
    since: Time
    age_s: Age
    until: Time | None


@CLOSED
class Rollback(TypedDict):
    """A rollback in force."""

    version: str
    by: str
    why: str
    at: Time | None
    age_s: Age | None
    is_done: bool
    config_waits_since: Time | None
    """Since when a changed agents.yaml waits for the end of the rollback."""


@CLOSED
class Rejection(Image):
    """The last push that was rejected."""

    reason: str
    detail: str
    at: Time
    age_s: Age


@CLOSED
class Score(TypedDict):
    """A score of a version beside its threshold."""

    criterion: str
    value: float
    threshold: float
    live: float | None
    """The score of the version that serves, where the two are compared."""
    unit: str
    """Empty for a score that must reach its threshold; otherwise a unit of what must not exceed it."""
    is_passed: bool
