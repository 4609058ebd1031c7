"""Whether a push becomes what an agent should run, and what the ledger then says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from core.model import Push
from core.reasons import Reason
from core.record import Cause, Wanted
from core.rules import AgentRule
from core.tags import NotNewer, Refused, judge, newer

ASKING = frozenset(
    {
        Reason.DESIRED,
        Reason.SAME_PUSH,
        Reason.APPROVED,
        Reason.RELEASE_ASKED,
        Reason.HOLD_LIFTED,
        Reason.RESUMED_BY_PERSON,
    }
)
"""Words after which the release is to be taken up."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What a handler does after an event was held against the ledger."""

    wanted: Wanted
    reason: Reason
    detail: str = ""

    @property
    def asks(self) -> bool:
        """True when the release must be taken up.

        Also where the same push came twice: its first delivery may have died between the ledger and the queue.
        """
        return self.reason in ASKING


def desire(wanted: Wanted, rule: AgentRule, push: Push, traceparent: str | None, now: datetime) -> Noted:
    """Hold a push against the rule and what is wanted so far."""
    judged = judge(rule.tags, push.tag)
    if isinstance(judged, Refused):
        return Noted(wanted, judged.reason, judged.detail)
    held_against = newer(rule.tags, push, wanted.push)
    if isinstance(held_against, NotNewer):
        return Noted(wanted, held_against.reason, held_against.detail)
    serial = wanted.serial + 1
    taken = replace(
        wanted,
        serial=serial,
        by_people=serial,
        push=push,
        cause=Cause.PUSH,
        noted_at=now,
        due=push.pushed_at + rule.release.soak if rule.release.soak else None,
        traceparent=traceparent,
    )
    return Noted(taken, Reason.DESIRED)


def rotate(wanted: Wanted, rule: AgentRule, traceparent: str | None, now: datetime) -> Noted:
    """A secret of the agent has a new version: the same push is wanted again, after the quiet time."""
    if rule.release.on_secret_change != "release":
        return Noted(wanted, Reason.SECRET_CHANGE_IGNORED, f"on_secret_change is {rule.release.on_secret_change}")
    if wanted.push is None:
        return Noted(wanted, Reason.NOTHING_DESIRED)
    due = now + rule.release.settle
    return Noted(
        replace(wanted, serial=wanted.serial + 1, cause=Cause.SECRET, noted_at=now, due=due, traceparent=traceparent),
        Reason.DESIRED,
        "a secret has a new version",
    )
