"""What the state store has of the subject of ``slipway why``: pushes, the release, and what keeps it back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cli.durations import as_iso
from cli.release_status import hold_fields, pause_fields, rejection_fields, release_status, rollback_fields
from core.agents_file.spec import AgentSpec
from core.model import Push
from core.reasons import Reason
from core.release_outcome import awaits_window
from core.state.desired import DesiredState, RollbackRequest
from core.state.holds import active
from core.state.release import ReleaseState

MIN_DIGEST_DIGITS = 6
Decision = Mapping[str, object]
Entry = dict[str, Any]
States = Mapping[str, tuple[DesiredState, ReleaseState]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the user asked about: text of any kind, and the digests that it turned out to mean."""

    text: str
    repository: str = ""
    """Where the text is an agent's name: the repository that it follows."""
    digests: frozenset[str] = frozenset()

    @property
    def as_stored(self) -> set[str]:
        """Texts of which a decision about the subject has at least one."""
        tag = self.text.rpartition(":")[2]  # of REPOSITORY:TAG, and the digits of a digest
        of_agent = {self.repository, Reason.CONFIG_INVALID.value} if self.repository else set()
        return {text for text in (self.text, tag, *of_agent) if text}

    def with_digests(self, digests: Iterable[str]) -> Subject:
        """Also about these images."""
        return replace(self, digests=self.digests | set(digests))

    def with_pushes(self, states: States) -> Subject:
        """Also about the images of the pushes that it names."""
        pushes = [push for desired, release in states.values() for _, push, _ in pushes_of(desired, release)]
        return self.with_digests(push.digest for push in pushes if self.is_about(as_decision(push)))

    def is_about(self, decision: Decision) -> bool:
        """True where the decision names the subject."""
        digest, digits = str(decision.get("digest") or ""), self.text.removeprefix("sha256:")
        if self.text in (decision.get("event"), decision.get("tag"), digest, decision.get("agent")):
            return True
        if self.text == f"{decision.get('repository')}:{decision.get('tag')}" or self._concerns_agent(decision):
            return True
        return len(digits) >= MIN_DIGEST_DIGITS and digest.removeprefix("sha256:").startswith(digits)

    def _concerns_agent(self, decision: Decision) -> bool:
        """True for an event of the agent's repository that failed, and for an agents.yaml that is wrong."""
        if not self.repository or decision.get("agent"):
            return False
        is_wrong_file = decision.get("reason") == Reason.CONFIG_INVALID and not decision.get("event")
        is_undecided = decision.get("reason") in (Reason.CONFIG_INVALID, Reason.POISONED)
        return is_wrong_file or (is_undecided and decision.get("repository") == self.repository)

    def concerns(self, decision: Decision) -> bool:
        """True where the decision names the subject, or one of its images."""
        return decision.get("digest") in self.digests or self.is_about(decision)

    def includes(self, push: Push) -> bool:
        """True where the push is of the subject."""
        return self.concerns(as_decision(push))


def as_decision(push: Push) -> Decision:
    """Return the push under the names of a decision's fields."""
    return {"digest": push.digest, "tag": push.tag, "event": push.event_id, "repository": push.repository}


def pushes_of(desired: DesiredState, release: ReleaseState) -> list[tuple[str, Push, dict[str, Any]]]:
    """Return the desired push, the last good one, the candidate's and those that wait, with a kind and more fields."""
    good, candidate = release.last_good, release.push if release.is_open else None
    phase = {"phase": release.phase.value, "version": release.candidate, **_signer(release.signer)}
    pushes = [("desired", desired.push, {}), ("candidate", candidate, phase)]
    pushes[1:1] = [("last_good", good.push, _signer(good.signer))] if good else []
    pushes += [("waiting", item.push, _wait(Reason.NOT_DUE, item.since, None)) for item in desired.waiting]
    if (stage := desired.stage_wait) and stage.reason == Reason.STAGE_WAITING:
        pushes.append(("waiting", stage.push, _wait(Reason.STAGE_WAITING, stage.since, stage.until)))
    return [(kind, push, fields) for kind, push, fields in pushes if push is not None]


