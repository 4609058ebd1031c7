"""Commands that ask nobody: the file alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cli.codes import WRONG_INPUT


def validate(file: Path, as_json: bool) -> int:
    """0 for a file without mistakes."""
    from core.rules_file import RulesError, read_rules

    mistakes: list[str] = []
    agents: list[str] = []
    try:
        agents = sorted(read_rules(file.read_bytes()).agents)
    except OSError as error:
        mistakes = [f"{file}: {error.strerror}"]
    except RulesError as error:
        mistakes = str(error).splitlines()
    if as_json:
        print(json.dumps({"file": str(file), "agents": agents, "mistakes": mistakes}, indent=1))
    elif mistakes:
        print("\n".join(mistakes), file=sys.stderr)
    else:
        print(f"{file}: {len(agents)} agents, no mistake")
    return WRONG_INPUT if mistakes else 0


def schema() -> int:
    """The JSON Schema of agents.yaml."""
    from core import rules_schema

    print(rules_schema.text(), end="")
    return 0
