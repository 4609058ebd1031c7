"""The published JSON Schemas are those of the types, and each command has its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from typer.main import get_command

from cli.__main__ import app
from tests.support.cli_schemas import FOLDER, validated


def test_the_schemas_are_up_to_date() -> None:
    command = [sys.executable, str(FOLDER / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_each_command_that_prints_json_has_a_schema() -> None:
    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    with_json = {name for name, command in commands.items() if any("--json" in item.opts for item in command.params)}
    assert {path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.json")} == with_json | {"snapshot"}


@pytest.mark.parametrize("schema", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_a_schema_is_valid_and_names_its_dialect(schema: Any) -> None:
    text = schema.read_text()
    assert '"$schema": "https://json-schema.org/draft/2020-12/schema"' in text
    Draft202012Validator.check_schema(json.loads(text))


@pytest.mark.parametrize("at", ["2026-11-24 12:00:00+00:00", "2026-11-24T12:00:00", "an hour ago"])
def test_a_time_without_its_zone_is_refused(at: str) -> None:
    with pytest.raises(ValidationError):
        validated("plan", f'{{"at": "{at}", "steps": [], "assumed": []}}')
