"""Commands that ask nobody: the file alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cli.codes import WRONG_INPUT


def validate(file: Path, as_json: bool) -> int:
    """0 for a file without mistakes; what is only unusual is told beside it."""
    from core.agents_file.loader import AgentsFileError, load_agents, warnings

    mistakes: list[str] = []
    agents: list[str] = []
    unusual: tuple[str, ...] = ()
    try:
        rules = load_agents(file.read_bytes())
        agents, unusual = sorted(rules.agents), warnings(rules)
    except OSError as error:
        mistakes = [f"{file}: {error.strerror}"]
    except AgentsFileError as error:
        mistakes = error.text_for(str(file)).splitlines()
    if as_json:
        print(json.dumps({"file": str(file), "agents": agents, "mistakes": mistakes, "warnings": unusual}, indent=1))
    elif mistakes:
        print("\n".join(mistakes), file=sys.stderr)
    else:
        print(*(f"warning: {one}" for one in unusual), sep="\n", end="\n" if unusual else "", file=sys.stderr)
        print(f"{file}: {len(agents)} agents, no mistake")
    return WRONG_INPUT if mistakes else 0


def schema() -> int:
    """The JSON Schema of agents.yaml."""
    from core.agents_file import json_schema

    print(json_schema.text(), end="")
    return 0
