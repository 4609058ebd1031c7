"""``projects:`` and ``stages:`` of agents.yaml: the targets that they give, and what is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.agents_file.loader import AgentsFileError, load_agents, past_freezes, warnings
from core.agents_file.spec import SecretRef, StagePlace, followers_of, next_stage

HEAD = """
projects:
  eu: {endpoint: "https://contoso-eu.services.ai.azure.com/api/projects/agents/"}
  us: {endpoint: "https://contoso-us.services.ai.azure.com/api/projects/agents"}
"""
ONE = "agents:\n  hello:\n    repository: agents/hello\n    stages: "


def issues(text: str) -> list[str]:
    with pytest.raises(AgentsFileError) as wrong:
        load_agents(text.encode())
    return [str(issue) for issue in wrong.value.issues]


def test_an_agent_is_a_target_in_each_project_of_its_stage() -> None:
    agents = load_agents(f"{HEAD}{ONE}[{{projects: [eu, default], cpu: 2, memory: 4Gi}}]\n".encode())
    assert list(agents.agents) == ["hello@eu", "hello"]
    eu, default = agents.agents.values()
    assert (eu.name, eu.agent, eu.toolbox) == ("hello@eu", "hello", "hello-tools@eu")
    assert (default.name, default.agent, default.toolbox) == ("hello", "hello", "hello-tools")
    assert (eu.cpu, default.cpu) == ("2", "2")
    assert agents.projects["eu"] == "https://contoso-eu.services.ai.azure.com/api/projects/agents"


def test_each_stage_knows_the_targets_before_it() -> None:
    stages = "[{project: eu}, {projects: [us, default], soak: 1h30m}, {project: asia}]"
    head = HEAD + "  asia: {endpoint: 'https://contoso-asia.services.ai.azure.com/api/projects/agents'}\n"
    agents = load_agents(f"{head}{ONE}{stages}\n".encode())
    assert {name: spec.place for name, spec in agents.agents.items()} == {
        "hello@eu": StagePlace(),
        "hello@us": StagePlace(2, ("hello@eu",), ("hello@eu",), timedelta(minutes=90)),
        "hello": StagePlace(2, ("hello@eu",), ("hello@eu",), timedelta(minutes=90)),
        "hello@asia": StagePlace(3, ("hello@us", "hello"), ("hello@eu", "hello@us", "hello")),
    }
    assert [spec.name for spec in followers_of(agents, "agents/hello")] == ["hello@eu"]
    assert next_stage(agents, "hello@eu") == ("hello@us", "hello")
    assert next_stage(agents, "hello") == ("hello@asia",)


def test_without_stages_an_agent_is_its_own_target() -> None:
    agents = load_agents(b"agents: {hello: {repository: agents/hello}}")
    assert (list(agents.agents), agents.projects) == (["hello"], {})
    assert (agents.agents["hello"].name, agents.agents["hello"].agent) == ("hello", "hello")


def test_a_stage_overrides_keys_and_variables_of_the_agent() -> None:
    text = f"""{HEAD}
defaults: {{env: {{A: "0", S: {{secret: one}}}}, release: {{mode: manual}}}}
agents:
  hello:
    repository: agents/hello
    env: {{A: "1", B: "1"}}
    stages: [{{project: eu, env: {{B: no, S: {{secret: two}}}}, release: {{debounce: 1m}}}}]
