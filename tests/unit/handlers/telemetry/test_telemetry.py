"""docs/reference/telemetry.md lists exactly the emitted metrics, spans and properties of a decision."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core.agents_file.loader import load_agents
from core.model import Answer, Routing
from core.reasons import Reason
from handlers.gateways.errors import TransientError
from handlers.poison import handle_poison_message
from handlers.prune_versions.run import prune_versions
from handlers.redaction import register_secret
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from handlers.telemetry import metrics as product_metrics
from handlers.telemetry import otel
from tests.simulation.virtual_time import VirtualClock, in_virtual_time
from tests.support.app import AGENT, PROBES, WITH_RELEASE, App, app_with, live_app, push_and_release, rotate
from tests.unit.handlers.masking.test_spellings import SPELLINGS, VALUE, is_left
from tests.unit.handlers.prune_versions.test_run import PruneApp, ScriptedFoundry, release_versions

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "reference" / "telemetry.md").read_text()
KINDS = {"Sum": "counter", "Histogram": "histogram", "Gauge": "gauge"}
MANUAL = PROBES + ", mode: manual"
Metric = tuple[str, str, str]


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def listed(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


@dataclass
class Exported:
    """What the SDK exported to memory."""

    reader: InMemoryMetricReader
    exporter: InMemorySpanExporter
    lines: list[dict[str, Any]] = field(default_factory=list)

    def metrics(self) -> dict[str, Metric]:
        data: Any = self.reader.get_metrics_data()
        found = [
            metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]
        return {metric.name: self._metric(metric) for metric in found if metric.name.startswith("slipway.")}

    def _metric(self, metric: Any) -> Metric:
        keys = {frozenset(point.attributes) for point in metric.data.data_points}
        assert len(keys) == 1, metric.name
        attributes = ", ".join(key.removeprefix("slipway.") for key in sorted(*keys))
        return KINDS[type(metric.data).__name__], metric.unit, attributes

    def spans(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for span in self.exporter.get_finished_spans():
            keys = {key.removeprefix("slipway.") for key in span.attributes or {}}
            found.setdefault(span.name, set()).update(keys)
        return found


@pytest.fixture(scope="module")
def providers() -> Iterator[Exported]:
    """The providers of the process: they can be set once, and are shut down for later tests."""
    reader, exporter = InMemoryMetricReader(), InMemorySpanExporter()
    spans = TracerProvider()
    spans.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(spans)
    metrics.set_meter_provider(MeterProvider([reader]))
    yield Exported(reader, exporter)
    exporter.shutdown()


class Lines(logging.Handler):
    def __init__(self, exported: Exported) -> None:
        super().__init__()
        self.exported = exported

    def emit(self, record: logging.LogRecord) -> None:
        self.exported.lines.append({key: value for key, value in vars(record).items() if key.startswith("slipway.")})


@pytest.fixture
def exported(providers: Exported) -> Iterator[Exported]:
    handler = Lines(providers)
    logging.getLogger("slipway").addHandler(handler)
    providers.exporter.clear()
    providers.lines.clear()
    yield providers
    logging.getLogger("slipway").removeHandler(handler)


async def everything() -> None:
    """Emit everything: live, rolled back, restored, rotated, pinned, pruned, sessions, approval, poisoned."""
    app = await live_app()
    app.foundry.answers["b" * 64] = ("pong", Answer(200, "oops"))
    await push_and_release(app, "v2", "b")
    await app.clock.sleep(60)
    await push_and_release(app, "v3", "c")
    await rotate(app, "another value of it")
    await app.released()
    app.release_queue.stuck, app.state_store.markers["events-poison"] = {"events-poison": 1}, "1 0"
    await resume_releases(app.agents, app.gateways)
    await handle_poison_message("events", "{}", app.gateways)
    app.journal.down = True
    await app.event("odd")
    await _pinned()
    await _pruned()
    await _approved_by_nobody()
    await _evaluated()


async def _evaluated() -> None:
    evaluation = "evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 0.9}}}"
    rows = b'{"ask": "ping", "expect": "pong"}\n{"ask": "ping again", "expect": "pong"}'
    app = App(clock=VirtualClock(), agents=load_agents((WITH_RELEASE % evaluation).encode(), lambda _: rows))
    app.foundry.answers["a" * 64] = "pong"
    assert await push_and_release(app, "v1", "a") == "LIVE"


async def _pinned() -> None:
    app = App()
    await app.pushed()
    await app.released()
    app.foundry.agents[AGENT].routing = Routing()
    release = app.state_store.releases[AGENT].state
    app.state_store.releases[AGENT].state = type(release)(observed_generation=release.observed_generation)
    await app.pushed("v2", "b")
    await app.released()


async def _pruned() -> None:
    app = PruneApp(kind=ScriptedFoundry)
    await release_versions(app, 4)
    app.foundry.agents[AGENT].versions_in_use = {"1"}
    app.foundry.toolboxes[f"{AGENT}-tools"] += ["unused", "newest"]
    app.clock.passed += 7200
    await prune_versions(app.agents, app.settings, app.gateways)


async def _approved_by_nobody() -> None:
    app = app_with(MANUAL)
    await app.pushed()
    await app.released()
    await resume_releases(app.agents, app.gateways)


@in_virtual_time
async def _run() -> None:
    await everything()


def test_the_page_lists_exactly_the_metrics(exported: Exported) -> None:
    _run()
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+) \| `(.+?)` \| (.*?) \|", section("Metrics"), re.MULTILINE)
    documented = {name: (kind, unit, ", ".join(sorted(listed(keys)))) for name, kind, unit, keys in rows}
    assert exported.metrics() == documented


def test_the_page_lists_every_span_with_its_attributes(exported: Exported) -> None:
    _run()
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", section("One trace per push"), re.MULTILINE)
    documented = {name: listed(keys) for name, keys in rows}
    emitted = exported.spans()
    assert {"push", "rotation", "release", "release.rollback", "release.pin", "prune.delete"} <= emitted.keys()
    missing = {name: keys - documented.get(name, set()) for name, keys in emitted.items()}
    assert {name: keys for name, keys in missing.items() if keys} == {}


def test_the_page_lists_every_property_of_a_decision(exported: Exported) -> None:
    _run()
    documented = set(re.findall(r"^\| `(slipway\.\w+)`", section("One line per decision"), re.MULTILINE))
    emitted = {key for line in exported.lines for key in line}
    assert emitted - documented == set()
    by_a_rule = {"slipway.signer", "slipway.stage"}  # only where agents.yaml has release.signed_by, and stages
    assert documented - emitted == by_a_rule


def test_every_line_has_the_severity_and_help_of_its_reason(exported: Exported) -> None:
    _run()
    assert exported.lines
    for line in exported.lines:
        reason = Reason[line["slipway.reason"]]
        image = f"{line.get('slipway.repository')}:{line.get('slipway.tag')}"
        help_ = reason.help_for(line.get("slipway.agent"), image=image, version=line.get("slipway.version", ""))
        assert (line["slipway.severity"], line["slipway.help"]) == (reason.severity, help_)
        assert line["slipway.step"]


def test_a_long_value_is_redacted_before_it_is_cut(exported: Exported) -> None:
    register_secret("a secret that stands at the cut")
    text = "x" * 990 + "a secret that stands at the cut" + "y" * 100_000
    with otel.span("push", repository=text):
        otel.log_decision({"repository": text}, severity="info")
    (span,) = exported.exporter.get_finished_spans()
    for value in (str((span.attributes or {})["slipway.repository"]), str(exported.lines[-1]["slipway.repository"])):
        assert len(value) == otel.MAX_VALUE_CHARS
        assert "a secret" not in value


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_attribute_of_a_span_or_metric_holds_a_secret(exported: Exported, spelling: str) -> None:
    register_secret(VALUE)
    text = f"it said {SPELLINGS[spelling](VALUE)}\x1b[2J at last"
    with otel.span("push", repository=text) as set_attributes:
        set_attributes(detail=text)
        otel.set_attributes(failed=True, tag=text)
    otel.past_span("release.wait", datetime.now(UTC), datetime.now(UTC), detail=text)
    otel.count("releases", unit="{release}", agent=text, outcome=text)
    found = [value for span in exported.exporter.get_finished_spans() for value in (span.attributes or {}).values()]
    data: Any = exported.reader.get_metrics_data()
    points = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "slipway.releases"
        for point in metric.data.data_points
    ]
    found += list(points[-1].attributes.values())
    assert len(found) >= 5
    assert all("***" in str(value) and "\x1b" not in str(value) for value in found)
    assert not any(is_left(VALUE, str(value)) for value in found)


def test_a_span_names_only_the_type_of_an_error(exported: Exported) -> None:
    with pytest.raises(TransientError), otel.span("release.create"):
        raise TransientError("Foundry", "500", "what it said") from ValueError("what its cause said")
    (span,) = exported.exporter.get_finished_spans()
    assert span.status.description == "TransientError"
    assert list(span.events) == []


def traces(exported: Exported, name: str) -> list[int]:
    return [
        span.context.trace_id for span in exported.exporter.get_finished_spans() if span.name == name and span.context
    ]


@in_virtual_time
async def test_a_failed_step_marks_its_span_and_the_release_as_failed(exported: Exported) -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = "no idea"
    exported.exporter.clear()
    assert await push_and_release(app, "v2", "b") == "VERIFY_FAILED"
    failed = {
        span.name: span.status.description for span in exported.exporter.get_finished_spans() if not span.status.is_ok
    }
    assert failed == {"release.verify": "VERIFY_FAILED", "release": "VERIFY_FAILED"}


@in_virtual_time
async def test_a_deletion_span_has_the_reason_and_fails_on_a_fault(exported: Exported) -> None:
    """The SDK exports no spans of it: a thousand versions would be two thousand more."""
    app = PruneApp(kind=ScriptedFoundry)
    await release_versions(app, 4)
    app.foundry.agents[AGENT].versions_in_use = {"1"}
    app.foundry.errors = [TransientError("Foundry", "503", "delete")]
    exported.exporter.clear()
    await prune_versions(app.agents, app.settings, app.gateways)
    spans = [span for span in exported.exporter.get_finished_spans() if span.name == "prune.delete"]
    assert [span.status.description for span in spans if not span.status.is_ok] == ["TransientError"]
    ended = {str((span.attributes or {}).get("slipway.reason")) for span in spans if span.status.is_ok}
    assert "SESSIONS_ACTIVE" in ended
    assert "None" not in ended


@in_virtual_time
async def test_a_lost_message_is_enqueued_again_in_its_pushs_trace(exported: Exported) -> None:
    app = app_with()
    await app.pushed()
    await resume_releases(app.agents, app.gateways)
    (trace_id,) = traces(exported, "push")
    assert len(app.release_queue.traceparents) == 2
    assert all((parent or "").startswith(f"00-{trace_id:032x}-") for parent in app.release_queue.traceparents)


@in_virtual_time
async def test_a_message_that_finds_the_lease_taken_has_no_span_of_a_release(exported: Exported) -> None:
    app = app_with()
    await app.pushed()
    lease = await app.state_store.acquire_lease(AGENT)
    assert lease is not None
    await app.released()
    assert "lease_taken" in exported.spans()
    assert "release" not in exported.spans()
    await lease.release()
    assert await app.released() == "LIVE"
    assert "release" in exported.spans()


@in_virtual_time
async def test_a_newer_push_is_released_in_its_own_trace_whatever_message_started_it(exported: Exported) -> None:
    app = app_with()
    await app.pushed("v1", "a")
    await app.clock.sleep(60)
    await app.pushed("v2", "b")
    message = json.dumps({"target": AGENT, "traceparent": app.release_queue.traceparents[0]})
    await handle_message(message, app.agents, app.settings, app.gateways)
    first, second = traces(exported, "push")
    assert traces(exported, "release") == [first, second]
    assert traces(exported, "release.create") == traces(exported, "release.verify") == [second]


@in_virtual_time
async def test_a_requeued_release_continues_in_its_pushs_trace(exported: Exported) -> None:
    app = app_with("min_push_age: 5m")
    await app.pushed()
    assert await app.released() == ""
    await app.clock.sleep(400)
    assert await app.released() == "LIVE"
    (trace_id,) = traces(exported, "push")
    assert all((parent or "").startswith(f"00-{trace_id:032x}-") for parent in app.release_queue.traceparents)
    assert traces(exported, "release.create") == [trace_id]


def points(exported: Exported, name: str) -> dict[str, float]:
    """The next export of a metric: the value of each series, or the number of values of a histogram."""
    data: Any = exported.reader.get_metrics_data()
    scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
    found = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
    values = [point for metric in found for point in metric.data.data_points]
    return {
        " ".join(map(str, point.attributes.values())): getattr(point, "count", None) or point.value for point in values
    }


def test_a_gauge_value_is_exported_once(exported: Exported) -> None:
    """Otherwise an instance would repeat a value of an hour ago every minute."""
    for number in (3, 4):
        otel.gauge("queue.depth", number, unit="{message}", queue="of-this-test")
    assert points(exported, "slipway.queue.depth")["of-this-test"] == 4
    assert "of-this-test" not in points(exported, "slipway.queue.depth")
    otel.gauge("queue.depth", 0, unit="{message}", queue="of-this-test")
    assert points(exported, "slipway.queue.depth")["of-this-test"] == 0


def test_holds_are_exported_while_there_are_any_and_once_after_the_last(exported: Exported) -> None:
    exports = []
    for holds in (0, 2, 0, 0):
        product_metrics.holds_and_approval("of-this-test", holds, 0.0)
        exports.append(points(exported, "slipway.holds").get("of-this-test"))
    assert exports == [None, 2, 0, None]


@in_virtual_time
async def test_a_rotation_has_no_lead_time(exported: Exported) -> None:
    """It may release an image that was pushed a year ago."""
    name = "slipway.release.lead_time"
    before = points(exported, name).get(AGENT, 0)
    app = await live_app()
    assert points(exported, name)[AGENT] == before + 1
    await rotate(app, "another value of it")
    await app.clock.sleep(60)
    assert await app.released() == "LIVE"
    assert points(exported, name)[AGENT] == before + 1
    assert await push_and_release(app, "v9", "9") == "LIVE"
    assert points(exported, name)[AGENT] == before + 2


@in_virtual_time
async def test_a_status_without_versions_is_reported_as_zero(exported: Exported) -> None:
    app = await live_app()
    await push_and_release(app, "v2", "b")
    versions = points(exported, "slipway.versions")
    assert {versions[f"{AGENT} {status}"] for status in ("creating", "failed")} == {0}
    assert versions[f"{AGENT} active"] >= 1


@in_virtual_time
async def test_the_journal_and_application_insights_get_the_same_lines(exported: Exported) -> None:
    app = await live_app()
    app.foundry.answers["b" * 64] = "no idea"
    await push_and_release(app, "v2", "b")
    await app.event("odd")
    kept = [{f"slipway.{key}": value for key, value in line.items()} for line in app.journal.lines]
    assert {"LIVE", "VERIFY_FAILED", "MALFORMED_EVENT"} <= set(app.journal.reasons()), "skipped events, too"
    assert sorted(kept, key=str) == sorted(exported.lines, key=str)


def test_every_release_span_names_its_image(exported: Exported) -> None:
    """So that a query for a digest finds waits and reads too."""
    _run()
    image = {"agent", "repository", "tag", "digest"}
    spans = {
        name: keys for name, keys in exported.spans().items() if name.startswith("release") and name != "release.pin"
    }
    assert {"release.wait", "release.read", "release.create"} <= spans.keys(), (
        "a pin may come before there is a release"
    )
    assert {name: image - keys for name, keys in spans.items() if image - keys} == {}


@in_virtual_time
async def test_the_steps_of_a_release_account_for_all_its_time(exported: Exported) -> None:
    """In virtual time, where only what waits takes time: no load of the machine is between two steps."""
    app = App(clock=VirtualClock())
    await app.pushed()
    assert await app.released() == "LIVE"
    (wait,) = [span for span in exported.exporter.get_finished_spans() if span.name == "release.wait"]
    assert wait.start_time is not None
    assert wait.end_time is not None
    waited = (wait.end_time - wait.start_time) / 1e9
    assert waited == app.foundry.provisioning
    decided = sum(line.get("slipway.took_s", 0.0) for line in exported.lines)
    assert waited + decided == exported.lines[-1]["slipway.since_start_s"]
