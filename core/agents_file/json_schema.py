"""agents.yaml as JSON Schema, generated from the spec: editors complete and check the file while you type."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from core.agents_file.evaluation import CriterionSpec, EvaluateSpec
from core.agents_file.fields import NAME_PATTERN, WRITTEN_DURATION
from core.agents_file.github import GitHubSpec
from core.agents_file.projects import ENDPOINT, PROJECT_NAME, VAULT
from core.agents_file.release_windows import WindowsSpec
from core.agents_file.spec import AgentSpec, KeepSpec, Probe, ReleaseSpec, TagSpec
from core.agents_file.stages import AGENT_ONLY
from core.target import ALL_AGENTS, DEFAULT_PROJECT

ONE_OR_MORE = (
    *(("ReleaseSpec", key) for key in ("verify", "check")),
    *(("WindowsSpec", key) for key in ("allow", "deny", "freezes")),
)
"""Keys whose list may be written as its only item."""
MERGED_MODELS = (AgentSpec, TagSpec, ReleaseSpec, Probe, EvaluateSpec, CriterionSpec, WindowsSpec, KeepSpec)
"""Models that defaults and agent may fill together, so that no key of them is required in either place."""


def schema() -> dict[str, Any]:
    """The schema, in the dialect of 2020-12."""
    agent = {"$ref": "#/$defs/AgentSpec"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "agents.yaml",
        "description": "Which repository feeds which Foundry agent; every key: docs/reference/agents-yaml.md",
        "type": "object",
        "additionalProperties": False,
        "required": ["agents"],
        "properties": {
            "defaults": {
                **agent,
                "description": "keys that all agents share; maps merge, lists are replaced, signers added",
            },
            "agents": {
                "description": "the agents, by their names in Foundry",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": NAME_PATTERN, "not": {"const": ALL_AGENTS}},
                "additionalProperties": agent,
            },
            "github": {"$ref": "#/$defs/GitHubSpec", "description": "shows releases on the commits of their images"},
            "projects": {
                "description": "Foundry projects beside that of the settings, which is called `default`",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": PROJECT_NAME, "not": {"const": DEFAULT_PROJECT}},
                "additionalProperties": _project(),
            },
        },
        "$defs": _definitions(),
    }


def _definitions() -> dict[str, Any]:
    agent = AgentSpec.model_json_schema()
    definitions = {**agent.pop("$defs"), "AgentSpec": agent, "GitHubSpec": GitHubSpec.model_json_schema()}
    for model in MERGED_MODELS:
        definitions[model.__name__].pop("required", None)
        for key, field in model.model_fields.items():
            shown = definitions[model.__name__]["properties"][key]
            if isinstance(field.default, timedelta):
                shown["default"] = format_duration(field.default)
            elif "$ref" in shown:
                del shown["default"]  # each key of the referenced model has its own default
    for name, key in ONE_OR_MORE:
        items = definitions[name]["properties"][key]
        item, default = items.pop("items"), items.pop("default")
        del items["type"]
        items |= {"anyOf": [item, {"type": "array", "items": item}], "default": default}
    del agent["properties"]["name"]  # the name of an agent is the key above its spec
    agent["properties"]["env"]["additionalProperties"] = False
    definitions["Stage"] = _stage(agent)
    agent["properties"]["stages"] = {
        "title": "Stages",
        "description": "the projects in which the agent runs, in the order in which they take an image",
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/$defs/Stage"},
    }
    return dict(sorted(definitions.items()))


def _project() -> dict[str, Any]:
    vault = f"where its secrets are: `{VAULT}`; if absent, in the vault of the settings"
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["endpoint"],
        "properties": {
            "endpoint": {"type": "string", "description": f"`{ENDPOINT}`"},
            "vault": {"type": "string", "description": vault},
        },
    }


def _stage(agent: dict[str, Any]) -> dict[str, Any]:
    """The projects of a stage, and any key of the agent that differs there."""
    name = {"title": "Project", "type": "string", "description": "a name below `projects`, or `default`"}
    names = {"title": "Projects", "type": "array", "minItems": 1, "items": {"type": "string"}}
    places = {"project": name, "projects": {**names, "description": "several of them"}}
    soak = {
        "title": "Soak",
        "type": "string",
        "pattern": WRITTEN_DURATION,
        "default": "0s",
        "description": "how long an image must have been good at every target of the stage before",
    }
    overrides = {key: value for key, value in agent["properties"].items() if key not in AGENT_ONLY}
    return {
        "type": "object",
        "additionalProperties": False,
        "oneOf": [{"required": [key]} for key in places],
        "properties": {**places, "soak": soak, **overrides},
    }


def format_duration(value: timedelta) -> str:
    """A duration as agents.yaml writes it."""
    seconds = int(value.total_seconds())
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def text() -> str:
    """The content of docs/agents.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