"""
    spec = load_agents(text.encode()).agents["hello@eu"]
    assert spec.env == {"A": "1", "B": "no", "S": SecretRef(secret="two")}  # text stays the text in the file
    assert (spec.release.mode, spec.release.debounce.total_seconds()) == ("manual", 60)


def test_agents_share_the_stages_of_the_defaults() -> None:
    text = (
        f"{HEAD}defaults: {{stages: [{{project: eu, cpu: 1}}]}}\nagents: {{a: {{repository: a}}, b: {{repository: b}}}}"
    )
    assert {name: spec.cpu for name, spec in load_agents(text.encode()).agents.items()} == {"a@eu": "1", "b@eu": "1"}


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ("", "stages, line 8: expected a list such as [{project: staging}], found nothing"),
        ("[]", "stages, line 8: has no stage; name one, or remove the key"),
        ("{project: eu}", "stages, line 8: expected a list such as [{project: staging}], found a map"),
        ("[eu]", "stages.0, line 8: expected a map such as {project: staging}, found text"),
        ("[{cpu: 1}]", "stages.0, line 8: write either project: name or projects: [name, name]"),
        ("[{project: eu, projects: [us]}]", "stages.0, line 8: write either project: name or projects"),
        ("[{projects: []}]", "stages.0.projects, line 8: is empty; write at least one"),
        ("[{projects: eu}]", "stages.0.projects, line 8: expected a list, found text"),
        ("[{project: [eu]}]", "stages.0.project, line 8: a list is not a project of this file; it has default, eu, us"),
        (
            "[{project: 1}]",
            "stages.0.project, line 8: a number is not a project of this file; it has default, eu, us; write a name in",
        ),
        ("[{project: no}]", "stages.0.project, line 8: true or false is not a project of this file; it has default"),
        ("[{project: }]", "stages.0.project, line 8: nothing is not a project of this file; it has default, eu, us"),
        ("[{project: asia}]", "stages.0.project, line 8: 'asia' is not a project of this file; it has default, eu, us"),
        ("[{projects: [eu, us, eu]}]", "stages.0, line 8: names the project eu twice; an agent runs in it once"),
        ("[{project: eu, repository: x}]", "stages.0.repository, line 8: a stage runs the images of the agent's"),
        ("[{project: eu, name: x}]", "stages.0.name, line 8: unknown key; an agent's name is the key above it"),
        ("[{project: eu, cpu: many}]", "stages.0.cpu, line 8: write cores as a decimal number"),
        (
            "[{project: eu, stages: []}]",
            "stages.0.stages, line 8: unknown key here; it belongs directly under the agent",
        ),
        ("[{project: eu}, {projects: [us, eu]}]", "stages.1, line 8: names the project eu twice; an agent runs"),
        ("[{project: eu, soak: 1h}]", "stages.0.soak, line 8: the first stage follows pushes and waits for no other"),
        ("[{project: eu}, {project: us, soak: 60}]", "stages.1.soak, line 8: 60 is not a duration; write 30s"),
        ("[{project: eu}, {project: us, soaks: 1h}]", "stages.1.soaks, line 8: unknown key"),
        (
            "[{project: eu, release: {verify: {ask: x}}}]",
            "stages.0.release.verify, line 8: needs `expect: …`, an expression that the answer must match",
        ),
    ],
)
def test_a_wrong_stage_has_one_issue(stages: str, expected: str) -> None:
    (found,) = issues(f"{HEAD}{ONE}{stages}\n")
    assert found.startswith(f"agents.hello.{expected}")


def test_a_mistake_of_the_agent_is_reported_once_for_all_stages() -> None:
    text = f"{HEAD}agents:\n  hello:\n    cpu: many\n    stages: [{{projects: [eu, us], memory: 3}}]\n"
    assert [issue.partition(",")[0] for issue in issues(text)] == [
        "agents.hello.repository",
        "agents.hello.cpu",
        "agents.hello.stages.0.memory",
    ]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ("[{project: eu}, {project: us}]", "agents.hello.stages.1: waits for an approval as soon as the image has one"),
        ("[{project: eu}, {project: us, soak: 1h}]", ""),
        ("[{project: eu}, {project: us, release: {mode: auto}}]", ""),
        ("[{project: eu, release: {mode: auto}}, {project: us}]", ""),
        ("[{project: eu, release: {mode: notify}}, {project: us, soak: 1h}]", "agents.hello.stages.1: gets no image"),
    ],
)
def test_a_stage_that_images_reach_unproved_or_never_is_a_warning(stages: str, expected: str) -> None:
    text = f"{HEAD}defaults: {{release: {{mode: manual}}}}\n{ONE}{stages}\n"
    found = [line for line in warnings(load_agents(text.encode())) if not line.startswith("projects.")]
    assert [warning.startswith(expected) for warning in found] == ([True] if expected else [])


def test_warnings_and_past_freezes_name_the_stage() -> None:
    freeze = "{start: 2020-01-01, end: 2020-01-02}"
    stage = f"{{project: eu, cpu: 4, release: {{windows: {{freezes: {freeze}}}}}}}"
    data = f"{HEAD}{ONE}[{stage}]\n".encode()
    unused, warned = warnings(load_agents(data))
    assert unused.startswith("projects.us: is the project of no stage, so that no agent runs in it; name it")
    assert warned.startswith("agents.hello.stages.0: cpu 4 with memory 2Gi is not a documented size")
    (past,) = past_freezes(load_agents(data), datetime(2026, 1, 1, tzinfo=UTC))
    assert str(past).startswith("agents.hello.stages.0.release.windows.freezes")
