"""The gate asks for what it needs, and waits for a run that was about to be started."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.agents_file.loader import load_agents
from core.agents_file.spec import AgentSpec
from core.reasons import Reason
from core.release.actions import NeedsRead, Poll, Read, UpdateState
from core.release.gates.evaluate import after_run_missing, evaluate, inconclusive
from core.release.inputs import DecisionInput
from core.state.desired import DesiredState
from core.state.evaluation import Evaluation, unless_inconclusive
from core.state.release import Phase, ReleaseState
from core.timing import CONSISTENCY_LAG

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
FILE = b"agents: {a: {repository: a, release: {evaluate: {dataset: r.jsonl, criteria: {expect: {pass_rate: 1}}}}}}"
ACTIVE = ReleaseState(phase=Phase.CONFIRMED, candidate="1")


def spec() -> AgentSpec:
    return load_agents(FILE, lambda _: b'{"ask": "ping", "expect": "pong"}').agents["a"]


def test_the_live_version_is_read_before_anybody_is_asked() -> None:
    assert evaluate(DecisionInput(DesiredState(), ACTIVE), spec(), NOW) == NeedsRead(frozenset({Read.AGENT}))


def test_a_candidate_is_evaluated_between_its_verification_and_its_traffic() -> None:
    for phase in (Phase.STARTED, Phase.EVALUATED, Phase.TRAFFIC_MOVED, Phase.ENDED):
        assert evaluate(DecisionInput(DesiredState(), replace(ACTIVE, phase=phase)), spec(), NOW) is None


def test_an_evaluation_of_another_version_or_dataset_does_not_count() -> None:
    asked = spec().release.evaluate
    assert asked is not None
    done = Evaluation("1", asked.key, NOW, is_complete=True)
    for other in (replace(done, version="2"), replace(done, key="other")):
        inputs = DecisionInput(DesiredState(), replace(ACTIVE, evaluation=other))
        assert isinstance(evaluate(inputs, spec(), NOW), NeedsRead)


def test_a_run_that_does_not_show_is_waited_for_before_the_rows_are_asked_again() -> None:
    sent = Evaluation("1", "key", NOW, sent_at=NOW)
    assert after_run_missing(ACTIVE, sent, NOW) == Poll(Reason.UNCLEAR_ANSWER, "1")
    again = after_run_missing(replace(ACTIVE, evaluation=sent), sent, NOW + CONSISTENCY_LAG)
    assert isinstance(again, UpdateState)
    assert again.state.evaluation == Evaluation("1", "key", NOW + CONSISTENCY_LAG)
    ahead = NOW - timedelta(hours=1)
    assert isinstance(after_run_missing(ACTIVE, sent, ahead), UpdateState), "a clock that went back waits for nothing"


def test_a_new_release_tries_at_once_where_the_last_attempt_gave_no_result() -> None:
    asked = Evaluation("1", "key", NOW, attempt=2)
    assert unless_inconclusive(asked) is asked, "a run that is under way is not started twice"
    assert unless_inconclusive(inconclusive(ACTIVE, asked, "429", NOW).evaluation) is None
    assert unless_inconclusive(None) is None
