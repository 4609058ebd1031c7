"""Judges an agent's answer to a probe, and whether to ask again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

import re2

from core.agents_file.spec import Probe
from core.foreign_text import as_came
from core.model import Answer
from core.service_codes import (
    AGENT_SERVER,
    DISABLED,
    NOT_UP,
    PREVIEW,
    QUOTA,
    SESSION_GONE,
    STARTING,
    is_service_code,
    normalized,
)

AGAIN = frozenset({404, 408, 409, 423, 424, 425})
"""Statuses of a version that is still coming up; so are all from 500."""
NEVER_EXPECTED_WITH_A_CODE = AGAIN | {401, 403, 429, 502, 503, 504}
"""With these the service itself refuses requests: a probe that expects one needs proof that the agent gave it."""


STARTING_MESSAGE = re.compile(
    r"(?is)\b(still|currently|is) being (provisioned|deployed|swapped in)|\bbeing swapped in\b|\bstill provisioning\b"
    r"|\bversion\b.{0,80}\bis (still |currently )?(provisioning|not (yet )?(ready|provisioned))\b"
)
"""``400 bad_request`` says it in words alone: deploy-hosted-agent-code.md of azure-ai-docs, Troubleshooting."""
UNFINISHED = frozenset({"in_progress", "queued"})
NOT_COMPLETED = frozenset({"incomplete", "cancelled"})


class Verdict(StrEnum):
    """The meaning of one answer."""

    PASSED = "passed"
    WRONG = "wrong"
    """The agent answered wrongly; it is not asked again."""
    NOT_YET = "not_yet"
    """The version may still be coming up; if its time is up, it has failed."""
    NOT_ASKED = "not_asked"
    """The quota, the network or the service failed: nothing is known about the version."""
    FORBIDDEN = "forbidden"
    """The app lacks a permission: nothing is known about the version."""
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its cause; the detail never quotes an agent's text, and shows codes as they may be shown."""

    verdict: Verdict
    detail: str = ""
    still_starting: bool = field(default=False, compare=False)
    """The service says that the version is being provisioned."""
    unknown_at_timeout: bool = field(default=False, compare=False)
    """If the time is up on this answer, nothing is known about the version."""


