"""A wrong agents.yaml is deployed nowhere: every mistake, with its line and what to write instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.rules import Agents
from core.rules_file import RulesError, read_rules
from infra.hooks.findings import Finding, error, ok, report

ROOT = Path(__file__).resolve().parents[2]
PAGE = "every key: docs/reference/agents-yaml.md"


def rules(file: Path) -> Agents | Sequence[Finding]:
    """The rules, or what is wrong with them."""
    try:
        return read_rules(file.read_bytes())
    except OSError as missing:
        return [error("agents.yaml", f"{file} cannot be read: {missing.strerror}", "write it; " + PAGE)]
    except RulesError as wrong:
        return [error("agents.yaml", line, PAGE) for line in str(wrong).splitlines()]


def main(file: Path = ROOT / "agents.yaml") -> int:
    """Say it; the exit code."""
    found = rules(file)
    told = [ok("agents.yaml", f"{len(found.agents)} agents, no mistake")] if isinstance(found, Agents) else found
    return report("agents.yaml", told)


if __name__ == "__main__":
    sys.exit(main())
