"""``slipway validate``: reports the errors of ``agents.yaml``; calls no service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.exit_codes import DONE, WRONG_INPUT
from cli.options import AsJson


def validate(
    file: Annotated[Path, typer.Argument(help="The file to read.")] = Path("agents.yaml"),
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Report every error in agents.yaml. Names place, line and correction of each; calls no service."""
    raise typer.Exit(_print_schema() if schema else _validate(file, as_json))


def _validate(file: Path, as_json: bool) -> int:
    """Return 0 for a file without errors; warnings do not count."""
    from datetime import UTC, datetime

    from cli.output import join_lines, print_error, print_json, print_text
    from core.agents_file.evaluation import smallest_difference
    from core.agents_file.loader import AgentsFileError, load_agents, past_freezes, warnings

    errors: list[str] = []
    names: list[str] = []
    warned: tuple[str, ...] = ()
    notes: list[str] = []
    try:
        agents = load_agents(file.read_bytes(), lambda name: (file.parent / name).read_bytes())
        names, warned = sorted(agents.agents), warnings(agents)
        asked = {name: spec.release.evaluate for name, spec in agents.agents.items() if spec.release.evaluate}
        notes = [f"{name}: {smallest_difference(evaluate)}" for name, evaluate in asked.items()]
        errors = [f"{file}: {issue}" for issue in past_freezes(agents, datetime.now(UTC))]
    except OSError as error:
        errors = [f"{file}: {error.strerror}"]
    except AgentsFileError as error:
        errors = error.text_for(str(file)).split("\n")
    if as_json:
        found = {"file": str(file), "agents": names, "errors": errors, "warnings": warned}
        print_json(found | ({"evaluations": notes} if notes else {}), indent=1)
    elif errors:
        print_error(join_lines(*errors))
    else:
        for warning in warned:
            print_error(join_lines(f"warning: {warning}"))
        print_text(join_lines(f"{file}: {len(names)} agents, no errors", *notes))
    return WRONG_INPUT if errors else DONE


def _print_schema() -> int:
    from core.agents_file import json_schema

    print(json_schema.text(), end="")
    return DONE
