"""What the commands that change something print with ``--json``."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from cli.json_documents.shared import CLOSED, Hold, Image, Pause, Severity, Time


@CLOSED
class Change(TypedDict):
    """What a command of a user changed for one agent: the desired state after it."""

    agent: str
    reason: str
    severity: Severity
    detail: str
    help: str
    remedy: str | None
    by: str
    generation: int
    enqueued: bool
    """True where a release follows."""
    desired: Image | None
    pause: Pause | None
    holds: list[Hold]
    """Those that operators set."""
    approved: str | None
    """The version that may go live."""
    rolled_back_to: str | None
    """The version of the rollback in force."""
    due: Time | None
    """When the change is due, where it waits."""


@CLOSED
class PlannedDeletion(TypedDict):
    """``slipway prune --dry-run``: one version."""

    agent: str
    version: str
    reason: str
    meaning: str
    delete: bool


@CLOSED
class Deletion(TypedDict):
    """``slipway prune``: one version, or why the agent's versions stay (then without a version)."""

    agent: str
    version: str
    reason: str
    meaning: str
    deleted: bool


@CLOSED
class ReplayedEvent(TypedDict):
    """``slipway replay``: an event that was sent, or would be."""

    at: Time | None
    kind: str
    """push, secret or release; of another event its type."""
    id: str
    subject: str
    position: str
    """The place in its file, for people."""
    ignored: NotRequired[str]
    """The reason for which the app will ignore it."""


@CLOSED
class Adopted(TypedDict):
    """``slipway adopt``."""

    agent: str
    agents_yaml: str
    """The entry for ``agents.yaml``."""
    adopted: bool
    version: str
    """The version that serves."""
    last_good: str | None
    """The version that Slipway had recorded as good before."""
    repository: str
    tag: str
    digest: str
