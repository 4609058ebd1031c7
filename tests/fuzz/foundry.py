"""Foundry's answers, below azure-ai-projects: the gateway returns its own values, or raises a gateway error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from azure.ai.projects.aio import AIProjectClient
from hypothesis import strategies as st

from core.agents_file.spec import Probe
from core.evaluation import ServiceCriterion
from core.model import Definition, Routing, SecretValue, Version
from core.release.gates.answers import judge_answer, report_at_timeout
from handlers.gateways.clock import Clock
from handlers.gateways.errors import GatewayError
from handlers.gateways.foundry.client import OPTIONS, AzureFoundry
from handlers.gateways.foundry.rate_limiter import FoundryRateLimiter
from local.credentials import AsyncLocalCredential
from tests.fuzz.target import Target
from tests.fuzz.wire import Answer, ScriptedSession, script

PROJECT = "https://local.services.ai.azure.com/api/projects/demo"
CANARY = "canary-4c1f-secret"
IMAGE = f"demo.azurecr.io/agents/hello@sha256:{'a' * 64}"
DEFINITION = Definition(IMAGE, "1", "2Gi", (("responses", "2.0.0"),), {"KEY": SecretValue(CANARY)})
VERSION = {
    "object": "agent.version",
    "id": "a:3",
    "name": "a",
    "version": "3",
    "status": "active",
    "created_at": 1790000000,
    "definition": {
        "kind": "hosted", "cpu": "1", "memory": "2Gi", "container_configuration": {"image": IMAGE},
        "environment_variables": {"KEY": CANARY}, "protocol_versions": [{"protocol": "responses", "version": "2.0.0"}],
    },
    "metadata": {"slipway.fingerprint": "f"},
    "error": {"code": "ImageError", "message": f"cannot start with {CANARY}"},
    "draft": False,
}  # fmt: skip
AGENT = {
    "object": "agent",
    "id": "a",
    "name": "a",
    "state": "enabled",
    "versions": {"latest": VERSION},
    "instance_identity": {"principal_id": "p", "client_id": "c"},
    "agent_endpoint": {
        "version_selector": {
            "version_selection_rules": [{"type": "FixedRatio", "agent_version": "3", "traffic_percentage": 100}]
        }
    },
}
VERSIONS = {
    "object": "list",
    "data": [VERSION, VERSION | {"version": "2"}],
    "first_id": "a:3",
    "last_id": "a:2",
    "has_more": True,
}
TOOLBOX = {
    "name": "a-tools",
    "version": "1",
    "default_version": "1",
    "tools": [{"type": "code_interpreter"}],
    "created_at": 1,
}
TOOLBOXES = {"object": "list", "data": [TOOLBOX], "last_id": "x", "has_more": False}
JUDGE = ServiceCriterion("builtin.coherence", "builtin.coherence", "gpt")
EVALUATION = {"id": "eval_1", "name": "a"}
MODEL = {"type": "ModelDeployment", "name": "gpt-5-mini"}
RUN = {"id": "evalrun_1", "name": "a", "status": "completed", "report_url": None, "error": None}
ROW_RESULT = {"type": "azure_ai_evaluator", "name": "coherence", "score": 4, "passed": True}
RESULTS = {"data": [{"id": "1", "datasource_item_id": 0, "results": [ROW_RESULT]}], "last_id": "1", "has_more": False}
SESSION = {"agent_session_id": "s", "status": "active"}
RESPONSE = {
    "id": "r",
    "object": "response",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "pong"}]}],
    "agent_reference": {"type": "agent_reference", "name": "a", "version": "3"},
}
TALKING = RESPONSE | {
    "status": "incomplete",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": CANARY}]}],
    "error": {"code": CANARY, "message": CANARY},
    "incomplete_details": {"reason": CANARY},
    "agent_reference": {"type": "agent_reference", "name": "a", "version": CANARY},
}
"""An agent that repeats a secret wherever it can."""
HTTP = ScriptedSession()


class ScriptedFoundry(AzureFoundry):
    """The product's gateway on a scripted connection."""

    def __init__(self, rate_limiter: FoundryRateLimiter | None = None, clock: Clock | None = None) -> None:
        super().__init__(PROJECT, AsyncLocalCredential(), rate_limiter, clock)
        self._client.instance = AIProjectClient(PROJECT, AsyncLocalCredential(), transport=HTTP.transport(), **OPTIONS)


