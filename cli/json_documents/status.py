"""What ``slipway status --json`` prints."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from cli.json_documents.shared import CLOSED, Age, Hold, Pause, Rejection, Rollback, ServiceError, Time


@CLOSED
class StageWait(TypedDict):
    """An image that waits for its turn in this stage."""

    stage: int
    upstream: list[str]
    """The targets of the stage before."""
    tag: str
    digest: str
    reason: str
    since: Time | None
    until: Time | None


@CLOSED
class WaitingPush(TypedDict):
    """A push that is younger than release.min_push_age."""

    tag: str
    digest: str
    until: Time


@CLOSED
class AgentStatus(TypedDict):
    """``slipway status``: one agent."""

    agent: str
    live: str | None
    """The version that serves."""
    live_tag: str | None
    live_image: str | None
    live_signer: str | None
    """Who signed the image, where that was verified."""
    follows_latest: bool | None
    """True where new versions take traffic at once, since the endpoint names none."""
    enabled: bool | None
    """Null where Foundry was not read."""
    routing_changed_outside: bool
    desired: str | None
    """The desired tag."""
    digest: str | None
    """The desired image."""
    state: str
    """A reason code, a phase of the release, or ``queued``."""
    state_tag: str | None
    """The tag that the state is about."""
    since: Time | None
    age_s: Age | None
    phase: str
    reason: str
    """The gate that the release waits at, or the end of the last release."""
    detail: str
    next: str | None
    remedy: str | None
    candidate: str | None
    not_before: Time | None
    """When the release goes on, where it waits for a quiet time."""
    window_opens_at: Time | None
    window_opens: str | None
    """The same in the zone of the windows, with the freeze that is in force, for people."""
    stage_number: int
    """The first stage is 1; an agent without stages has one."""
    stage: StageWait | None
    rejected: Rejection | None
    rolled_back: Rollback | None
    pause: Pause | None
    holds: list[Hold]
    waiting: list[WaitingPush]
    versions: int | None
    """Null where Foundry was not read."""
    version_limit: int
    version_limit_status: Literal["ok", "near", "reached"] | None
    not_read: ServiceError | None
    """Why Foundry did not say what serves; then the row is what the state store has."""
    next_prune: Time
