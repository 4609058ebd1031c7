"""Judges an agent's answer to a probe, and whether to ask again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import re2

from core.agents_file.spec import Probe
from core.model import Answer

AGAIN = frozenset({404, 408, 409, 424})
"""Statuses of a version that is still coming up; so are all from 500."""
QUOTA = frozenset({"QuotaExceeded", "RegionalQuotaExceeded"})
NOT_READY = frozenset({"AgentVersionNotReady", "session_not_ready"})
DISABLED = "AgentDisabled"


class Verdict(StrEnum):
    """The meaning of one answer."""

    PASSED = "passed"
    WRONG = "wrong"
    """The agent answered wrongly; it is not asked again."""
    NOT_YET = "not_yet"
    """The version may still be coming up; if its time is up, it has failed."""
    NOT_ASKED = "not_asked"
    """The quota or the network failed: nothing is known about the version."""
    FORBIDDEN = "forbidden"
    """The app lacks a permission: nothing is known about the version."""
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its cause; the detail never quotes the agent, which may know secrets."""

    verdict: Verdict
    detail: str = ""


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


def judge_answer(probe: Probe, answer: Answer, version: str) -> Judgement:
    """Judge the answer to a probe of this version."""
    if answer.problem:
        return Judgement(Verdict.WRONG, f"answered {answer.status}, {answer.problem}")
    refusal = judge_refusal(answer)
    if refusal is not None and not (probe.post is not None and answer.status == probe.status and not answer.code):
        return refusal
    if answer.version is not None and answer.version != version:
        return Judgement(Verdict.NOT_YET, f"version {answer.version} answered in place of {version}")
    if probe.post is not None and answer.status != probe.status:
        return Judgement(Verdict.WRONG, f"answered {answer.status} in place of {probe.status}")
    if probe.expect is not None and not re2.search(probe.expect, answer.text):
        return Judgement(Verdict.WRONG, f"answered {len(answer.text)} characters that do not match {probe.expect}")
    return Judgement(Verdict.PASSED)


def judge_refusal(answer: Answer) -> Judgement | None:
    """Judge an error in place of an answer; None where the agent itself answered."""
    detail = f"answered {answer.status}{f' {answer.code}' if answer.code else ''}"
    if answer.code == DISABLED:
        return Judgement(Verdict.DISABLED, detail)
    if answer.status in (401, 403):
        return Judgement(Verdict.FORBIDDEN, detail)
    if answer.status == 429 or answer.code in QUOTA:
        return Judgement(Verdict.NOT_ASKED, detail)
    if answer.status in AGAIN or answer.status >= 500 or answer.code in NOT_READY:
        return Judgement(Verdict.NOT_YET, detail)
    return Judgement(Verdict.WRONG, detail) if answer.status >= 300 else None


def report_at_timeout(last: Judgement) -> ProbeReport:
    """The report of the last answer once the time is up."""
    outcome = {
        Verdict.PASSED: ProbeOutcome.PASSED,
        Verdict.FORBIDDEN: ProbeOutcome.FORBIDDEN,
        Verdict.DISABLED: ProbeOutcome.DISABLED,
        Verdict.NOT_ASKED: ProbeOutcome.INCONCLUSIVE,
        Verdict.NOT_YET: ProbeOutcome.FAILED,
        Verdict.WRONG: ProbeOutcome.FAILED,
    }[last.verdict]
    return ProbeReport(outcome, last.detail)


def may_ask_again(judgement: Judgement) -> bool:
    """Whether the same question may get a different answer."""
    return judgement.verdict in (Verdict.NOT_YET, Verdict.NOT_ASKED)