FOUNDRY = ScriptedFoundry(FoundryRateLimiter(float("inf")))
"""Without a rate: after a 429 in an earlier input, a later one would wait by the real clock, which stands still."""
CALLS: dict[str, tuple[Callable[[], Awaitable[Any]], list[Any]]] = {
    "agent": (lambda: FOUNDRY.get_agent("a"), [AGENT]),
    "version": (lambda: FOUNDRY.get_version("a", "3"), [VERSION]),
    "versions": (lambda: FOUNDRY.list_versions("a"), [VERSIONS]),
    "create": (lambda: FOUNDRY.create_version("a", DEFINITION, {"m": "1"}), [VERSION]),
    "route": (lambda: FOUNDRY.set_routing("a", Routing.to("3")), [AGENT]),
    "delete": (lambda: FOUNDRY.delete_version("a", "3"), [{"deleted": True}]),
    "open_session": (lambda: FOUNDRY.open_session("a", "3", 5.0), [SESSION]),
    "end_session": (lambda: FOUNDRY.end_session("a", "s"), [{}]),
    "toolbox": (lambda: FOUNDRY.ensure_toolbox("a-tools", [{"type": "code_interpreter"}]), [TOOLBOXES, TOOLBOX]),
    "has_model": (lambda: FOUNDRY.has_model("a", "gpt-5-mini"), [MODEL]),
    "create_evaluation": (lambda: FOUNDRY.create_evaluation("a", "3", [JUDGE]), [EVALUATION]),
    "start_run": (lambda: FOUNDRY.start_run("eval_1", "a", [{"query": "q", "response": "r"}]), [RUN]),
    "find_run": (lambda: FOUNDRY.find_run("eval_1", "a"), [{"data": [RUN], "last_id": "x", "has_more": False}]),
    "get_run": (lambda: FOUNDRY.get_run("eval_1", "evalrun_1"), [RUN, RESULTS]),
    "delete_evaluation": (lambda: FOUNDRY.delete_evaluation("eval_1"), [{"deleted": False}]),
    "toolbox_versions": (lambda: FOUNDRY.list_toolbox_versions("a-tools"), [TOOLBOX, TOOLBOXES]),
}
PROBES = (
    Probe(ask="ping", expect="^pong$"),
    Probe(ask="ping", expect="(?i)a.*b"),
    Probe(post={"a": 1}, status=200, expect="pong"),
    Probe(post=[], status=404),
)


async def _call(call_and_answers: tuple[str, list[Answer]]) -> None:
    call, HTTP.answers = call_and_answers[0], list(call_and_answers[1])
    try:
        result = await CALLS[call][0]()
    except GatewayError as error:
        assert CANARY not in str(error), "the secret is in the error"
        raise
    assert CANARY not in f"{result}", "the words of others are shown"
    if isinstance(result, Version):
        assert int(result.number) >= 0, "versions must have an order"
    for version in result if isinstance(result, list) else []:
        is_valid = not isinstance(version, Version) or not version.is_release or int(version.number) >= 0
        assert is_valid, "a version that is not a number cannot be our release"


async def _ask(question: tuple[Probe, str | None, list[Answer]]) -> None:
    probe, session, answers = question
    HTTP.answers = list(answers)
    answer = await FOUNDRY.ask("a", probe, session, 5.0)
    judgement = judge_answer(probe, answer, "3")
    assert CANARY not in f"{judgement} {answer}", "the words of others are shown"
    assert len(report_at_timeout(judgement).detail) < 1_000, "the agent's answer is too long for the state store"


TARGETS = (
    Target(
        "foundry",
        "Foundry's answers to eleven calls, through azure-ai-projects",
        st.one_of(*(st.tuples(st.just(call), script(*bodies)) for call, (_, bodies) in CALLS.items())),
        _call,
        (GatewayError,),
        share=10,
    ),
    Target(
        "answers",
        "an agent's answers to verify and check, up to their verdict",
        st.tuples(st.sampled_from(PROBES), st.sampled_from([None, "s"]), script(RESPONSE, TALKING, longest=1)),
        _ask,
        (GatewayError,),
        share=10,
    ),
)
