"""``slipway doctor``: the model that judges an evaluation must be deployed in the project of its agent."""

from __future__ import annotations

from cli.doctor import judges
from cli.doctor.result import Check
from core.agents_file.loader import load_agents
from handlers.gateways.errors import PermanentError
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.foundry import InMemoryFoundry

AGENTS = b"""
agents:
  plain-agent: {repository: agents/plain}
  graded-agent:
    repository: agents/graded
    release: {evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 1}}}}
  judged-agent:
    repository: agents/judged
    release: {evaluate: {dataset: rows.jsonl, criteria: {builtin.coherence: {mean: 3}}, judge: gpt-5-mini}}
"""


class RefusingFoundry(InMemoryFoundry):
    async def has_model(self, agent: str, deployment: str) -> bool:
        raise PermanentError("Foundry", "Forbidden", f"get the deployment {deployment}", status=403)


async def found(foundry: InMemoryFoundry) -> Check:
    agents = load_agents(AGENTS, lambda name: b'{"ask": "ping", "expect": "pong"}')
    (check,) = await judges.checks(agents, foundry)
    assert check.name == "judged-agent: judge gpt-5-mini"
    return check


async def test_a_judge_that_is_deployed_is_ok() -> None:
    foundry = InMemoryFoundry(ManualClock())
    foundry.models = {"gpt-5-mini"}
    assert (await found(foundry)).status == "ok"


async def test_a_judge_that_is_not_deployed_is_wrong() -> None:
    foundry = InMemoryFoundry(ManualClock())
    foundry.models = {"gpt-4o"}
    check = await found(foundry)
    assert (check.status, check.detail) == ("failed", "the project has no deployment of this name")
    assert check.fix.startswith("az cognitiveservices account deployment create --deployment-name gpt-5-mini ")


async def test_a_judge_that_foundry_says_nothing_of_is_unknown() -> None:
    check = await found(RefusingFoundry(ManualClock()))
    assert (check.status, "Forbidden" in check.detail) == ("unknown", True)
