"""Histories with ``release.evaluate``: one run an attempt, whatever is killed, and no traffic without an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.evaluation import RunStatus
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, UpdateState
from core.release.gates import evaluate
from core.release.inputs import DecisionInput
from core.state.release import Phase
from handlers.gateways.errors import TransientError
from tests.simulation.faults import PROCESS, Crash, Log
from tests.simulation.release_mutants import instead_of
from tests.simulation.run import History, Mutant
from tests.simulation.scene import AGENT
from tests.simulation.seeds import any_order, play

EVALUATE = (
    "{dataset: r.jsonl, criteria: {expect: {pass_rate: 1}}}",
    "{dataset: r.jsonl, criteria: {expect: {pass_rate: 1}, builtin.f1_score: {pass_rate: 1}}}",
    "{dataset: r.jsonl, criteria: {builtin.coherence: {mean: 3}}, judge: g, no_worse_than: live, margin: 1}",
)

LOST = 0.2
"""The share of the runs whose start fails in one way or the other: few starts meet a fault of the dice."""


def simulate(seed: int, *, log: Log | None = None, mutant: Mutant | None = None) -> History:
    """Run a history; raise InvariantError where an invariant does not hold."""
    history = History(seed, log=log, mutant=mutant)
    history.scene = replace(history.scene, evaluate=history.random.choice(EVALUATE))
    history.oracle.spec = history.scene.agents.agents[AGENT]
    _Runs(history)
    return play(history, any_order)


class _Runs:
    """The runs that Foundry started: each is one of an attempt, whose state was stored before."""

    def __init__(self, history: History) -> None:
        foundry, self._history = history.foundry, history
        self._attempts = set[tuple[object, ...]]()
        self._start = foundry.start_run
        foundry.run_seconds = history.random.choice([5.0, 20.0, 120.0])
        foundry.run_ends = history.random.choice([*[RunStatus.COMPLETED] * 4, RunStatus.BROKEN])
        foundry.judge = lambda _, row: (4.0, True) if row["response"] == "pong" else (1.0, False)
        setattr(foundry, "start_run", self._checked)  # noqa: B010 - a method of this history's Foundry alone

    async def _checked(self, evaluation: str, name: str, rows: Sequence[Mapping[str, str]]) -> str:
        if self._history.random.random() < LOST:
            self._fail()
        self._check(evaluation)
        run_id = await self._start(evaluation, name, rows)
        if self._history.random.random() < LOST:
            self._fail()
        return run_id

    def _check(self, evaluation: str) -> None:
        oracle, release = self._history.oracle, self._history.oracle.release
        if self._history.foundry.evaluations[evaluation].runs:
            oracle.fail("an evaluation has a second run")
        begun = release.evaluation
        if begun is not None and begun.service_id == evaluation:
            attempt = (begun.version, release.created_at.get(begun.version), release.started_at, begun.attempt)
            if attempt in self._attempts:
                oracle.fail(f"attempt {begun.attempt} of version {begun.version} has a second run")
            self._attempts.add(attempt)

    def _fail(self) -> None:
        """The answer is lost, or the process is killed."""
        if self._history.random.random() < 0.5:
            raise TransientError("Foundry", "timeout", "no answer", unclear=True)
        PROCESS.get().dead = True
        raise Crash


def _passes(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Every version passes."""
    action = evaluate.evaluate(inputs, spec, now)
    evaluated = transitions.in_phase(inputs.release, Phase.EVALUATED)
    return None if action is None else UpdateState(Reason.EVALUATION_PASSED, evaluated)


def _forgets_what_it_sent(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """A run whose start nobody recorded is not looked for."""
    begun = inputs.release.evaluation
    if begun is not None and begun.sent_at is not None and not begun.run_id:
        inputs = replace(inputs, release=replace(inputs.release, evaluation=None))
        return UpdateState(Reason.WRITE_NOT_APPLIED, inputs.release)
    return evaluate.evaluate(inputs, spec, now)


EVALUATION_MUTANTS = {
    "every version passes": instead_of("evaluate", _passes),
    "a run is started again at once": instead_of("evaluate", _forgets_what_it_sent),
}
"""By the fault."""
