"""evaluate: the candidate answers a dataset well enough, before it gets traffic.

A version is evaluated once. Each step is stored before the next one, so that a process that is killed goes on with the
same run. Only scores below a threshold fail a version; whatever keeps them from being known is tried again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from core.agents_file.evaluation import EvaluateSpec
from core.agents_file.spec import AgentSpec
from core.grading import compare
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, Evaluate, Poll, Read, ReadEvaluation, Requeue, UpdateState
from core.release.inputs import DecisionInput, rollback_version
from core.state.evaluation import Evaluation
from core.state.release import Phase, ReleaseState
from core.timing import CONSISTENCY_LAG

MAX_ATTEMPTS = 3
RETRY_AFTER = timedelta(minutes=5)
"""Quotas of tokens and of sessions are back within minutes."""
MAX_RETRY_AFTER = timedelta(hours=1)


def evaluate(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Ask the rows, wait for the run, and decide; a version that a person rolls back to was good before."""
    asked, release = spec.release.evaluate, inputs.release
    if asked is None or release.phase not in (Phase.CONFIRMED, Phase.VERIFIED):
        return None
    if rollback_version(inputs.desired) is not None:
        return None
    evaluation = evaluation_of(release, asked)
    if evaluation is not None and evaluation.is_complete:
        return _decide(release, spec, asked, evaluation, now)
    if evaluation is not None and evaluation.problem:
        return _after_problem(release, evaluation, now)
    if evaluation is not None and abs(now - evaluation.started_at) >= asked.within:
        state = inconclusive(release, evaluation, f"no result within {asked.within.total_seconds():.0f} s", now)
        return UpdateState(Reason.EVALUATION_INCONCLUSIVE, state, already_reported=True)
    if evaluation is not None and evaluation.sent_at is not None:
        return ReadEvaluation(evaluation.version, asked)
    return inputs.needs(Read.AGENT) or Evaluate(release.candidate or "", asked)


def evaluation_of(release: ReleaseState, spec: EvaluateSpec) -> Evaluation | None:
    """The evaluation of this candidate by this dataset and these criteria."""
    found = release.evaluation
    if found is None or found.version != release.candidate or found.key != spec.key:
        return None
    return found


def baseline_version(inputs: DecisionInput, spec: EvaluateSpec) -> str:
    """The live version, where the candidate is compared with it; empty where there is none."""
    live = inputs.agent.live if inputs.agent else None
    return live if spec.no_worse_than and live and live != inputs.release.candidate else ""


def after_run_missing(release: ReleaseState, evaluation: Evaluation, now: datetime) -> Action:
    """A run that was about to be started does not show: wait for it, then ask the rows again."""
    if abs(now - (evaluation.sent_at or now)) < CONSISTENCY_LAG:
        return Poll(Reason.UNCLEAR_ANSWER, evaluation.version)
    again = Evaluation(evaluation.version, evaluation.key, now, evaluation.attempt)
    return UpdateState(Reason.WRITE_NOT_APPLIED, replace(release, evaluation=again))


def inconclusive(
    release: ReleaseState, evaluation: Evaluation, problem: str, now: datetime, retry_after: float | None = None
) -> ReleaseState:
    """The attempt gave no result; the next one starts anew."""
    wait = min(max(RETRY_AFTER, timedelta(seconds=retry_after or 0.0)), MAX_RETRY_AFTER)
    failed = Evaluation(evaluation.version, evaluation.key, now, evaluation.attempt, problem=problem)
    return replace(release, evaluation=replace(failed, retry_at=now + wait))


def _after_problem(release: ReleaseState, evaluation: Evaluation, now: datetime) -> Action:
    reason, retry_at = Reason.EVALUATION_INCONCLUSIVE, evaluation.retry_at or now
    detail = f"attempt {evaluation.attempt} of {MAX_ATTEMPTS}: {evaluation.problem}"
    if evaluation.attempt >= MAX_ATTEMPTS:
        return EndRelease(reason, transitions.ended(release, reason, now, detail), detail)
    if now < retry_at:
        return Requeue(reason, retry_at, detail)
    again = Evaluation(evaluation.version, evaluation.key, now, evaluation.attempt + 1)
    return UpdateState(reason, replace(release, evaluation=again), already_reported=True)


def _decide(
    release: ReleaseState, spec: AgentSpec, asked: EvaluateSpec, evaluation: Evaluation, now: datetime
) -> Action:
    results = compare(asked, evaluation.scores, evaluation.live_scores)
    failed_first = sorted(results, key=lambda result: result.is_passed)
    detail = "; ".join(map(str, failed_first))
    release = replace(release, evaluation=replace(evaluation, results=results))
    if all(result.is_passed for result in results):
        return UpdateState(Reason.EVALUATION_PASSED, transitions.in_phase(release, Phase.EVALUATED), detail=detail)
    reason = Reason.EVALUATION_FAILED
    held = transitions.held(release, reason, detail, spec.release.hold_for, now)
    return EndRelease(reason, transitions.ended(held, reason, now, detail), detail)
