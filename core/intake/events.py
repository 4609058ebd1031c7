"""Whether a push becomes what an agent should run, and what the ledger then says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import NotNewer, Rejection, check_newer, check_tag
from core.model import Push
from core.reasons import Reason
from core.state.desired import Cause, DesiredState

RUNS = {"repository", "image", "cpu", "memory", "protocols", "env", "env_from_vault", "tools", "more_definition"}
ENQUEUES = frozenset(
    {
        Reason.DESIRED,
        Reason.SAME_PUSH,
        Reason.CONFIGURED,
        Reason.APPROVED,
        Reason.RELEASE_ASKED,
        Reason.ROLLBACK_ASKED,
        Reason.HOLD_LIFTED,
        Reason.RESUMED_BY_PERSON,
    }
)
"""Words after which the release is to be taken up."""


@dataclass(frozen=True, slots=True)
class DesiredUpdate:
    """What a handler does after an event was held against the ledger."""

    desired: DesiredState
    reason: Reason
    detail: str = ""

    @property
    def enqueues(self) -> bool:
        """True when the release must be taken up.

        Also where the same push came twice: its first delivery may have died between the ledger and the queue.
        """
        return self.reason in ENQUEUES


def apply_push(
    wanted: DesiredState, rule: AgentSpec, push: Push, traceparent: str | None, now: datetime
) -> DesiredUpdate:
    """Hold a push against the rule and what is wanted so far."""
    judged = check_tag(rule.tags, push.tag)
    if isinstance(judged, Rejection):
        return DesiredUpdate(wanted, judged.reason, judged.detail)
    held_against = check_newer(rule.tags, push, wanted.newest_push or wanted.push)
    if isinstance(held_against, NotNewer):
        return DesiredUpdate(wanted, held_against.reason, held_against.detail)
    serial = wanted.generation + 1
    taken = replace(
        wanted,
        generation=serial,
        user_generation=serial,
        push=push,
        newest_push=None,
        cause=Cause.PUSH,
        updated_at=now,
        not_before=push.pushed_at + rule.release.min_push_age if rule.release.min_push_age else None,
        runtime_hash=runtime_hash(rule),
        traceparent=traceparent,
    )
    return DesiredUpdate(taken, Reason.DESIRED)


def apply_config(wanted: DesiredState, rule: AgentSpec, now: datetime) -> DesiredUpdate:
    """agents.yaml was deployed: where it says otherwise what runs, the push is wanted again after the quiet time."""
    runs = runtime_hash(rule)
    if wanted.push is None or wanted.runtime_hash == runs:
        return DesiredUpdate(wanted, Reason.NOTHING_DESIRED)
    if wanted.push.repository != rule.repository:
        return DesiredUpdate(
            replace(wanted, runtime_hash=runs), Reason.NOTHING_DESIRED
        )  # the next push of the new one is awaited
    serial, due = wanted.generation + 1, now + rule.release.debounce
    asked = replace(
        wanted, generation=serial, user_generation=serial, cause=Cause.CONFIGURATION, updated_at=now, not_before=due, runtime_hash=runs
    )
    return DesiredUpdate(asked, Reason.CONFIGURED)


def runtime_hash(rule: AgentSpec) -> str:
    """A hash of the part of a rule that makes another version when it changes, and of the repository.

    Also of whether anything is released at all: what was only told in mode ``notify`` is released once that changes.
    """
    plain = rule.model_dump(mode="json", include=RUNS) | {"told_only": rule.release.mode == "notify"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def apply_rotation(wanted: DesiredState, rule: AgentSpec, traceparent: str | None, now: datetime) -> DesiredUpdate:
    """A secret of the agent has a new version: the same push is wanted again, after the quiet time."""
    if rule.release.on_secret_change != "release":
        return DesiredUpdate(
            wanted, Reason.SECRET_CHANGE_IGNORED, f"on_secret_change is {rule.release.on_secret_change}"
        )
    if wanted.push is None:
        return DesiredUpdate(wanted, Reason.NOTHING_DESIRED)
    due = now + rule.release.debounce
    return DesiredUpdate(
        replace(wanted, generation=wanted.generation + 1, cause=Cause.SECRET, updated_at=now, not_before=due, traceparent=traceparent),
        Reason.DESIRED,
        "a secret has a new version",
    )
