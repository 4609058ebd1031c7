"""Commands that ask nobody: the file alone."""

from __future__ import annotations

import sys
from pathlib import Path

from cli.running import WRONG_INPUT


def validate(file: Path) -> int:
    """0 for a file without mistakes."""
    from core.rules_file import RulesError, read_rules

    try:
        rules = read_rules(file.read_bytes())
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        return WRONG_INPUT
    except RulesError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    print(f"{file}: {len(rules.agents)} agents, no mistake")
    return 0


def schema() -> int:
    """The JSON Schema of agents.yaml."""
    from core import rules_schema

    print(rules_schema.text(), end="")
    return 0
