"""Whether a push becomes what an agent should run, and what the ledger then says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import check_newer, check_tag
from core.model import Push
from core.reasons import Reason
from core.state.desired import Cause, DesiredState

RUNS = {"repository", "image", "cpu", "memory", "protocols", "env", "env_from_vault", "tools", "more_definition"}
ENQUEUES = frozenset(
    {
        Reason.ACCEPTED,
        Reason.SAME_PUSH,
        Reason.CONFIG_CHANGED,
        Reason.APPROVED,
        Reason.RELEASE_REQUESTED,
        Reason.ROLLBACK_REQUESTED,
        Reason.HOLD_REMOVED,
        Reason.UNPAUSED,
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
    desired: DesiredState, spec: AgentSpec, push: Push, traceparent: str | None, now: datetime
) -> DesiredUpdate:
    """Hold a push against the rule and what is wanted so far."""
    newest = desired.newest_push or desired.push
    rejection = check_tag(spec.tags, push.tag) or check_newer(spec.tags, push, newest)
    if rejection is not None:
        return DesiredUpdate(desired, rejection.reason, rejection.detail)
    generation = desired.generation + 1
    taken = replace(
        desired,
        generation=generation,
        user_generation=generation,
        push=push,
        newest_push=None,
        cause=Cause.PUSH,
        updated_at=now,
        not_before=push.pushed_at + spec.release.min_push_age if spec.release.min_push_age else None,
        runtime_hash=runtime_hash(spec),
        traceparent=traceparent,
    )
    return DesiredUpdate(taken, Reason.ACCEPTED)


def apply_config(desired: DesiredState, spec: AgentSpec, now: datetime) -> DesiredUpdate:
    """agents.yaml was deployed: where it says otherwise what runs, the push is wanted again after the quiet time."""
    runs = runtime_hash(spec)
    if desired.push is None or desired.runtime_hash == runs:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    if desired.push.repository != spec.repository:
        return DesiredUpdate(
            replace(desired, runtime_hash=runs), Reason.NO_PUSH_YET
        )  # the next push of the new one is awaited
    generation, due = desired.generation + 1, now + spec.release.debounce
    asked = replace(
        desired,
        generation=generation,
        user_generation=generation,
        cause=Cause.CONFIGURATION,
        updated_at=now,
        not_before=due,
        runtime_hash=runs,
    )
    return DesiredUpdate(asked, Reason.CONFIG_CHANGED)


def runtime_hash(spec: AgentSpec) -> str:
    """A hash of the part of a rule that makes another version when it changes, and of the repository.

    Also of whether anything is released at all: what was only told in mode ``notify`` is released once that changes.
    """
    plain = spec.model_dump(mode="json", include=RUNS) | {"told_only": spec.release.mode == "notify"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def apply_rotation(desired: DesiredState, spec: AgentSpec, traceparent: str | None, now: datetime) -> DesiredUpdate:
    """A secret of the agent has a new version: the same push is wanted again, after the quiet time."""
    if spec.release.on_secret_change != "release":
        return DesiredUpdate(
            desired, Reason.SECRET_CHANGE_IGNORED, f"on_secret_change is {spec.release.on_secret_change}"
        )
    if desired.push is None:
        return DesiredUpdate(desired, Reason.NO_PUSH_YET)
    due = now + spec.release.debounce
    return DesiredUpdate(
        replace(
            desired,
            generation=desired.generation + 1,
            cause=Cause.SECRET,
            updated_at=now,
            not_before=due,
            traceparent=traceparent,
        ),
        Reason.ACCEPTED,
        "a secret has a new version",
    )
