"""Plans: what they show, and that they change nothing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.durations import parse_time
from cli.event_files import parse_text
from cli.exit_codes import UsageError
from cli.plan.arguments import PlanArguments
from cli.plan.planner import plan_live, plan_offline
from cli.plan.snapshot import read_snapshot, take_snapshot
from core.agents_file.loader import load_agents
from core.model import Routing
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with
from tests.support.builders import REGISTRY, push_data, push_event, secret_event
from tests.unit.cli.support import context_of

AGENTS = """
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
STEPS = ["BEGIN", "CREATE", "CONFIRM_PASSED", "VERIFY_PASSED", "TRAFFIC_MOVED", "LIVE"]


def plan_agent(folder: Path, agent: str, image: str | None = None, snapshot: str = "{}") -> Any:
    (folder / "agents.yaml").write_text(AGENTS)
    (folder / "snapshot.json").write_text(snapshot)
    return plan_offline(
        PlanArguments.parse([agent], image), folder / "snapshot.json", folder / "agents.yaml", registry=None
    )


def plan_events(folder: Path, *events: dict[str, Any], snapshot: str = "{}") -> Any:
    (folder / "events.json").write_text(json.dumps(events))
    return plan_agent(folder, str(folder / "events.json"), snapshot=snapshot)


def reasons(result: Any, agent: str = AGENT) -> list[str]:
    return [step["reason"] for step in result.data["steps"] if step.get("agent", agent) == agent]


def test_a_push_is_planned_to_its_end_with_all_assumptions(tmp_path: Path) -> None:
    result = plan_events(tmp_path, push_event())
    assert reasons(result) == ["ACCEPTED", *STEPS]
    assert reasons(result, "manual-agent") == ["ACCEPTED", "BEGIN", "CREATE", "CONFIRM_PASSED", "APPROVAL_WAITING"]
    assert {"kind": "secret_exists", "name": "hello-key", "version": None} in result.data["assumed"]
    assert {"kind": "toolbox_version", "name": "hello-agent-tools", "version": "1"} in result.data["assumed"]
    for assumed in ("the secret hello-key exists", "the agent answers as", "the toolbox hello-agent-tools is"):
        assert f"assumed: {assumed}" in result.text


def test_a_plan_assumes_that_a_version_passes_its_evaluation(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"ask": "ping", "expect": "pong", "reference": "pong"}')
    (tmp_path / "agents.yaml").write_text(
        "agents: {hello-agent: {repository: agents/hello, release: {evaluate: {dataset: rows.jsonl, judge: gpt, "
        "criteria: {expect: {pass_rate: 1}, builtin.similarity: {mean: 5}}, no_worse_than: live}}}}"
    )
    (tmp_path / "events.json").write_text(json.dumps([push_event()]))
    (tmp_path / "snapshot.json").write_text("{}")
    arguments = PlanArguments.parse([str(tmp_path / "events.json")], None)
    result = plan_offline(arguments, tmp_path / "snapshot.json", tmp_path / "agents.yaml", registry=None)
    assert reasons(result)[-4:] == ["EVALUATION_RUNNING", "EVALUATION_PASSED", "TRAFFIC_MOVED", "LIVE"]


def test_a_wait_takes_no_real_time(tmp_path: Path) -> None:
    push = push_event(data=push_data(repository="agents/soak"))
    result = plan_events(tmp_path, push, snapshot='{"at": "2026-11-24T12:00:00Z"}')
    assert reasons(result, "soaking-agent") == [
        "ACCEPTED",
        "BEGIN",
        "CREATE",
        "CONFIRM_PASSED",
        "TRAFFIC_MOVED",
        "LIVE",
    ]
    assert result.data["steps"][-1]["after_s"] >= 3600


def test_every_event_has_its_line_and_an_invalid_one_hides_no_other(tmp_path: Path) -> None:
    unfollowed = push_event(id="e2", data=push_data(repository="agents/nobody"))
    result = plan_events(tmp_path, push_event(id="e1", data={}), unfollowed, secret_event(), push_event(id="e4"))
    first = [(step.get("event"), step["reason"]) for step in result.data["steps"]][:3]
    assert first == [("e1", "MALFORMED_EVENT"), ("e2", "NOT_FOLLOWED"), ("event-2", "NO_PUSH_YET")]
    assert reasons(result)[-1] == "LIVE"


