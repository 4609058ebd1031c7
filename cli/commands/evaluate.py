"""``slipway evaluate``: asks a version the rows of its dataset and grades the answers, as a release does."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.exit_codes import BAD_RESULT, DONE, NOTHING_TO_DO, SERVICE_ERROR, UsageError
from cli.options import Agent, AsJson, Local
from cli.runner import CommandContext, CommandResult, run_and_print

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.agents_file.evaluation import EvaluateSpec
    from core.agents_file.spec import AgentSpec
    from core.evaluation import EvaluationRun, RowAnswer
    from core.state.evaluation import Score

HEADINGS = ("CRITERION", "SCORE", "THRESHOLD", "LIVE", "RESULT")
POLL_SECONDS = 5.0
"""Between two reads of a run, as azd and Microsoft's samples wait."""
MAX_LINES_SHOWN = 5


class InconclusiveError(Exception):
    """Nothing is known about the version; the text says why."""


def evaluate(
    agent: Agent,
    version: Annotated[str | None, typer.Option(help="A version; by default the live one.")] = None,
    local: Local = False,
    as_json: AsJson = False,
) -> None:
    """Grade an agent's answers to the dataset of release.evaluate. Exits with 1 where a score is too low."""
    run_and_print(local, as_json, lambda context: grade(context, agent, version))


async def grade(context: CommandContext, agent: str, version: str | None) -> CommandResult:
    """Return each score beside its threshold; nothing is written to the state store, and traffic stays."""
    spec = context.spec_of(agent)
    if spec.release.evaluate is None:
        raise UsageError(f"{agent} has no release.evaluate in agents.yaml")
    found = await context.gateways.foundry.get_agent(agent)
    live = found.live if found else None
    version = version or live
    if version is None:
        return CommandResult(f"{agent} has no live version", {"agent": agent}, NOTHING_TO_DO)
    compared = live if spec.release.evaluate.no_worse_than and live != version else None
    await _check_is_active(context, agent, version)
    try:
        data = await _Evaluation(context, spec, spec.release.evaluate).of(version, compared)
    except InconclusiveError as error:
        data = {"result": "inconclusive", "detail": str(error), "scores": []}
    data = {"agent": agent, "version": version, "live": live, **data}
    codes = {"passed": DONE, "failed": BAD_RESULT, "inconclusive": SERVICE_ERROR}
    return CommandResult(_text(data), data, codes[data["result"]])


async def _check_is_active(context: CommandContext, agent: str, version: str) -> None:
    from core.model import Status

    found = await context.gateways.foundry.get_version(agent, version)
    if found is None:
        raise UsageError(f"{agent} has no version {version}; `slipway versions {agent}` lists them")
    if found.status is not Status.ACTIVE:
        raise UsageError(f"version {version} of {agent} is {found.status}, so it cannot be asked")