class ProbeOutcome(StrEnum):
    """The result of all probes of a gate."""

    PASSED = "passed"
    FAILED = "failed"
    FORBIDDEN = "forbidden"
    DISABLED = "disabled"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The result of verify or check, with its detail."""

    outcome: ProbeOutcome
    detail: str = ""
    still_starting: bool = False
    """It failed because the service went on saying that the version is being provisioned."""
    log: str = field(default="", compare=False)
    """What the container printed last, where that was read; no decision depends on it."""


def judge_answer(probe: Probe, answer: Answer, version: str, session: str | None = None) -> Judgement:
    """Judge the answer to a probe of this version, asked in its session or, without one, of the live traffic."""
    if detail := _answered_elsewhere(answer, version, session):
        return Judgement(Verdict.NOT_YET, detail, unknown_at_timeout=True)
    if answer.problem:
        return Judgement(Verdict.WRONG, f"{_answered(answer)}, {answer.problem}")
    refusal = None if _is_expected_error(probe, answer) else judge_refusal(answer)
    return refusal or _judge_response(answer) or _judge_content(probe, answer)


def _answered_elsewhere(answer: Answer, version: str, session: str | None) -> str:
    """Which other version answered; empty where this one did, or nothing names another.

    A session is bound to its version. So its id proves more than a body, in which an agent may write any version, and
    the service's own header (x-agent-version-resolved) more than both.
    """
    in_session = bool(session) and answer.session == session
    if answer.version is not None and not (answer.version_from_body and in_session):
        return "" if answer.version == version else f"version {answer.version} answered in place of {version}"
    if session and answer.session and not in_session:
        return f"another session answered in place of that of version {version}"
    return ""


def judge_refusal(answer: Answer) -> Judgement | None:
    """Judge an error in place of an answer; None where the agent answered the question."""
    if answer.status < 300:
        return None
    code, detail, by_agent = normalized(answer.code), _answered(answer), answer.origin == "agent"
    if code in DISABLED:
        return Judgement(Verdict.DISABLED, detail)
    if code in STARTING or _says_starting(answer):
        return Judgement(Verdict.NOT_YET, detail, still_starting=True)
    if code in PREVIEW:
        return Judgement(Verdict.NOT_ASKED, detail)
    if answer.status in (401, 403) and not by_agent:
        return Judgement(Verdict.FORBIDDEN, detail)
    if answer.status == 429 or code in QUOTA:
        return Judgement(Verdict.NOT_ASKED, detail)
    return _judge_error(answer, code, detail)


def _judge_error(answer: Answer, code: str, detail: str) -> Judgement:
    """Judge an error that is not about quotas, permissions or provisioning by who gave it.

    The service always gives a code, so an error without a code is the agent's own.
    """
    unmarked = answer.origin == "" and answer.code != "" and code not in AGENT_SERVER
    from_service = answer.origin == "service" or unmarked
    if code in NOT_UP:
        return Judgement(Verdict.NOT_YET, detail)
    if answer.status >= 500:
        return Judgement(Verdict.NOT_ASKED if answer.origin == "service" else Verdict.NOT_YET, detail)
    if answer.status in AGAIN:
        missing = answer.status in (404, 424) and code not in SESSION_GONE
        return Judgement(Verdict.NOT_YET, detail, unknown_at_timeout=from_service and not missing)
    return Judgement(Verdict.NOT_ASKED if from_service else Verdict.WRONG, detail)


def _judge_response(answer: Answer) -> Judgement | None:
    """Judge the status that a response gives itself; None where it is complete, or has none."""
    detail = f"{_answered(replace(answer, code=''))} with status {answer.response_status}"
    if answer.response_status == "failed":
        refused = judge_refusal(replace(answer, status=500, response_status=""))
        return replace(refused, detail=f"{detail} ({answer.code})" if answer.code else detail) if refused else None
    if answer.response_status in UNFINISHED:
        return Judgement(Verdict.NOT_YET, detail)
    if answer.response_status in NOT_COMPLETED:
        reason = f" ({answer.incomplete_reason})" if answer.incomplete_reason else ""
        return Judgement(Verdict.WRONG, detail + reason)
    return None


def _judge_content(probe: Probe, answer: Answer) -> Judgement:
    """Judge what the agent answered; a response without text is wrong, whatever the probe expects."""
    text = as_came(answer.text)
    if probe.post is not None and answer.status != probe.status:
        return Judgement(Verdict.WRONG, f"{_answered(answer)} in place of {probe.status}")
    if probe.ask is not None and not text:
        other = f", but with {answer.other_output}" if answer.other_output else ""
        return Judgement(Verdict.WRONG, f"answered with no text{other}")
    if probe.expect is not None and not re2.search(probe.expect, text):
        return Judgement(Verdict.WRONG, f"answered {len(text)} characters that do not match {probe.expect}")
    return Judgement(Verdict.PASSED)


def _is_expected_error(probe: Probe, answer: Answer) -> bool:
    """True where a probe expects this error status, and the agent gave it rather than the service."""
    if probe.post is None or answer.status != probe.status or is_service_code(answer.code):
        return False
    if answer.origin == "agent" or not answer.code:
        return answer.origin != "service"
    return answer.origin == "" and answer.status not in NEVER_EXPECTED_WITH_A_CODE and not _says_starting(answer)


def _says_starting(answer: Answer) -> bool:
    """True for a refusal whose words say that the version is still being provisioned."""
    return answer.status < 500 and STARTING_MESSAGE.search(as_came(answer.message or answer.text)) is not None


def _answered(answer: Answer) -> str:
    code = f" {answer.code}" if answer.code else ""
    return f"answered {answer.status}{code}{f' (request {answer.request_id})' if answer.request_id else ''}"


def report_at_timeout(last: Judgement) -> ProbeReport:
    """The report of the last answer once the time is up."""
    outcome = {
        Verdict.PASSED: ProbeOutcome.PASSED,
        Verdict.FORBIDDEN: ProbeOutcome.FORBIDDEN,
        Verdict.DISABLED: ProbeOutcome.DISABLED,
        Verdict.NOT_ASKED: ProbeOutcome.INCONCLUSIVE,
        Verdict.NOT_YET: ProbeOutcome.INCONCLUSIVE if last.unknown_at_timeout else ProbeOutcome.FAILED,
        Verdict.WRONG: ProbeOutcome.FAILED,
    }[last.verdict]
    return ProbeReport(outcome, last.detail, last.still_starting)


def may_ask_again(judgement: Judgement) -> bool:
    """Whether the same question may get a different answer."""
    return judgement.verdict in (Verdict.NOT_YET, Verdict.NOT_ASKED)
