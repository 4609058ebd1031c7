"""Writes the JSON Schema of what each command prints with ``--json``, from the types in cli/json_documents.

python docs/reference/cli-json/generate.py           write every schema
python docs/reference/cli-json/generate.py --check   exit 1 if a schema is outdated or left over
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # a script starts with only its own folder

from cli.json_documents import changes, reports, shared, status, why  # noqa: E402

Ends = dict[str, str]
"""How the release of each target ended, or what it waits for: a reason code."""
DOCUMENTS: dict[str, Any] = {
    "adopt": changes.Adopted,
    "digests": list[str],
    "doctor": list[reports.CheckResult],
    "evaluate": reports.Graded,
    "plan": reports.Plan,
    "prune": list[changes.PlannedDeletion | changes.Deletion | shared.UnreadAgent],
    "replay": list[changes.ReplayedEvent],
    "snapshot": reports.Snapshot,
    "status": list[status.AgentStatus | shared.UnreadAgent],
    "validate": reports.Validated,
    "verify": reports.Verified,
    "versions": list[reports.VersionRow],
    "wait": dict[str, str | None],
    "why": why.Why,
    **dict.fromkeys(("hold", "pause"), list[changes.Change]),
    **dict.fromkeys(("release", "retry", "rollback", "approve", "unhold", "resume"), list[changes.Change] | Ends),
}
"""The command -> the document that it prints; ``--watch`` prints how the releases ended, as ``wait`` does."""


class _WithoutTitles(GenerateJsonSchema):
    """A schema without titles, which only repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Leave the titles of fields out."""
        return False


def texts() -> dict[str, str]:
    """Return the content of each schema by the name of its file."""
    return {f"{command}.schema.json": _text(command, document) for command, document in DOCUMENTS.items()}


def _text(command: str, document: Any) -> str:
    schema = TypeAdapter(document).json_schema(schema_generator=_WithoutTitles, mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"slipway {command}" + (" --json" if command != "snapshot" else ""),
    }
    return json.dumps({**head, **{key: value for key, value in schema.items() if key != "title"}}, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Write the schemas, or compare them with the files."""
    wanted = texts()
    present = {path.name: path.read_text() for path in FOLDER.glob("*.schema.json")}
    if "--check" in arguments:
        different = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        sys.stdout.writelines(f"{name} is outdated: run make docs\n" for name in different)
        return 1 if different else 0
    for name in present.keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
