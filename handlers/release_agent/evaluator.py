"""Evaluates a candidate, one step at a time: ask the rows and grade them, start a run in Foundry, read how far it is.

Each step ends with a stored state, from which another process goes on. Rows and answers are in no state and no line:
they go to the agent and, without secrets, to the run.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from core.agents_file.evaluation import EvaluateSpec
from core.evaluation import AskedRows, EvaluationRun, RunStatus
from core.grading import grade_rows, grade_run, run_rows
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Poll
from core.release.gates.evaluate import after_run_missing, baseline_version, evaluation_of, inconclusive
from core.release.inputs import DecisionInput
from core.state.evaluation import Evaluation, Score
from core.state.release import ReleaseState
from core.timing import CONSISTENCY_LAG
from handlers.gateways.errors import PermanentError, TransientError
from handlers.redaction import redact
from handlers.release_agent.ask_rows import RowAsker
from handlers.release_agent.container_log import read_container_log
from handlers.release_agent.release_context import ActionResult, ReleaseContext

RUN_NAME = "slipway"
"""Of the one run of an evaluation."""
NOT_FOUND = "not_found"
"""Foundry's code for what is not there, or does not show yet; a judge that is not there has another code."""
Rows = list[dict[str, str]]


async def read_evaluation(inputs: DecisionInput, asked: EvaluateSpec, run: ReleaseContext) -> ActionResult:
    """Look for the run, or read how far it is; raises LeaseLostError, TransientError or PermanentError."""
    evaluation = evaluation_of(inputs.release, asked)
    if evaluation is None:  # pragma: no cover - it was decided on one
        raise ValueError("an evaluation is read that has begun")
    if not evaluation.run_id:
        return await _find_run(inputs, evaluation, run)
    reading = run.gateways.foundry.get_run(evaluation.service_id, evaluation.run_id)
    found = await run.keeper.during(reading)  # a thousand rows are a hundred pages
    sent_at = evaluation.sent_at or evaluation.started_at
    may_lag = found is None and run.gateways.clock.now() - sent_at < CONSISTENCY_LAG
    if may_lag or (found is not None and found.status is RunStatus.RUNNING):
        return ActionResult(inputs.release, inputs.observed, Poll(Reason.EVALUATION_RUNNING, evaluation.version))
    return await _saved(_after_run(inputs.release, asked, evaluation, found, run), run)


async def evaluate(inputs: DecisionInput, asked: EvaluateSpec, run: ReleaseContext) -> ActionResult:
    """Ask the rows, grade what Slipway grades, and start the run for the rest.

    Raises LeaseLostError, TransientError or PermanentError.
    """
    release, clock = await _report_start(inputs, run), run.gateways.clock
    before = evaluation_of(release, asked)
    attempt, baseline = before.attempt if before else 1, baseline_version(inputs, asked)
    evaluation = Evaluation(release.candidate or "", asked.key, clock.now(), attempt, live_version=baseline)
    known = _known_scores(release, evaluation)
    if problem := await _secret_in_rows(release, asked, run):
        return await _saved(inconclusive(release, evaluation, problem, clock.now()), run)
    before_end = partial(_keep_log, release, run) if run.spec.release.logs else None
    own = await _ask(evaluation.version, asked, run, before_end)
    compares = bool(evaluation.live_version) and not known and not own.inconclusive
    live = await _ask(evaluation.live_version, asked, run) if compares else AskedRows()
    if problem := own.inconclusive or live.inconclusive:
        return await _saved(inconclusive(release, evaluation, problem, clock.now()), run)
    own_rows = run_rows(asked.rows, own.answers)
    live_rows = run_rows(asked.rows, live.answers) if compares else []
    live_scores = grade_rows(asked, live.answers) if compares else known
    evaluation = replace(
        evaluation,
        scores=grade_rows(asked, own.answers),
        live_scores=live_scores,
        row_counts=(len(own_rows), len(live_rows)),
    )
    if asked.service_criteria() and own_rows:
        return await _start_run(release, asked, evaluation, [*own_rows, *live_rows], run)
    nothing_sent = EvaluationRun("", RunStatus.COMPLETED)
    return await _saved(_after_run(release, asked, replace(evaluation, row_counts=(0, 0)), nothing_sent, run), run)


async def _secret_in_rows(release: ReleaseState, asked: EvaluateSpec, run: ReleaseContext) -> str:
    """The row that holds the value of a secret of the version: whoever reads the package would read it."""
    await run.words.may_be_shown(release)
    for row in asked.rows:
        text = json.dumps([row.question, row.expect, row.contains, row.schema, row.reference], ensure_ascii=False)
        if redact(text) != text:
            return f"line {row.line} of {asked.dataset} holds the value of a secret; remove it, and change the secret"
    return ""