class _Evaluation:
    """Asks, starts the run in Foundry where a criterion needs it, and waits for its end."""

    def __init__(self, context: CommandContext, spec: AgentSpec, asked: EvaluateSpec) -> None:
        self._context, self._spec, self._asked = context, spec, asked
        self._foundry, self._clock = context.gateways.foundry, context.gateways.clock
        self._ends = self._clock.monotonic() + asked.within.total_seconds()

    async def of(self, version: str, compared: str | None) -> dict[str, Any]:
        """Return the scores of the version beside those of the compared one; raise InconclusiveError."""
        from core.grading import compare, grade_rows

        answers = await self._ask(version)
        live_answers = await self._ask(compared) if compared else ()
        own, live, report = await self._graded_by_foundry(version, answers, live_answers)
        live = (*(grade_rows(self._asked, live_answers) if compared else ()), *live)
        results = compare(self._asked, (*grade_rows(self._asked, answers), *own), live)
        unanswered = [
            {"line": row.line, "detail": answer.detail}
            for row, answer in zip(self._asked.rows, answers, strict=True)
            if answer.text is None
        ]
        return {
            "result": "passed" if all(result.is_passed for result in results) else "failed",
            "rows": len(answers),
            "scores": [asdict(result) for result in results],
            "unanswered": unanswered,
            "report": report,
        }

    async def _ask(self, version: str) -> tuple[RowAnswer, ...]:
        from handlers.release_agent.ask_rows import RowAsker
        from handlers.release_agent.session_closer import SessionCloser

        await self._hide_secrets(version)
        asked, name = self._asked, self._spec.name
        self._context.progress.activity = f"asking version {version} {len(asked.rows)} questions"
        async with SessionCloser(self._foundry) as closer:
            left = self._ends - self._clock.monotonic()
            asker = RowAsker(name, version, asked.rows, self._foundry, self._clock, closer, left)
            found = await asker.ask_all(asked.rows_at_once)
        if found.inconclusive:
            raise InconclusiveError(f"version {version}: {found.inconclusive}")
        return found.answers

    async def _graded_by_foundry(
        self, version: str, answers: Sequence[RowAnswer], live_answers: Sequence[RowAnswer]
    ) -> tuple[Sequence[Score], Sequence[Score], str]:
        """Return the scores of both versions by Foundry's criteria, and the address of the report."""
        from core.evaluation import EvaluationRun, RunStatus
        from core.grading import grade_run, run_rows
        from handlers.redaction import redact

        rows = run_rows(self._asked.rows, answers)
        live_rows = run_rows(self._asked.rows, live_answers) if rows and live_answers else []
        run = EvaluationRun("", RunStatus.COMPLETED)
        if rows and self._asked.service_criteria():
            sent = [{key: redact(text) for key, text in row.items()} for row in (*rows, *live_rows)]
            run = await self._run(version, sent)
        graded = grade_run(self._asked, run, (len(rows), len(live_rows)))
        if run.status is not RunStatus.COMPLETED or graded is None:
            raise InconclusiveError(run.detail or "the run has not one result for each row")
        return *graded, run.report_url

    async def _hide_secrets(self, version: str) -> None:
        """Hide what the version may repeat: the values of its variables that agents.yaml does not show."""
        from core.model import SecretValue
        from handlers.redaction import register_secret

        found = await self._foundry.get_definition(self._spec.name, version)
        values = found.definition.environment.values() if found else ()
        public = {value for value in self._spec.env.values() if isinstance(value, str)}
        for value in values:
            if isinstance(value, SecretValue) and value.reveal() not in public:
                register_secret(value.reveal())

    async def _run(self, version: str, rows: list[dict[str, str]]) -> EvaluationRun:
        """Return the run at its end; an evaluation without a result is deleted."""
        from core.evaluation import RunStatus
        from handlers.gateways.errors import TransientError

        self._context.progress.activity = "waiting for the evaluation in Foundry"
        agent = self._spec.name
        try:
            evaluation = await self._foundry.create_evaluation(agent, version, self._asked.service_criteria())
            run_id = await self._foundry.start_run(evaluation, f"version {version}", rows)
        except TransientError as error:
            if error.throttled:
                raise InconclusiveError(f"Foundry starts no evaluation now: {error.code}") from error
            raise
        while True:
            run = await self._foundry.get_run(evaluation, run_id)
            if run is not None and run.status is not RunStatus.RUNNING:
                return run
            if self._clock.monotonic() >= self._ends:
                await self._foundry.delete_evaluation(evaluation)
                raise InconclusiveError(f"no result within {self._asked.within.total_seconds():.0f} s")
            await self._clock.sleep(POLL_SECONDS)


def _text(data: dict[str, Any]) -> str:
    from cli.output import columns, join_lines

    title = f"version {data['version']} of {data['agent']}: {data['result']}"
    if data["result"] == "inconclusive":
        return join_lines(f"{title}: {data['detail']}")
    rows = [HEADINGS, *(_cells(score) for score in data["scores"])]
    unanswered = data["unanswered"]
    notes = [f"{len(unanswered)} of {data['rows']} rows have no answer:"] if unanswered else []
    notes += [f"  line {row['line']}: {row['detail']}" for row in unanswered[:MAX_LINES_SHOWN]]
    notes += [f"report: {data['report']}"] if data["report"] else []
    return "\n".join([title, columns(rows), *([join_lines(*notes)] if notes else [])])


def _cells(score: dict[str, Any]) -> tuple[str, ...]:
    from cli.scores import limit_text, score_text

    value, live = (score_text(score[key], score["unit"]) for key in ("value", "live"))
    return score["criterion"], value, limit_text(score), live, "passed" if score["is_passed"] else "failed"
