"""Publishes the outcomes of releases and of pruning, where a topic is set; a topic that fails fails no release."""

from __future__ import annotations

from collections.abc import Mapping

from core.events import SecretChanged
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
SECRET_CHANGED = "Slipway.Secret.Changed"
MAX_DETAIL_CHARS = 1000


def release_event(agent: str, reason: Reason, release: ReleaseState, detail: str) -> OutcomeEvent | None:
    """The event for the end of a release, or None where nobody outside needs to know."""
    kind = APPROVAL_WAITING if reason is Reason.APPROVAL_WAITING else EVENT_TYPES.get(outcome_of(reason))
    push = release.push
    if kind is None:
        return None
    data = {
        "agent": agent,
        "reason": reason.value,
        "help": reason.help_for(agent, detail, image=push.reference if push else "", version=release.candidate or ""),
        "detail": detail,
        "version": release.candidate,
        "previous_version": release.routing_at_start.pinned if release.routing_at_start else None,
        "repository": push.repository if push else None,
        "tag": push.tag if push else None,
        "digest": push.digest if push else None,
        "pushed_at": push.pushed_at.isoformat() if push else None,
        "fingerprint": release.fingerprint,
        "signer": release.signer,
    }
    texts = {key: value for key, value in data.items() if value not in (None, "")}
    event_id = f"{agent}/{release.observed_generation}/{release.candidate or 0}/{reason}"
    return _event(kind, agent, event_id, redact_fields(texts, MAX_DETAIL_CHARS))


def prune_event(agent: str, versions: list[str], at: str) -> OutcomeEvent:
    """The event for deleted versions."""
    return _event(PRUNED, agent, f"{agent}/pruned/{at}", {"agent": agent, "versions": versions})


def secret_event(agent: str, changed: SecretChanged) -> OutcomeEvent:
    """The event for a new version of a secret that is only reported: ``release.on_secret_change: notify``."""
    reason = Reason.SECRET_CHANGE_REPORTED
    data = {"agent": agent, "reason": reason.value, "help": reason.help_for(agent), "secret": changed.name}
    event_id = f"{agent}/secret/{changed.name}/{changed.version}"
    return _event(SECRET_CHANGED, agent, event_id, redact_fields(data, MAX_DETAIL_CHARS))


def _event(kind: str, agent: str, event_id: str, data: Mapping[str, object]) -> OutcomeEvent:
    return OutcomeEvent(event_id, kind, f"agents/{agent}", data, otel.current_traceparent())


async def publish(events: list[OutcomeEvent], decisions: DecisionLog, gateways: Gateways) -> None:
    """Publish the events; a failure is recorded."""
    if not events or gateways.outcome_publisher is None:
        return
    try:
        await gateways.outcome_publisher.publish(events)
    except GatewayError as error:
        decisions.record(Reason.OUTCOME_NOT_PUBLISHED, str(error), step="outcome")