async def _report_start(inputs: DecisionInput, run: ReleaseContext) -> ReleaseState:
    """Record once that the candidate is evaluated, before its questions are asked."""
    release, desired, reason = inputs.release, inputs.desired, Reason.EVALUATION_RUNNING
    if not transitions.is_reported(release, desired, reason):
        release = transitions.reported(release, desired, reason)
        await run.save(release)
        run.log.record(reason, release, desired)
        await run.log.flush()
    return release


def _known_scores(release: ReleaseState, evaluation: Evaluation) -> tuple[Score, ...]:
    """The scores of the live version, where it answered the same dataset when it was released."""
    good = release.last_good
    is_live = good is not None and (good.version, good.scores_key) == (evaluation.live_version, evaluation.key)
    return good.scores if good is not None and is_live else ()


async def _keep_log(release: ReleaseState, run: ReleaseContext, session: str) -> None:
    """Read what the container printed, before anybody knows the verdict: the session ends before that."""
    foundry, version, shown = run.gateways.foundry, release.candidate or "", partial(run.words.may_be_shown, release)
    run.log.container_log = await read_container_log(foundry, run.spec.name, version, session, shown)


async def _ask(
    version: str,
    asked: EvaluateSpec,
    run: ReleaseContext,
    before_end: Callable[[str], Awaitable[None]] | None = None,
) -> AskedRows:
    foundry, clock, within = run.gateways.foundry, run.gateways.clock, asked.within.total_seconds()
    asker = RowAsker(run.spec.name, version, asked.rows, foundry, clock, run.closer, within, before_end)
    return await run.keeper.during(asker.ask_all(asked.rows_at_once))


async def _start_run(
    release: ReleaseState, asked: EvaluateSpec, evaluation: Evaluation, rows: Rows, run: ReleaseContext
) -> ActionResult:
    """Create the evaluation, save that its run is about to start, start it once, and save its id."""
    clock, foundry = run.gateways.clock, run.gateways.foundry
    if not await run.words.may_be_shown(release):
        problem = "the secrets that the answers may repeat could not be read, so that they cannot be left out"
        return await _saved(inconclusive(release, evaluation, problem, clock.now()), run)
    masked = [{key: redact(text) for key, text in row.items()} for row in rows]
    try:
        service_id = await foundry.create_evaluation(run.spec.name, evaluation.version, asked.service_criteria())
        await run.keeper.keep()
        evaluation = replace(evaluation, service_id=service_id, sent_at=clock.now())
        intent = replace(release, evaluation=evaluation)
        await run.save(intent)
        run_id = await foundry.start_run(service_id, RUN_NAME, masked)
    except TransientError as error:
        if not error.throttled:  # an unclear answer: the intent says what to look for
            return ActionResult(intent if error.unclear and evaluation.sent_at else release, error=error)
        problem = f"Foundry refuses evaluations now: {error.code}"
        return await _saved(inconclusive(release, evaluation, problem, clock.now(), error.retry_after), run)
    except PermanentError as error:
        if error.code != NOT_FOUND or evaluation.sent_at is None:
            return ActionResult(release, error=error)
        problem = "Foundry does not have the evaluation that it has just created"
        return await _saved(inconclusive(release, evaluation, problem, clock.now()), run)
    return await _saved(replace(intent, evaluation=replace(evaluation, run_id=run_id)), run)


async def _find_run(inputs: DecisionInput, evaluation: Evaluation, run: ReleaseContext) -> ActionResult:
    """Look for a run whose start nobody recorded."""
    run_id = await run.gateways.foundry.find_run(evaluation.service_id, RUN_NAME)
    if run_id is None:
        follow_up = after_run_missing(inputs.release, evaluation, run.gateways.clock.now())
        return ActionResult(inputs.release, inputs.observed, follow_up)
    return await _saved(replace(inputs.release, evaluation=replace(evaluation, run_id=run_id)), run)


def _after_run(
    release: ReleaseState,
    asked: EvaluateSpec,
    evaluation: Evaluation,
    found: EvaluationRun | None,
    run: ReleaseContext,
) -> ReleaseState:
    """The scores of a run that is over, or why it has none."""
    is_complete = found is not None and found.status is RunStatus.COMPLETED
    graded = grade_run(asked, found, evaluation.row_counts) if found is not None and is_complete else None
    if found is None or graded is None:
        problem = found.detail or "the run has not one result for each row" if found else "the run does not exist"
        return inconclusive(release, evaluation, problem, run.gateways.clock.now())
    own, live = graded
    scored = replace(evaluation, scores=(*evaluation.scores, *own), live_scores=(*evaluation.live_scores, *live))
    return replace(release, evaluation=replace(scored, report_url=found.report_url, is_complete=True))


async def _saved(state: ReleaseState, run: ReleaseContext) -> ActionResult:
    """Store the step; asking took a while, so the next pass reads everything again."""
    await run.save(state)
    return ActionResult(state)
