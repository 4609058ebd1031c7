"""agents.yaml as JSON Schema, made of the rules themselves: an editor completes and checks while one types."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from core.agents_file.fields import NAME
from core.agents_file.spec import AgentSpec, KeepSpec, Probe, ReleaseSpec, TagSpec

MERGED = (AgentSpec, TagSpec, ReleaseSpec, Probe, KeepSpec)
"""What defaults and agent give together: neither alone needs to be whole, so an editor asks for nothing there."""


def schema() -> dict[str, Any]:
    """The schema, in the dialect of 2020-12."""
    reference = {"$ref": "#/$defs/AgentSpec"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "agents.yaml",
        "description": "Which repository feeds which Foundry agent; every key: docs/reference/agents-yaml.md",
        "type": "object",
        "additionalProperties": False,
        "required": ["agents"],
        "properties": {
            "defaults": {**reference, "description": "what every agent shares; maps merge, lists are replaced"},
            "agents": {
                "description": "the agents, by their names in Foundry",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": NAME},
                "additionalProperties": reference,
            },
        },
        "$defs": _shapes(),
    }


def _shapes() -> dict[str, Any]:
    rule = AgentSpec.model_json_schema()
    shapes = {**rule.pop("$defs"), "AgentSpec": rule}
    for model in MERGED:
        shapes[model.__name__].pop("required", None)
        for key, field in model.model_fields.items():
            shown = shapes[model.__name__]["properties"][key]
            if isinstance(field.default, timedelta):
                shown["default"] = format_duration(field.default)
            elif "$ref" in shown:
                del shown["default"]  # each of its keys has its own
    for key in ("verify", "check"):
        several = shapes["ReleaseSpec"]["properties"][key]
        one, default = several.pop("items"), several.pop("default")
        del several["type"]
        several |= {"anyOf": [one, {"type": "array", "items": one}], "default": default}
    del rule["properties"]["name"]  # an agent's name is the key above its rule
    rule["properties"]["env"]["additionalProperties"] = False
    return dict(sorted(shapes.items()))


def format_duration(value: timedelta) -> str:
    """A duration as one writes it."""
    seconds = int(value.total_seconds())
    parts = ((seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def text() -> str:
    """The file docs/agents.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
