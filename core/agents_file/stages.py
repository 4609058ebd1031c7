"""Reads an agent's ``stages:``: in which Foundry projects it runs, and what differs there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from core.agents_file import messages
from core.agents_file.fields import parse_duration, quote
from core.agents_file.projects import Problem
from core.agents_file.spec import AgentSpec, StagePlace
from core.agents_file.yaml_positions import KeyPath
from core.target import DEFAULT_PROJECT

AGENT_ONLY = {
    "name": messages.OWN_NAME,
    "repository": "a stage runs the images of the agent's repository; write it in the agent",
}
"""Keys that cannot differ in a stage."""
EXAMPLE = "[{project: staging}]"


@dataclass(frozen=True, slots=True)
class Stage:
    """The projects of one stage, and the keys of the agent that differ there."""

    keys: KeyPath
    """Where it stands, below ``stages``."""
    projects: tuple[str, ...]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    soak: timedelta = timedelta(0)


def read_stages(value: Any, projects: Mapping[str, str]) -> tuple[list[Stage], list[Problem]]:
    """The stages of an agent in their order, and what is wrong."""
    if not isinstance(value, list) or not value:
        message = f"expected a list such as {EXAMPLE}, found {messages.kind_of(value)}"
        return [], [((), "has no stage; name one, or remove the key" if value == [] else message)]
    found, problems = list[Stage](), list[Problem]()
    for index, body in enumerate(value):
        keys: KeyPath = (str(index),)
        if not isinstance(body, dict):
            problems.append((keys, f"expected a map such as {{project: staging}}, found {messages.kind_of(body)}"))
            continue
        names, own = _named_projects(keys, body, projects)
        taken = {name for stage in found for name in stage.projects}
        twice = sorted({name for name in names if name in taken or names.count(name) > 1})
        problems += [*own, *((keys, f"names the project {name} twice; an agent runs in it once") for name in twice)]
        problems += [((*keys, key), message) for key, message in AGENT_ONLY.items() if key in body]
        overrides = {key: item for key, item in body.items() if key not in (*messages.STAGE_KEYS, *AGENT_ONLY)}
        soak, wrong = _soak(body, is_first=index == 0)
        problems += [((*keys, "soak"), wrong)] if wrong else []
        found.append(Stage(keys, tuple(dict.fromkeys(names)), overrides, soak))
    return found, problems


def _soak(body: Mapping[str, Any], *, is_first: bool) -> tuple[timedelta, str]:
    """How long an image must be good in the stage before, and what is wrong with that."""
    if "soak" not in body:
        return timedelta(0), ""
    if is_first:
        return timedelta(0), "the first stage follows pushes and waits for no other; remove soak, or use min_push_age"
    try:
        return parse_duration(body["soak"]), ""
    except ValueError as error:
        return timedelta(0), str(error)


def targets(stages: Sequence[tuple[Stage, AgentSpec]]) -> Iterator[AgentSpec]:
    """Each stage's targets, with the targets of the stages before."""
    upstream: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    for number, (stage, spec) in enumerate(stages, start=1):
        place = StagePlace(number, upstream, earlier, stage.soak)
        found = [spec.at(project, place) for project in stage.projects]
        yield from found
        upstream = tuple(target.name for target in found)
        earlier += upstream


def _named_projects(
    keys: KeyPath, body: Mapping[str, Any], projects: Mapping[str, str]
) -> tuple[list[str], list[Problem]]:
    """The known projects that a stage names, and what is wrong."""
    given = [key for key in ("project", "projects") if key in body]
    if len(given) != 1:
        return [], [(keys, "write either project: name or projects: [name, name]")]
    path, value = (*keys, *given), body[given[0]]
    if given == ["projects"] and (not isinstance(value, list) or not value):
        empty = "is empty; write at least one" if value == [] else f"expected a list, found {messages.kind_of(value)}"
        return [], [(path, empty)]
    known, names = (DEFAULT_PROJECT, *projects), value if isinstance(value, list) and given == ["projects"] else [value]
    unknown = [name for name in names if not isinstance(name, str) or name not in known]
    return [name for name in names if name not in unknown], [
        (path, f"{_shown(name)} is not a project of this file; it has {', '.join(known)}{_advice(name)}")
        for name in unknown
    ]


def _shown(name: Any) -> str:
    return quote(name) if isinstance(name, str) else messages.kind_of(name)


def _advice(name: Any) -> str:
    """YAML reads some words and digits as something else than text."""
    return "; write a name in quotes" if isinstance(name, bool | int | float) else ""
