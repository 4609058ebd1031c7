"""What an agent's answer proves: a question is put until it is answered, its time is up, or asking is of no use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import re2

from core.agents_file.spec import Probe
from core.model import Answer

AGAIN = frozenset({404, 408, 409, 424})
"""Statuses that a version answers with while it comes up; those of 500 and above likewise."""
QUOTA = frozenset({"QuotaExceeded", "RegionalQuotaExceeded"})
NOT_READY = frozenset({"AgentVersionNotReady", "session_not_ready"})
DISABLED = "AgentDisabled"


class Verdict(StrEnum):
    """What one answer means."""

    PASSED = "passed"
    WRONG = "wrong"
    """The agent answered, and not as it must: asking again would only be luck."""
    NOT_YET = "not_yet"
    """The version may still be coming up; when the time is up it has failed."""
    NOT_ASKED = "not_asked"
    """Quota or network: nothing is known about the version."""
    FORBIDDEN = "forbidden"
    """Our own right is missing: nothing is known about the version."""
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and why, without a word of what the agent said: it may know secrets."""

    verdict: Verdict
    detail: str = ""


class ProbeOutcome(StrEnum):
    """What all questions together came to."""

    PASSED = "passed"
    FAILED = "failed"
    FORBIDDEN = "forbidden"
    DISABLED = "disabled"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The outcome of verify or check."""

    outcome: ProbeOutcome
    detail: str = ""


def judge_answer(probe: Probe, answer: Answer, version: str) -> Judgement:
    """What an answer says about the version that should have given it."""
    if answer.problem:
        return Judgement(Verdict.WRONG, f"answered {answer.status}, {answer.problem}")
    refused = judge_refusal(answer)
    if refused is not None and not (probe.post is not None and answer.status == probe.status and not answer.code):
        return refused
    if answer.version is not None and answer.version != version:
        return Judgement(Verdict.NOT_YET, f"version {answer.version} answered in place of {version}")
    if probe.post is not None and answer.status != probe.status:
        return Judgement(Verdict.WRONG, f"answered {answer.status} in place of {probe.status}")
    if probe.expect is not None and not re2.search(probe.expect, answer.text):
        return Judgement(Verdict.WRONG, f"answered {len(answer.text)} characters that do not match {probe.expect}")
    return Judgement(Verdict.PASSED)


def judge_refusal(answer: Answer) -> Judgement | None:
    """What an answer means that is none of the agent's own, or None for one that is."""
    told = f"answered {answer.status}{f' {answer.code}' if answer.code else ''}"
    if answer.code == DISABLED:
        return Judgement(Verdict.DISABLED, told)
    if answer.status in (401, 403):
        return Judgement(Verdict.FORBIDDEN, told)
    if answer.status == 429 or answer.code in QUOTA:
        return Judgement(Verdict.NOT_ASKED, told)
    if answer.status in AGAIN or answer.status >= 500 or answer.code in NOT_READY:
        return Judgement(Verdict.NOT_YET, told)
    return Judgement(Verdict.WRONG, told) if answer.status >= 300 else None


def report_at_timeout(last: Judgement) -> ProbeReport:
    """What the last answer comes to, once there is no time to ask again."""
    outcome = {
        Verdict.PASSED: ProbeOutcome.PASSED,
        Verdict.FORBIDDEN: ProbeOutcome.FORBIDDEN,
        Verdict.DISABLED: ProbeOutcome.DISABLED,
        Verdict.NOT_ASKED: ProbeOutcome.INCONCLUSIVE,
        Verdict.NOT_YET: ProbeOutcome.FAILED,
        Verdict.WRONG: ProbeOutcome.FAILED,
    }[last.verdict]
    return ProbeReport(outcome, last.detail)


def may_ask_again(judged: Judgement) -> bool:
    """True where another answer to the same question may be another one."""
    return judged.verdict in (Verdict.NOT_YET, Verdict.NOT_ASKED)
