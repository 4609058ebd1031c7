"""The queries of the workbook and the alerts: up to date, valid for Microsoft's parser, and with names that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.reasons import Reason
from core.release_outcome import ReleaseOutcome, outcome_of
from infra.monitoring import generate

ROOT = Path(__file__).resolve().parents[2]
TELEMETRY = (ROOT / "docs" / "reference" / "telemetry.md").read_text()
PARSER = ROOT / "node_modules" / "@kusto" / "language-service-next"
NODE = shutil.which("node")
COMMON = "TimeGenerated: datetime, OperationId: string, ParentId: string, AppRoleName: string, Properties: dynamic"
CALL = "Id: string, Name: string, DurationMs: real, Success: bool, ResultCode: string"
TABLES = {
    "AppTraces": f"({COMMON}, Message: string, SeverityLevel: int)",
    "AppMetrics": f"({COMMON}, Name: string, Sum: real, Min: real, Max: real, ItemCount: int)",
    "AppRequests": f"({COMMON}, {CALL}, Source: string, Url: string)",
    "AppDependencies": f"({COMMON}, {CALL}, Target: string, DependencyType: string, Data: string)",
}
"""The columns that the queries use, from learn.microsoft.com/azure/azure-monitor/reference/tables."""
CLASSIC_COMMON = "timestamp: datetime, operation_Id: string, operation_Name: string, customDimensions: dynamic"
CLASSIC = {
    "traces": f"({CLASSIC_COMMON}, message: string, severityLevel: int)",
    "dependencies": f"({CLASSIC_COMMON}, name: string, duration: real, success: bool, resultCode: string)",
    "exceptions": f"({CLASSIC_COMMON}, type: string, outerType: string, outerMessage: string, problemId: string)",
}
"""The same tables in the Logs of Application Insights itself, for the queries of the reason pages."""
PAGES = [ROOT / "docs" / "reference" / "reasons" / f"{reason}.md" for reason in Reason]
needs_parser = pytest.mark.skipif(
    NODE is None or not PARSER.exists(), reason="Node with @kusto/language-service-next is not installed: npm ci"
)


def with_parameters(kql: str) -> str:
    """The query with its parameters replaced, as the workbook sends it."""
    return kql.replace("{Agent}", "'hello-agent','support-agent'").replace("{Digest}", f"sha256:{'0' * 64}")


def parse_errors(tables: dict[str, str], queries: dict[str, str]) -> dict[str, list[str]]:
    assert NODE is not None
    command, document = [NODE, str(ROOT / "tests/kusto/parse.cjs")], json.dumps({"tables": tables, "queries": queries})
    done = subprocess.run(command, input=document, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return {name: errors for name, errors in answer.items() if errors}


@needs_parser
def test_every_query_parses_and_names_only_columns_that_exist() -> None:
    assert parse_errors(TABLES, {query.name: with_parameters(query.kql) for query in generate.queries()}) == {}


@needs_parser
def test_the_query_of_every_reason_page_parses() -> None:
    queries = {page.stem: page.read_text().split("```kusto\n")[1].split("```")[0] for page in PAGES}
    assert parse_errors(CLASSIC, queries) == {}


@needs_parser
def test_an_unknown_column_is_an_error() -> None:
    assert parse_errors(TABLES, {"wrong": "AppTraces | where Mesage == 'x'"})["wrong"]


def test_the_generated_files_are_up_to_date() -> None:
    for path, text in generate.files().items():
        assert path.read_text() == text, f"{path.name} is out of date: run python infra/monitoring/generate.py"


def test_every_property_metric_and_step_of_a_query_is_emitted() -> None:
    known = set(re.findall(r"^\| `(slipway\.[\w.]+)`", TELEMETRY, re.MULTILINE))
    known |= {f"slipway.{name}" for name in ("status", "outcome", "queue", "agent")}
    spans = set(re.findall(r"^\| `([a-z_.]+)` \|", TELEMETRY, re.MULTILINE))
    for query in generate.queries():
        assert set(re.findall(r'"(slipway\.[\w.]+\w)"', query.kql)) - {"slipway.decision"} <= known, query.name
        assert set(re.findall(r'step == "(\w+)"', query.kql)) <= spans, query.name


@pytest.mark.parametrize("query", generate.queries(), ids=lambda query: query.name)
def test_every_reason_of_a_query_exists(query: generate.Query) -> None:
    assert set(re.findall(r'"([A-Z_]{3,})"', query.kql)) <= set(Reason.__members__)


def test_the_workbook_shows_every_query_that_is_not_an_alert() -> None:
    items: list[dict[str, Any]] = generate.workbook()["items"]
    shown = {item["name"] for item in items if item["type"] == 3}
    expected = {query.name for query in generate.queries() if not query.name.startswith(("alert-", "parameter-"))}
    assert shown == expected
    assert len({item["name"] for item in items}) == len(items)


def test_the_bicep_modules_use_the_generated_workbook_and_alerts() -> None:
    workbook = (ROOT / "infra" / "modules" / "workbook.bicep").read_text()
    assert f"'{generate.WORKSPACE}'" in workbook
    alerts = (ROOT / "infra" / "modules" / "alerts.bicep").read_text()
    for spec in generate.alerts():
        assert all(f"alert.{key}" in alerts for key in spec), spec["key"]
        assert "{" not in spec["query"], "an alert has no parameters"


GAUGES = set(re.findall(r"^\| `(slipway\.[\w.]+)` \| gauge", TELEMETRY, re.MULTILINE))


@pytest.mark.parametrize("query", generate.queries(), ids=lambda query: query.name)
def test_queries_of_gauges_use_neither_min_nor_max(query: generate.Query) -> None:
    """The exporter sends only value and count of a gauge; ingestion makes up Min and Max."""
    if set(re.findall(r'"(slipway\.[\w.]+)"', query.kql)) & GAUGES:
        assert not re.search(r"\b(Max|Min)\b", query.kql)


EXPECTED_ALERTS: dict[str, dict[str, Any]] = {
    "alert-release-failed": {"severity": 1, "window": "PT15M", "every": "PT5M", "by": "agent"},
    "alert-heartbeat": {"severity": 1, "window": "P1D", "every": "PT5M", "fires": "GreaterThan", "rows": 0},
    "alert-poison": {"severity": 1, "window": "PT15M", "every": "PT5M", "by": "queue"},
    "alert-quota": {"fires": "GreaterThan", "by": "agent"},
    "alert-unfinished": {"fires": "GreaterThan"},
    "alert-approval": {"fires": "GreaterThan", "by": "agent"},
}
THRESHOLDS = {
    "alert-heartbeat": "beats > 1 and last_beat < ago(max_of(15m, 3 * (last_beat - first_beat) / (beats - 1)))",
    "alert-quota": "level > 0.8",
    "alert-unfinished": "level > 1800",
    "alert-approval": "level > 86400",
}
DELIVERY_METRICS = ("DeadLetteredCount", "DroppedEventCount", "DeliveryAttemptFailCount")
"""learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-eventgrid-systemtopics-metrics."""


def test_there_is_an_alert_for_every_problem_that_needs_a_person() -> None:
    parts = {part["query"]: part for part in generate._part("alerts.yaml")}
    assert parts.keys() == EXPECTED_ALERTS.keys()
    for name, expected in EXPECTED_ALERTS.items():
        assert expected.items() <= parts[name].items(), name
        assert THRESHOLDS.get(name, "") in generate.query(name).kql
    bicep = (ROOT / "infra" / "modules" / "alerts.bicep").read_text()
    assert all(f"metric: '{metric}'" in bicep for metric in DELIVERY_METRICS)


def test_an_open_alert_of_an_agent_does_not_silence_other_agents() -> None:
    """An alert that resolves itself does not notify again while it is open, so each dimension value has its own."""
    for spec in generate.alerts():
        for dimension in spec["dimensions"]:
            last, name = spec["query"].rpartition("|")[2], dimension["name"]
            assert dimension == {"name": name, "operator": "Include", "values": ["*"]}
            assert re.search(rf"\b{name}\b", last), f"{spec['key']}: the result has no column {name}"
    assert sum(bool(spec["dimensions"]) for spec in generate.alerts()) == 4


def test_every_failed_or_rolled_back_release_is_an_error() -> None:
    """The alert selects by severity."""
    assert 'severity == "error" and step startswith "release."' in generate.query("alert-release-failed").kql
    failures = {
        reason for reason in Reason if outcome_of(reason) in (ReleaseOutcome.FAILED, ReleaseOutcome.ROLLED_BACK)
    }
    assert failures
    assert {reason.severity for reason in failures} == {"error"}


QUESTIONS = {
    "what is live per agent": {"live"},
    "timeline of releases": {"timeline", "releases-by-day"},
    "one push explained step by step": {"one-push", "one-push-steps", "parameter-digests"},
    "failures by reason with their help line": {"failures"},
    "versions and quota": {"versions", "quota"},
    "prune history": {"pruned", "pruned-by-day"},
    "DORA": {"dora-summary", "dora-lead-time", "dora-frequency", "dora-change-fail-rate", "dora-time-to-restore"},
}


def test_the_workbook_answers_every_daily_question() -> None:
    queries = {query.name for query in generate.queries()}
    shown = json.dumps(generate.workbook())
    for question, names in QUESTIONS.items():
        assert names <= queries, question
        assert all(json.dumps(generate.query(name).kql)[1:-1] in shown for name in names), question
    assert "help = take_any(help) by reason" in generate.query("failures").kql
    assert "digest == '{Digest}'" in generate.query("one-push").kql


def test_releases_in_progress_are_those_of_the_telemetry_page() -> None:
    page = (ROOT / "local" / "telemetry" / "page" / "store.js").read_text()
    continues = page.partition("CONTINUES = new Set(")[2].partition(".split")[0]
    reasons = set(re.findall(r"[A-Z_]{3,}", continues))
    unfinished = set(re.findall(r'"([A-Z_]+)"', generate.query("unfinished").kql.partition("reason in (")[2]))
    assert {"EVALUATION_RUNNING", "SIGNATURE_WAITING"} <= reasons <= unfinished <= set(Reason.__members__)
    assert all(Reason[name].severity != "error" for name in unfinished)


def test_every_query_of_the_workbook_follows_the_choice_of_agents() -> None:
    shown = {part["query"] for part in generate._part("workbook.yaml") if "query" in part}
    without = {name for name in shown if "{Agent}" not in generate.query(name).kql}
    assert without == {"one-push", "one-push-steps"}, "they follow the choice of a push"
