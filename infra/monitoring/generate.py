"""Generates the workbook, the log alerts and the page of queries from the files beside this one.

    python infra/monitoring/generate.py

Each query is one file: a line ``// title``, a line ``// description``, then KQL. A query that uses ``decisions`` or
``metrics`` gets their ``let`` from ``_decisions.kql`` or ``_metrics.kql``, so it runs without changes.
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
"""Placeholder that the Bicep module replaces with the id of the workspace."""
SHARED_TABLES = ("decisions", "metrics")
RESOURCE = "microsoft.operationalinsights/workspaces"
DAY = 86_400_000


@dataclass(frozen=True)
class Query:
    """One file of queries/."""

    name: str
    title: str
    description: str
    kql: str


def query(name: str) -> Query:
    """Read one query and add the definitions that it uses."""
    title, description, *lines = (HERE / "queries" / f"{name}.kql").read_text().splitlines()
    body = "\n".join(lines).strip()
    lets = [(HERE / "queries" / f"_{table}.kql").read_text().strip() for table in SHARED_TABLES if _uses(body, table)]
    return Query(name, title.removeprefix("// "), description.removeprefix("// "), "\n".join([*lets, body]))


def _uses(body: str, table: str) -> bool:
    return re.search(rf"^(?:let \w+ = )?{table}\b", body, re.MULTILINE) is not None


def queries() -> list[Query]:
    """All queries, sorted by name."""
    return [query(path.stem) for path in sorted((HERE / "queries").glob("[!_]*.kql"))]


def _part(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text())


def workbook() -> dict[str, Any]:
    """The workbook as the portal stores it."""
    return {
        "version": "Notebook/1.0",
        "items": [_parameters(), *(_item(part, number) for number, part in enumerate(_part("workbook.yaml")))],
        "fallbackResourceIds": [WORKSPACE],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }


def _item(part: dict[str, str], number: int) -> dict[str, Any]:
    if "text" in part:
        return {"type": 1, "content": {"json": part["text"].strip()}, "name": f"text {number}"}
    shown = query(part["query"])
    content = {
        "version": "KqlItem/1.0",
        "query": shown.kql,
        "size": 0,
        "title": shown.title,
        "noDataMessage": "No data in this time range.",
        "timeContextFromParameter": "TimeRange",
        "queryType": 0,
        "resourceType": RESOURCE,
        "crossComponentResources": [WORKSPACE],
        "visualization": part.get("as", "table"),
        "gridSettings": {"filter": True, "rowLimit": 1000},
    }
    return {"type": 3, "content": content, "name": shown.name}


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


def _parameter(name: str, kind: int, query_name: str = "") -> dict[str, Any]:
    parameter = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)), "version": "KqlParameterItem/1.0", "name": name}
    if not query_name:
        return {**parameter, "type": kind, "isRequired": True}
    return {
        **parameter,
        "type": kind,
        "query": query(query_name).kql,
        "queryType": 0,
        "resourceType": RESOURCE,
        "crossComponentResources": [WORKSPACE],
        "timeContextFromParameter": "TimeRange",
    }


def alerts() -> list[dict[str, Any]]:
    """The log alerts, one for each rule of the Bicep module."""
    return [_alert(part) for part in _part("alerts.yaml")]


def _alert(part: dict[str, Any]) -> dict[str, Any]:
    source = query(part["query"])
    return {
        "key": source.name.removeprefix("alert-"),
        "title": f"Slipway: {source.title.removeprefix('Alert: ')}",
        "description": source.description,
        "severity": part["severity"],
        "query": source.kql,
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
        "The queries of the workbook and the alerts, as they run in the Log Analytics workspace. Generated by\n"
        "`python infra/monitoring/generate.py` from [their sources](../../infra/monitoring/queries). The workbook\n"
        "fills in `{Agent}` and `{Digest}`; elsewhere write `'*'` or `'support-agent'`, and a digest.\n"
        "[Telemetry](telemetry.md) explains the names. A test parses every query with Microsoft's Kusto parser.\n"
    )
    parts = [f"\n## {item.title}\n\n{item.description}\n\n```kusto\n{item.kql}\n```\n" for item in queries()]
    return head + "".join(parts)


def files() -> dict[Path, str]:
    """The text of each generated file."""
    return {
        ROOT / "infra" / "modules" / "workbook.json": json.dumps(workbook(), indent=1) + "\n",
        ROOT / "infra" / "modules" / "alerts.json": json.dumps(alerts(), indent=1) + "\n",
        ROOT / "docs" / "reference" / "queries.md": page(),
    }


def main() -> None:
    """Write every generated file."""
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
