"""Tells the world what releases come to, where a topic is set; a topic that does not answer fails no release."""

from __future__ import annotations

from collections.abc import Mapping

from core.reasons import Reason
from core.release_outcome import ReleaseOutcome, outcome_of
from core.state.release import ReleaseState
from handlers.gateways.errors import GatewayError
from handlers.gateways.interfaces import Gateways, OutcomeEvent
from handlers.redaction import redact_fields
from handlers.telemetry import otel
from handlers.telemetry.decision_log import DecisionLog

EVENT_TYPES = {
    ReleaseOutcome.LIVE: "Slipway.Release.Live",
    ReleaseOutcome.FAILED: "Slipway.Release.Failed",
    ReleaseOutcome.ROLLED_BACK: "Slipway.Release.RolledBack",
}
APPROVAL_WAITING = "Slipway.Release.AwaitingApproval"
PRUNED = "Slipway.Versions.Pruned"
MAX_DETAIL_CHARS = 1000


def release_event(agent: str, reason: Reason, release: ReleaseState, detail: str) -> OutcomeEvent | None:
    """The event for the way a release ended, or None where it is nobody else's business."""
    kind = APPROVAL_WAITING if reason is Reason.APPROVAL_WAITING else EVENT_TYPES.get(outcome_of(reason))
    push = release.push
    if kind is None:
        return None
    about = {
        "agent": agent,
        "reason": reason.value,
        "help": reason.help,
        "detail": detail,
        "version": release.candidate,
        "previous_version": release.routing_at_start.pinned if release.routing_at_start else None,
        "repository": push.repository if push else None,
        "tag": push.tag if push else None,
        "digest": push.digest if push else None,
        "pushed_at": push.pushed_at.isoformat() if push else None,
        "fingerprint": release.fingerprint,
    }
    return _told(kind, agent, f"{agent}/{release.observed_generation}/{release.candidate or 0}/{reason}", about)


def prune_event(agent: str, versions: list[str], at: str) -> OutcomeEvent:
    """The event for versions that went."""
    return _told(PRUNED, agent, f"{agent}/pruned/{at}", {"agent": agent, "versions": versions})


async def publish(events: list[OutcomeEvent], decisions: DecisionLog, gateways: Gateways) -> None:
    """Tell them all, and say so where that does not work."""
    if not events:
        return
    try:
        await gateways.outcome_publisher.publish(events)
    except GatewayError as error:
        decisions.record(Reason.OUTCOME_NOT_PUBLISHED, str(error), step="outcome")


def _told(kind: str, agent: str, name: str, about: Mapping[str, object]) -> OutcomeEvent:
    lists = {key: value for key, value in about.items() if isinstance(value, list)}
    texts = {key: value for key, value in about.items() if value not in (None, "") and key not in lists}
    return OutcomeEvent(
        name, kind, f"agents/{agent}", {**redact_fields(texts, MAX_DETAIL_CHARS), **lists}, otel.current_traceparent()
    )
