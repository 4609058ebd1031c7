"""What a plan says, and that nothing is done by it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cli import planning, recorded
from cli.codes import Mistake
from cli.event_files import of_text
from cli.plan_asked import Asked
from cli.running import House as Running
from cli.screen import Progress
from core.agents_file.loader import load_agents
from core.model import Routing
from tests.support.builders import push_data, push_event, secret_event
from tests.unit.handlers.test_handlers import AGENT, House

RULES = """
agents:
  hello-agent:
    repository: agents/hello
    env: {KEY: {secret: hello-key}}
    tools: [{type: code_interpreter}]
    release: {verify: {ask: ping, expect: pong}, check: {post: {a: 1}, status: 201, expect: "yes"}}
  manual-agent: {repository: agents/hello, release: {mode: manual}}
  soaking-agent: {repository: agents/soak, release: {min_push_age: 1h}}
"""
WITH_A_SECRET = b"agents: {hello-agent: {repository: agents/hello, env: {KEY: {secret: hello-key}}}}"
STEPS = ["BEGIN", "CREATE", "CONFIRM", "VERIFY", "TRAFFIC_MOVED", "LIVE"]


def offline(tmp_path: Path, *events: dict[str, Any], world: str = "{}", **asked: Any) -> Any:
    (tmp_path / "agents.yaml").write_text(RULES)
    (tmp_path / "world.json").write_text(world)
    if events:
        (tmp_path / "events.json").write_text(json.dumps(events))
        asked = {"what": [str(tmp_path / "events.json")], "image": None}
    return planning.offline(Asked.read(**asked), tmp_path / "world.json", tmp_path / "agents.yaml", None)


def reasons(answer: Any, agent: str = AGENT) -> list[str]:
    return [one["reason"] for one in answer.data["steps"] if one.get("agent", agent) == agent]


def test_a_push_is_followed_to_the_end_and_what_is_assumed_is_said(tmp_path: Path) -> None:
    answer = offline(tmp_path, push_event())
    assert reasons(answer) == ["ACCEPTED", *STEPS]
    assert reasons(answer, "manual-agent") == ["ACCEPTED", "BEGIN", "CREATE", "CONFIRM", "APPROVAL_WAITING"]
    assert "the secret hello-key is there" in " ".join(answer.data["assumed"])
    assert "the agent answers as the rule expects" in answer.data["assumed"]
    assert "the toolbox hello-agent-tools is version 1" in answer.data["assumed"]


def test_a_wait_is_waited_for_in_imagined_time(tmp_path: Path) -> None:
    data = push_data(repository="agents/soak")
    answer = offline(tmp_path, push_event(data=data), world='{"at": "2026-11-24T12:00:00Z"}')
    assert reasons(answer, "soaking-agent") == ["ACCEPTED", "BEGIN", "CREATE", "CONFIRM", "TRAFFIC_MOVED", "LIVE"]
    assert answer.data["steps"][-1]["after_s"] >= 3600


def test_every_event_has_its_line_and_a_broken_one_hides_no_other(tmp_path: Path) -> None:
    strange = push_event(id="e2", data=push_data(repository="agents/nobody"))
    answer = offline(tmp_path, push_event(id="e1", data={}), strange, secret_event(), push_event(id="e4"))
    told = [(one.get("event"), one["reason"]) for one in answer.data["steps"]][:3]
    assert told == [("e1", "MALFORMED_EVENT"), ("e2", "NOT_FOLLOWED"), ("event-2", "NO_PUSH_YET")]
    assert reasons(answer)[-1] == "LIVE"


def test_what_the_world_says_counts(tmp_path: Path) -> None:
    image = {push_event()["data"]["target"]["digest"]: {"reason": "WRONG_PLATFORM", "detail": "there is linux/arm64"}}
    assert reasons(offline(tmp_path, push_event(), world=json.dumps({"images": image})))[-1] == "WRONG_PLATFORM"
    missing = json.dumps({"secrets": {"hello-key": "missing"}})
    assert reasons(offline(tmp_path, push_event(), world=missing))[-1] == "SECRET_MISSING"
    elsewhere = json.dumps({"registry": "other"})
    assert [one["reason"] for one in offline(tmp_path, push_event(), world=elsewhere).data["steps"]] == [
        "OTHER_REGISTRY"
    ]


def test_an_agent_without_anything_wanted(tmp_path: Path) -> None:
    assert reasons(offline(tmp_path, what=[AGENT], image=None)) == ["NO_PUSH_YET"]


@pytest.mark.parametrize(
    ("world", "why"),
    [
        ("rubbish", "world.json: the file: Invalid JSON"),
        (
            '{"agents": {"a": {"desired": {"generation": "x"}}}}',
            "agents.a.desired.generation: Input should be a valid integer",
        ),
    ],
)
def test_a_world_that_is_none_says_where(tmp_path: Path, world: str, why: str) -> None:
    with pytest.raises(Mistake, match=why):
        offline(tmp_path, push_event(), world=world)


def test_what_is_asked_wrongly_is_told(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="did you mean hello-agent"):
        offline(tmp_path, what=["helo-agent"], image=None)
    with pytest.raises(Mistake, match="follows agents/hello, not agents/other; see agents"):
        offline(tmp_path, what=[AGENT], image="agents/other:v1")
    with pytest.raises(Mistake, match="for its tag write agents/hello:v1"):
        offline(tmp_path, what=[AGENT], image="v1")
    with pytest.raises(Mistake, match="say which of agents/hello"):
        offline(tmp_path, what=[AGENT], image="registry.azurecr.io/agents/hello")
    with pytest.raises(Mistake, match="is no digest"):
        offline(tmp_path, what=[AGENT], image="agents/hello@sha256:12")
    with pytest.raises(Mistake, match="has no tag v1; the repository has none"):
        offline(tmp_path, what=[AGENT], image="agents/hello:v1")
    with pytest.raises(Mistake, match="goes with an agent"):
        Asked.read(["events.json"], "agents/hello:v1")


async def test_a_live_plan_reads_and_does_nothing() -> None:
    made = House()
    await made.pushed()
    await made.released()
    made.foundry.agents[AGENT].routing = Routing()
    before = repr((made.ledger.desired, made.ledger.releases, made.foundry.agents, made.queue.sent, made.journal.lines))
    boxes = len(made.foundry.toolboxes)
    running = Running(made.agents, made.settings, made.outside, Progress())
    event = push_event(
        id="new", eventTime="2026-11-25T12:00:00Z", data=push_data(tag="v2", digest=f"sha256:{'b' * 64}")
    )
    asked = Asked(events=tuple(of_text(json.dumps(event), "f")))
    answer = await planning.live(running, asked, None)
    assert reasons(answer) == ["ACCEPTED", "PIN", "BEGIN", "CREATE", "CONFIRM", "TRAFFIC_MOVED", "LIVE"]
    after = repr((made.ledger.desired, made.ledger.releases, made.foundry.agents, made.queue.sent, made.journal.lines))
    assert (after, len(made.foundry.toolboxes), made.foundry.create_count) == (before, boxes, 1)


def test_a_recorded_world_gives_the_plan_that_the_real_one_gave(tmp_path: Path) -> None:
    made = House(agents=load_agents(WITH_A_SECRET))
    told = asyncio.run(_recorded(made))
    assert "canary-3c2d" not in json.dumps(told.data)
    (tmp_path / "world.json").write_text(json.dumps(told.data))
    world = recorded.read(tmp_path / "world.json")
    assert world.agents[AGENT].release == asyncio.run(made.ledger.get_release(AGENT))
    assert world.agents[AGENT].versions == tuple(asyncio.run(made.foundry.list_versions(AGENT)))
    rules = tmp_path / "agents.yaml"
    rules.write_bytes(WITH_A_SECRET)
    again = planning.offline(Asked(agent=AGENT), tmp_path / "world.json", rules, None)
    assert reasons(again) == ["LIVE"]
    assert "is there, as it was last released" not in " ".join(again.data["assumed"])
    same = push_event(id="again", eventTime="2026-11-25T00:00:00Z", data=push_data(tag="v1-again"))
    answer = planning.offline(Asked(events=tuple(of_text(json.dumps(same), "f"))), tmp_path / "world.json", rules, None)
    assert reasons(answer) == ["ACCEPTED", "ALREADY_LIVE"], "the fingerprint is the very one"


async def _recorded(made: House) -> Any:
    await made.pushed()
    await made.released()
    return await recorded.record(Running(made.agents, made.settings, made.outside, Progress()), AGENT)