def test_the_plan_uses_the_snapshot(tmp_path: Path) -> None:
    image = {push_event()["data"]["target"]["digest"]: {"reason": "WRONG_PLATFORM", "detail": "there is linux/arm64"}}
    wrong_platform = json.dumps({"images": image})
    assert reasons(plan_events(tmp_path, push_event(), snapshot=wrong_platform))[-1] == "WRONG_PLATFORM"
    missing = json.dumps({"secrets": {"hello-key": "missing"}})
    assert reasons(plan_events(tmp_path, push_event(), snapshot=missing))[-1] == "SECRET_MISSING"
    elsewhere = plan_events(tmp_path, push_event(), snapshot=json.dumps({"registry": "other"}))
    assert [step["reason"] for step in elsewhere.data["steps"]] == ["OTHER_REGISTRY"]


def test_an_agent_without_a_desired_push(tmp_path: Path) -> None:
    assert reasons(plan_agent(tmp_path, AGENT)) == ["NO_PUSH_YET"]


@pytest.mark.parametrize(
    ("snapshot", "why"),
    [
        ("rubbish", "snapshot.json: the file: Invalid JSON"),
        (
            '{"agents": {"a": {"desired": {"generation": "x"}}}}',
            "agents.a.desired.generation: Input should be a valid integer",
        ),
    ],
)
def test_an_invalid_snapshot_is_refused_with_the_position(tmp_path: Path, snapshot: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        plan_events(tmp_path, push_event(), snapshot=snapshot)


def test_wrong_arguments_are_refused_with_a_correction(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean hello-agent"):
        plan_agent(tmp_path, "helo-agent")
    with pytest.raises(UsageError, match="follows agents/hello, not agents/other; see agents"):
        plan_agent(tmp_path, AGENT, image="agents/other:v1")
    with pytest.raises(UsageError, match="for its tag write agents/hello:v1"):
        plan_agent(tmp_path, AGENT, image="v1")
    with pytest.raises(UsageError, match=r"add :TAG or @sha256:… to agents/hello"):
        plan_agent(tmp_path, AGENT, image="registry.azurecr.io/agents/hello")
    with pytest.raises(UsageError, match="is not a digest"):
        plan_agent(tmp_path, AGENT, image="agents/hello@sha256:12")
    with pytest.raises(UsageError, match="has no tag v1; the repository has none"):
        plan_agent(tmp_path, AGENT, image="agents/hello:v1")
    with pytest.raises(UsageError, match="--image needs an agent"):
        PlanArguments.parse(["events.json"], "agents/hello:v1")


async def test_a_live_plan_reads_and_changes_nothing(app: App) -> None:
    await app.pushed()
    await app.released()
    app.foundry.agents[AGENT].routing = Routing()
    before = repr(
        (
            app.state_store.desired,
            app.state_store.releases,
            app.foundry.agents,
            app.release_queue.sent,
            app.journal.lines,
        )
    )
    toolboxes = len(app.foundry.toolboxes)
    app.registry.push("agents/hello", "v2", f"sha256:{'b' * 64}", app.clock.now())
    push = push_event(id="new", eventTime="2026-11-25T12:00:00Z", data=push_data(tag="v2", digest=f"sha256:{'b' * 64}"))
    arguments = PlanArguments(events=tuple(parse_text(json.dumps(push), "f")))
    result = await plan_live(context_of(app), arguments, None)
    assert reasons(result) == ["ACCEPTED", "PIN", "BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE"]
    after = repr(
        (
            app.state_store.desired,
            app.state_store.releases,
            app.foundry.agents,
            app.release_queue.sent,
            app.journal.lines,
        )
    )
    assert (after, len(app.foundry.toolboxes), app.foundry.create_count) == (before, toolboxes, 1)


async def test_a_planned_image_comes_from_the_registry_of_the_settings(app: App) -> None:
    app.settings = replace(app.settings, registry_id=REGISTRY)
    app.registry.push("agents/hello", "v1", f"sha256:{'a' * 64}", app.clock.now())
    result = await plan_live(context_of(app), PlanArguments.parse([AGENT], "agents/hello:v1"), None)
    assert reasons(result)[0] == "ACCEPTED"


async def snapshot_of_a_live_agent(folder: Path) -> tuple[App, Path]:
    app = App(agents=load_agents(WITH_A_SECRET))
    await app.pushed()
    await app.released()
    taken = await take_snapshot(context_of(app), AGENT)
    (folder / "snapshot.json").write_text(json.dumps(taken.data))
    (folder / "agents.yaml").write_bytes(WITH_A_SECRET)
    return app, folder / "snapshot.json"


async def test_a_snapshot_has_the_state_and_no_secret_value(tmp_path: Path) -> None:
    app, file = await snapshot_of_a_live_agent(tmp_path)
    assert "canary-3c2d" not in file.read_text()
    snapshot = read_snapshot(file)
    assert snapshot.agents[AGENT].release == await app.state_store.get_release(AGENT)
    assert snapshot.agents[AGENT].versions == tuple(await app.foundry.list_versions(AGENT))


def test_a_plan_from_a_snapshot_is_the_same_as_a_live_plan(tmp_path: Path) -> None:
    import asyncio

    _, file = asyncio.run(snapshot_of_a_live_agent(tmp_path))
    result = plan_offline(PlanArguments(agent=AGENT), file, tmp_path / "agents.yaml", None)
    assert reasons(result) == ["LIVE"]
    assert "secret_exists" not in {assumption["kind"] for assumption in result.data["assumed"]}
    same = push_event(id="again", eventTime="2026-11-25T00:00:00Z", data=push_data(tag="v1-again"))
    arguments = PlanArguments(events=tuple(parse_text(json.dumps(same), "f")))
    result = plan_offline(arguments, file, tmp_path / "agents.yaml", None)
    assert reasons(result) == ["ACCEPTED", "ALREADY_LIVE"], "the fingerprint is the same"


def test_a_plan_names_the_variable_that_the_release_would_drop(tmp_path: Path) -> None:
    arguments, agents = PlanArguments.parse([AGENT], "agents/hello:v2"), tmp_path / "agents.yaml"
    agents.write_text("agents: {hello-agent: {repository: agents/hello}}")
    snapshot = tmp_path / "snapshot.json"

    async def plan() -> str:
        app = App(agents=load_agents(WITH_A_SECRET))
        await app.pushed("v1", "a")
        assert await app.released() == "LIVE"
        app.registry.push("agents/hello", "v2", f"sha256:{'b' * 64}", app.clock.now())
        snapshot.write_text(json.dumps((await take_snapshot(context_of(app), None)).data))
        return (await plan_live(context_of(app), arguments, agents)).text

    (line,) = [line for line in asyncio.run(plan()).splitlines() if "VARIABLE_REMOVED" in line]
    assert "KEY: agents.yaml does not set it any more" in line
    offline = plan_offline(arguments, snapshot, agents, None)
    assert "KEY: agents.yaml does not set it any more" in offline.text


async def test_a_snapshot_has_the_version_that_is_valid_now() -> None:
    app = App(agents=load_agents(WITH_A_SECRET))
    valid = app.key_vault.versions["hello-key"][-1].secret.version
    app.key_vault.put("hello-key", "canary-later", not_before=app.clock.now() + timedelta(days=1))
    taken = await take_snapshot(context_of(app), None)
    assert taken.data["secrets"] == {"hello-key": valid}


def test_a_plan_of_another_time_shows_what_the_window_does_then(tmp_path: Path) -> None:
    (tmp_path / "snapshot.json").write_text('{"at": "2026-11-24T12:00:00Z"}')
    windows = "{zone: Europe/Berlin, allow: {days: mon-fri, hours: 09:00-16:00}}"
    text = f"agents: {{hello-agent: {{repository: agents/hello, release: {{windows: {windows}}}}}}}"
    (tmp_path / "agents.yaml").write_text(text)

    def planned(at: str | None) -> list[dict[str, Any]]:
        arguments = PlanArguments.parse([str(tmp_path / "events.json")], None, parse_time(at) if at else None)
        result = plan_offline(arguments, tmp_path / "snapshot.json", tmp_path / "agents.yaml", registry=None)
        steps: list[dict[str, Any]] = result.data["steps"]
        return steps

    (tmp_path / "events.json").write_text(json.dumps([push_event()]))
    assert "WINDOW_CLOSED" not in [step["reason"] for step in planned(None)]
    friday = planned("2026-11-27T18:00+01:00")
    assert [step["reason"] for step in friday][-3:] == ["WINDOW_CLOSED", "TRAFFIC_MOVED", "LIVE"]
    assert friday[-3]["detail"] == "opens Mon 2026-11-30 09:00 Europe/Berlin (2026-11-30 08:00 UTC)"
    assert friday[-1]["after_s"] == (2 * 24 + 15) * 3600
    assert planned("2026-11-27T17:00") == friday
    with pytest.raises(UsageError, match="is not a time"):
        planned("tomorrow")


@in_virtual_time
async def test_a_plan_of_a_version_that_waits_names_the_opening() -> None:
    app = app_with("windows: {allow: {days: wed, hours: 09:00-16:00}}")
    await app.pushed("v1", "a")
    await app.released()
    result = await plan_live(context_of(app), PlanArguments(agent=AGENT), None)
    assert reasons(result) == ["WINDOW_CLOSED", "TRAFFIC_MOVED", "LIVE"]
    assert result.data["steps"][0]["detail"] == "opens Wed 2026-11-25 09:00 UTC"
