"""azd prepackage: stop before a wrong agents.yaml is deployed; print every mistake with its line and its fix."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import infra.hooks.python_version  # noqa: F401 - ends the hook on a Python that is too old

# isort: split
from core.agents_file.loader import AgentsFileError
from core.agents_file.spec import Agents
from handlers import agents_file
from infra.hooks.findings import Finding, error, ok, report

ROOT = Path(__file__).resolve().parents[2]
PAGE = "every key: docs/reference/agents-yaml.md"


def read_agents_file(file: Path) -> Agents | Sequence[Finding]:
    """The agents of the file, or an error for each mistake in it."""
    try:
        return agents_file.read_agents_file(file)
    except OSError as failure:
        return [error("agents.yaml", f"{file} cannot be read: {failure.strerror}", "create it; " + PAGE)]
    except AgentsFileError as failure:
        return [error("agents.yaml", line, PAGE) for line in failure.text_for("agents.yaml").splitlines()]


def main(file: Path = ROOT / "agents.yaml") -> int:
    """Check the file and return the exit code."""
    agents = read_agents_file(file)
    if isinstance(agents, Agents):
        return report("agents.yaml", [ok("agents.yaml", f"{len(agents.agents)} agents, no mistake")])
    return report("agents.yaml", agents)


if __name__ == "__main__":
    sys.exit(main())
