"""``slipway validate``: reports the errors of ``agents.yaml``; calls no service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import DONE, WRONG_INPUT
from cli.options import AsJson

if TYPE_CHECKING:
    from cli.json_documents.reports import FileIssue, Validated
    from core.agents_file.evaluation import EvaluateSpec
    from core.agents_file.spec import Agents
    from core.agents_file.yaml_positions import Issue


def validate(
    file: Annotated[Path, typer.Argument(help="The file to read.")] = Path("agents.yaml"),
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Report every error in agents.yaml. Names place, line and correction of each; calls no service."""
    raise typer.Exit(_print_schema() if schema else _validate(file, as_json))


def _validate(file: Path, as_json: bool) -> int:
    """Return 0 for a file without errors; warnings do not count."""
    from cli.output import join_lines, print_error, print_json, print_text
    from cli.runner import summary
    from core.agents_file.evaluation import smallest_difference
    from core.agents_file.loader import warnings

    agents, errors = _read(file)
    if as_json:
        print_json(_data(file, agents, errors), indent=1)
    elif errors:
        print_error(join_lines(*(_text(file, error) for error in errors)))
    else:
        for warning in warnings(agents):
            print_error(join_lines(f"warning: {warning}"))
        notes = [f"{name}: {smallest_difference(spec)}" for name, spec in _evaluations(agents).items()]
        print_text(join_lines(f"{file}: {summary(agents)}, no errors", *notes))
    return WRONG_INPUT if errors else DONE


def _read(file: Path) -> tuple[Agents, Sequence[Issue | str]]:
    """Return the agents, and what is wrong: a text where the file cannot be read."""
    from datetime import UTC, datetime

    from core.agents_file.loader import AgentsFileError, past_freezes
    from core.agents_file.spec import Agents
    from handlers.agents_file import read_agents_file

    try:
        agents = read_agents_file(file)
    except OSError as error:
        return Agents(agents={}), [str(error.strerror)]
    except AgentsFileError as error:
        return Agents(agents={}), error.issues
    return agents, [*past_freezes(agents, datetime.now(UTC)), *_unreadable_roots(agents)]


def _unreadable_roots(agents: Agents) -> list[str]:
    """Return what is wrong in the content of trusted roots; only a rule that names one loads what reads it."""
    releases = {name: spec.release for name, spec in agents.agents.items() if spec.release.trusted_root is not None}
    if not releases:
        return []
    from handlers.gateways.signatures import SignatureVerifier, TrustRootError

    verifier, problems = SignatureVerifier(), list[str]()
    for name, release in releases.items():
        try:
            verifier.read_root(release)
        except TrustRootError as error:
            problems.append(f"agents.{name}.release.trusted_root: {release.trusted_root}: {error}")
    return problems


def _data(file: Path, agents: Agents, errors: Sequence[Issue | str]) -> Validated:
    from core.agents_file.warnings import find_warnings

    return {
        "file": str(file),
        "agents": sorted(agents.agents),
        "errors": [_issue(file, error) for error in errors],
        "warnings": [_issue(file, warning) for warning in find_warnings(agents)],
        "evaluations": [
            {"agent": name, "rows": len(spec.rows), "smallest_difference": 1 / len(spec.rows)}
            for name, spec in _evaluations(agents).items()
        ],
    }


def _text(file: Path, issue: Issue | str) -> str:
    return f"{file}: {issue}" if isinstance(issue, str) else issue.text_for(str(file))


def _issue(file: Path, issue: Issue | str) -> FileIssue:
    if isinstance(issue, str):
        return {"file": str(file), "line": None, "path": "", "message": issue}
    return {"file": str(file), "line": issue.line, "path": ".".join(issue.path), "message": issue.message}


def _evaluations(agents: Agents) -> dict[str, EvaluateSpec]:
    return {name: spec.release.evaluate for name, spec in agents.agents.items() if spec.release.evaluate}


def _print_schema() -> int:
    from core.agents_file import json_schema

    print(json_schema.text(), end="")
    return DONE
