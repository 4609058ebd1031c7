"""Makes the workbook, the log alerts and the page of queries from the parts beside this file.

    python infra/monitoring/generate.py

A query is one file: a line ``// title``, a line ``// what it answers``, then KQL. One that uses ``decisions`` or
``metrics`` is given their ``let`` from ``_decisions.kql`` or ``_metrics.kql``, so that it runs as it stands.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORKSPACE = "@@workspace@@"
"""What the Bicep module replaces by the workspace's id."""
SHARED = ("decisions", "metrics")
RESOURCE = "microsoft.operationalinsights/workspaces"
DAY = 86_400_000


@dataclass(frozen=True)
class Query:
    """One file of queries/."""

    name: str
    title: str
    answers: str
    kql: str


def query(name: str) -> Query:
    """Read one; its KQL runs by itself."""
    title, answers, *rest = (HERE / "queries" / f"{name}.kql").read_text().splitlines()
    body = "\n".join(rest).strip()
    lets = [(HERE / "queries" / f"_{one}.kql").read_text().strip() for one in SHARED if _uses(body, one)]
    return Query(name, title.removeprefix("// "), answers.removeprefix("// "), "\n".join([*lets, body]))


def _uses(body: str, table: str) -> bool:
    return re.search(rf"^(?:let \w+ = )?{table}\b", body, re.MULTILINE) is not None


def queries() -> list[Query]:
    """All of them, by name."""
    return [query(path.stem) for path in sorted((HERE / "queries").glob("[!_]*.kql"))]


def _part(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text())


def workbook() -> dict[str, Any]:
    """The workbook as the portal stores it."""
    return {
        "version": "Notebook/1.0",
        "items": [_parameters(), *(_item(one, number) for number, one in enumerate(_part("workbook.yaml")))],
        "fallbackResourceIds": [WORKSPACE],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }


def _item(part: dict[str, str], number: int) -> dict[str, Any]:
    if "text" in part:
        return {"type": 1, "content": {"json": part["text"].strip()}, "name": f"text {number}"}
    found = query(part["query"])
    content = {
        "version": "KqlItem/1.0",
        "query": found.kql,
        "size": 0,
        "title": found.title,
        "noDataMessage": "Nothing in this time.",
        "timeContextFromParameter": "TimeRange",
        "queryType": 0,
        "resourceType": RESOURCE,
        "crossComponentResources": [WORKSPACE],
        "visualization": part.get("as", "table"),
        "gridSettings": {"filter": True, "rowLimit": 1000},
    }
    return {"type": 3, "content": content, "name": found.name}


def _parameters() -> dict[str, Any]:
    parameters = [
        {
            **_parameter("TimeRange", 4),
            "value": {"durationMs": 30 * DAY},
            "typeSettings": {"selectableValues": [{"durationMs": days * DAY} for days in (1, 7, 30, 90)]},
        },
        {
            **_parameter("Agent", 2, "parameter-agents"),
            "multiSelect": True,
            "quote": "'",
            "delimiter": ",",
            "value": ["value::all"],
            "typeSettings": {"additionalResourceOptions": ["value::all"], "selectAllValue": "*"},
        },
        {**_parameter("Digest", 2, "parameter-digests"), "label": "Push", "typeSettings": {}},
    ]
    content = {
        "version": "KqlParameterItem/1.0",
        "crossComponentResources": [WORKSPACE],
        "parameters": parameters,
        "style": "pills",
        "queryType": 0,
        "resourceType": RESOURCE,
    }
    return {"type": 9, "content": content, "name": "parameters"}


def _parameter(name: str, kind: int, asked: str = "") -> dict[str, Any]:
    made = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)), "version": "KqlParameterItem/1.0", "name": name}
    if not asked:
        return {**made, "type": kind, "isRequired": True}
    return {
        **made,
        "type": kind,
        "query": query(asked).kql,
        "queryType": 0,
        "resourceType": RESOURCE,
        "crossComponentResources": [WORKSPACE],
        "timeContextFromParameter": "TimeRange",
    }


def alerts() -> list[dict[str, Any]]:
    """What the Bicep module makes a rule of, each."""
    return [_alert(one) for one in _part("alerts.yaml")]


def _alert(part: dict[str, Any]) -> dict[str, Any]:
    found = query(part["query"])
    return {
        "key": found.name.removeprefix("alert-"),
        "title": f"Slipway: {found.title.removeprefix('Alert: ')}",
        "description": found.answers,
        "severity": part["severity"],
        "query": found.kql,
        "windowSize": part["window"],
        "evaluationFrequency": part["every"],
        "operator": part["fires"],
        "threshold": part["rows"],
        "dimensions": [{"name": part["by"], "operator": "Include", "values": ["*"]}] if "by" in part else [],
    }


def page() -> str:
    """docs/reference/queries.md."""
    head = (
        "# Queries\n\n"
        "Made by `python infra/monitoring/generate.py` from [its parts](../../infra/monitoring/queries): what the\n"
        "workbook shows and what the alerts ask, each as it runs in the Log Analytics workspace. In the workbook\n"
        "`{Agent}` and `{Digest}` are what you picked; elsewhere write `'*'` or `'support-agent'`, and a digest.\n"
        "What the names mean: [telemetry](telemetry.md). A test parses each with Microsoft's own Kusto parser.\n"
    )
    parts = [f"\n## {one.title}\n\n{one.answers}\n\n```kusto\n{one.kql}\n```\n" for one in queries()]
    return head + "".join(parts)


def files() -> dict[Path, str]:
    """Everything that is made, and where it goes."""
    return {
        ROOT / "infra" / "modules" / "workbook.json": json.dumps(workbook(), indent=1) + "\n",
        ROOT / "infra" / "modules" / "alerts.json": json.dumps(alerts(), indent=1) + "\n",
        ROOT / "docs" / "reference" / "queries.md": page(),
    }


def main() -> None:
    """Write it."""
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