def _wait(reason: Reason, since: datetime | None, until: datetime | None) -> dict[str, Any]:
    return {"reason": reason.value, "since": as_iso(since), "until": as_iso(until)}


def _signer(signer: str) -> dict[str, Any]:
    return {"signer": signer} if signer else {}


def current_state(
    spec: AgentSpec, desired: DesiredState, release: ReleaseState, subject: Subject, now: datetime
) -> list[Entry]:
    """Return what of the agent's state concerns the subject."""
    is_agent = subject.text == spec.name
    pushes = [item for item in pushes_of(desired, release) if is_agent or subject.includes(item[1])]
    entries: list[Entry] = [{"kind": kind, **push.fields, **fields} for kind, push, fields in pushes]
    rejection, rollback = desired.last_rejection, desired.rollback
    if rejection is not None and (is_agent or subject.includes(rejection.push)):
        entries.append({"kind": "rejected", **rejection_fields(rejection, now)})
    if rollback is not None and (is_agent or _is_rolled_back(desired, rollback, subject)):
        entries.append({"kind": "rolled_back", **rollback_fields(rollback, release, now)})
    entries += _holds(desired, release, subject, is_agent=is_agent, now=now)
    is_next = is_agent or any(kind in ("desired", "candidate", "waiting") for kind, _, _ in pushes)
    if is_next:
        entries += [*_pause(desired, now), *_window(spec, release, now), *_release(spec, desired, release, now)]
    return [{"agent": spec.name, **entry} for entry in entries]


def _is_rolled_back(desired: DesiredState, rollback: RollbackRequest, subject: Subject) -> bool:
    """True where the rollback in force is to the subject or away from it."""
    held = [{"digest": hold.digest} for hold in desired.holds if hold.digest and hold.since == rollback.at]
    about = [*held, *([as_decision(rollback.push)] if rollback.push else [])]
    return any(map(subject.concerns, about))


def _holds(
    desired: DesiredState, release: ReleaseState, subject: Subject, *, is_agent: bool, now: datetime
) -> list[Entry]:
    entries: list[Entry] = []
    for hold in active(desired, release, now):
        is_named = hold.digest and subject.concerns({"digest": hold.digest})
        is_definition = hold.fingerprint == release.fingerprint and release.push and subject.includes(release.push)
        if is_agent or is_named or (hold.fingerprint and is_definition):
            entries.append({"kind": "hold", "why": hold.detail, **hold_fields(hold, now)})
    return entries


def _pause(desired: DesiredState, now: datetime) -> list[Entry]:
    pause = desired.pause
    return [{"kind": "pause", **pause_fields(pause, now)}] if pause is not None and pause.is_active(now) else []


def _window(spec: AgentSpec, release: ReleaseState, now: datetime) -> list[Entry]:
    """Return when the window opens for which the release waits."""
    opening = spec.release.opens_at(now)
    if release.push is None or opening is None or not awaits_window(release):
        return []
    return [{"kind": "window", "opens_at": as_iso(opening), "opens": spec.release.describe(opening, now)}]


def _release(spec: AgentSpec, desired: DesiredState, release: ReleaseState, now: datetime) -> list[Entry]:
    """Return the state of the newest release, with the command that helps, unless it is live and settled."""
    status = release_status(desired, release, spec, now)
    is_shown = status["state"] == Reason.NOT_DUE and desired.waiting  # with the pushes that wait
    if is_shown or status["state"] in (Reason.LIVE, Reason.ALREADY_LIVE, Reason.NO_PUSH_YET):
        return []
    fields = {key: status[key] for key in ("state", "since", "age_s", "not_before", "next", "remedy")}
    return [{"kind": "release", "detail": status["detail"] if status["state"] == release.reason else "", **fields}]
