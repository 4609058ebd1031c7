"""The queries of workbook and alerts: made of their parts, parsed by Microsoft's parser, with names that exist."""

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
"""The columns that are used of learn.microsoft.com/azure/azure-monitor/reference/tables; any other name is an error."""
CLASSIC_COMMON = "timestamp: datetime, operation_Id: string, operation_Name: string, customDimensions: dynamic"
CLASSIC = {
    "traces": f"({CLASSIC_COMMON}, message: string, severityLevel: int)",
    "dependencies": f"({CLASSIC_COMMON}, name: string, duration: real, success: bool, resultCode: string)",
    "exceptions": f"({CLASSIC_COMMON}, type: string, outerType: string, outerMessage: string, problemId: string)",
}
"""How the reasons' pages name it, in the Logs of Application Insights itself."""
PAGES = [ROOT / "docs" / "reference" / "reasons" / f"{reason}.md" for reason in Reason]
needs_parser = pytest.mark.skipif(
    NODE is None or not PARSER.exists(), reason="Node with @kusto/language-service-next is not here: npm ci"
)


def filled(kql: str) -> str:
    """As the workbook sends it."""
    return kql.replace("{Agent}", "'hello-agent','support-agent'").replace("{Digest}", f"sha256:{'0' * 64}")


def parsed(tables: dict[str, str], queries: dict[str, str]) -> dict[str, list[str]]:
    assert NODE is not None
    given = json.dumps({"tables": tables, "queries": queries})
    done = subprocess.run(
        [NODE, str(ROOT / "tests/kusto/parse.cjs")], input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return {name: wrong for name, wrong in answer.items() if wrong}


@needs_parser
def test_every_query_parses_and_names_only_columns_that_exist() -> None:
    assert parsed(TABLES, {one.name: filled(one.kql) for one in generate.queries()}) == {}


@needs_parser
def test_every_reason_s_query_parses_too() -> None:
    queries = {page.stem: page.read_text().split("```kusto\n")[1].split("```")[0] for page in PAGES}
    assert parsed(CLASSIC, queries) == {}


@needs_parser
def test_a_column_that_does_not_exist_is_found() -> None:
    assert parsed(TABLES, {"wrong": "AppTraces | where Mesage == 'x'"})["wrong"]


def test_what_is_made_of_the_parts_is_what_is_there() -> None:
    for path, text in generate.files().items():
        assert path.read_text() == text, f"{path.name} is old: python infra/monitoring/generate.py"


def test_every_property_metric_and_step_is_one_that_is_emitted() -> None:
    known = set(re.findall(r"^\| `(slipway\.[\w.]+)`", TELEMETRY, re.MULTILINE))
    known |= {f"slipway.{one}" for one in ("status", "outcome", "queue", "agent")}
    spans = set(re.findall(r"^\| `([a-z_.]+)` \|", TELEMETRY, re.MULTILINE))
    for one in generate.queries():
        assert set(re.findall(r'"(slipway\.[\w.]+\w)"', one.kql)) - {"slipway.decision"} <= known, one.name
        assert set(re.findall(r'step == "(\w+)"', one.kql)) <= spans, one.name


@pytest.mark.parametrize("one", generate.queries(), ids=lambda one: one.name)
def test_every_reason_that_a_query_names_is_one(one: generate.Query) -> None:
    named = set(re.findall(r'"([A-Z_]{3,})"', one.kql))
    assert named <= set(Reason.__members__)


def test_the_workbook_shows_every_query_that_is_no_alert() -> None:
    items: list[dict[str, Any]] = generate.workbook()["items"]
    shown = {item["name"] for item in items if item["type"] == 3}
    meant = {one.name for one in generate.queries() if not one.name.startswith(("alert-", "parameter-"))}
    assert shown == meant
    assert len({item["name"] for item in items}) == len(items)


def test_the_modules_take_what_is_made() -> None:
    workbook = (ROOT / "infra" / "modules" / "workbook.bicep").read_text()
    assert f"'{generate.WORKSPACE}'" in workbook
    alerts = (ROOT / "infra" / "modules" / "alerts.bicep").read_text()
    for spec in generate.alerts():
        assert all(f"alert.{key}" in alerts for key in spec), spec["key"]
        assert "{" not in spec["query"], "an alert has no parameters"


GAUGES = set(re.findall(r"^\| `(slipway\.[\w.]+)` \| gauge", TELEMETRY, re.MULTILINE))


@pytest.mark.parametrize("one", generate.queries(), ids=lambda one: one.name)
def test_what_is_measured_now_has_neither_least_nor_most(one: generate.Query) -> None:
    """The exporter's envelope of a gauge has a value and a count alone; Min and Max are ingestion's guess."""
    if set(re.findall(r'"(slipway\.[\w.]+)"', one.kql)) & GAUGES:
        assert not re.search(r"\b(Max|Min)\b", one.kql)


WANTED_ALERTS: dict[str, dict[str, Any]] = {
    "alert-release-failed": {"severity": 1, "window": "PT15M", "every": "PT5M", "by": "agent"},
    "alert-heartbeat": {"window": "PT15M", "fires": "LessThan", "rows": 1},
    "alert-poison": {"severity": 1, "window": "PT15M", "every": "PT5M", "by": "queue"},
    "alert-quota": {"fires": "GreaterThan", "by": "agent"},
    "alert-unfinished": {"fires": "GreaterThan"},
    "alert-approval": {"fires": "GreaterThan", "by": "agent"},
}
THRESHOLDS = {"alert-quota": "level > 0.8", "alert-unfinished": "level > 1800", "alert-approval": "level > 86400"}
DELIVERIES = ("DeadLetteredCount", "DroppedEventCount", "DeliveryAttemptFailCount")
"""learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-eventgrid-systemtopics-metrics."""


def test_somebody_is_called_for_whatever_needs_a_person() -> None:
    parts = {part["query"]: part for part in generate._part("alerts.yaml")}
    assert parts.keys() == WANTED_ALERTS.keys()
    for name, desired in WANTED_ALERTS.items():
        assert desired.items() <= parts[name].items(), name
        assert THRESHOLDS.get(name, "") in generate.query(name).kql
    bicep = (ROOT / "infra" / "modules" / "alerts.bicep").read_text()
    assert all(f"metric: '{metric}'" in bicep for metric in DELIVERIES)


def test_one_agents_open_alert_does_not_silence_another_agents() -> None:
    """A rule that resolves itself tells nobody again while it is open: each value of the column has its own."""
    for spec in generate.alerts():
        for split in spec["dimensions"]:
            last = spec["query"].rpartition("|")[2]
            assert split == {"name": split["name"], "operator": "Include", "values": ["*"]}
            assert re.search(rf"\b{split['name']}\b", last), f"{spec['key']}: the result has no column {split['name']}"
    assert sum(bool(spec["dimensions"]) for spec in generate.alerts()) == 4


def test_whatever_wants_a_person_during_a_release_is_called_an_error() -> None:
    """The alert looks at the severity: every way in which a release can fail has it."""
    assert 'severity == "error" and step startswith "release."' in generate.query("alert-release-failed").kql
    bad = {reason for reason in Reason if outcome_of(reason) in (ReleaseOutcome.FAILED, ReleaseOutcome.ROLLED_BACK)}
    assert bad
    assert {reason.severity for reason in bad} == {"error"}


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
    asked = {one.name for one in generate.queries()}
    shown = json.dumps(generate.workbook())
    for question, names in QUESTIONS.items():
        assert names <= asked, question
        assert all(json.dumps(generate.query(name).kql)[1:-1] in shown for name in names), question
    assert "help = take_any(help) by reason" in generate.query("failures").kql
    assert "digest == '{Digest}'" in generate.query("one-push").kql
