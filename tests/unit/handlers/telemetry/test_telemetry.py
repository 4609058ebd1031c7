"""What is emitted is what docs/reference/telemetry.md says: metrics, spans and the properties of a decision."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core.model import Answer, Routing
from core.reasons import Reason
from handlers.gateways.errors import TransientError
from handlers.poison import handle_poison_message
from handlers.prune_versions.run import prune_versions
from handlers.redaction import register_secret
from handlers.release_agent.reconcile import handle_message
from handlers.resume_releases.run import resume_releases
from handlers.telemetry import otel
from tests.simulation.virtual_time import in_virtual_time
from tests.unit.handlers.prune_versions.test_run import Odd, OddHouse, versions_of_ours
from tests.unit.handlers.release_agent.test_gates_and_rollback import PROVEN, again, house_with, live_house, rotate
from tests.unit.handlers.test_handlers import AGENT, House

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "reference" / "telemetry.md").read_text()
KINDS = {"Sum": "counter", "Histogram": "histogram", "Gauge": "gauge"}
MANUAL = PROVEN + ", mode: manual"
Metric = tuple[str, str, str]


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def listed(text: str) -> frozenset[str]:
    return frozenset(one.strip() for one in text.split(",") if one.strip())


@dataclass
class Seen:
    """What the SDK's own exporters in memory were given."""

    reader: InMemoryMetricReader
    exporter: InMemorySpanExporter
    lines: list[dict[str, Any]] = field(default_factory=list)

    def metrics(self) -> dict[str, Metric]:
        data: Any = self.reader.get_metrics_data()
        found = [one for told in data.resource_metrics for scope in told.scope_metrics for one in scope.metrics]
        return {one.name: self._metric(one) for one in found if one.name.startswith("slipway.")}

    def _metric(self, one: Any) -> Metric:
        keys = {frozenset(point.attributes) for point in one.data.data_points}
        assert len(keys) == 1, one.name
        attributes = ", ".join(key.removeprefix("slipway.") for key in sorted(*keys))
        return KINDS[type(one.data).__name__], one.unit, attributes

    def spans(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for span in self.exporter.get_finished_spans():
            keys = {key.removeprefix("slipway.") for key in span.attributes or {}}
            found.setdefault(span.name, set()).update(keys)
        return found


@pytest.fixture(scope="module")
def providers() -> Iterator[Seen]:
    """The process's providers: they can be set once, and are shut down for the tests that come after."""
    reader, exporter = InMemoryMetricReader(), InMemorySpanExporter()
    spans = TracerProvider()
    spans.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(spans)
    metrics.set_meter_provider(MeterProvider([reader]))
    yield Seen(reader, exporter)
    exporter.shutdown()


class Lines(logging.Handler):
    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def emit(self, release: logging.LogRecord) -> None:
        self.seen.lines.append({key: value for key, value in vars(release).items() if key.startswith("slipway.")})


@pytest.fixture
def seen(providers: Seen) -> Iterator[Seen]:
    handler = Lines(providers)
    logging.getLogger("slipway").addHandler(handler)
    providers.exporter.clear()
    yield providers
    logging.getLogger("slipway").removeHandler(handler)


async def everything() -> None:
    """Live, taken back, restored, rotated, pinned, pruned, held up by sessions and by a person, poisoned."""
    house = await live_house()
    house.foundry.answers["b" * 64] = ("pong", Answer(200, "oops"))
    await again(house, "v2", "b")
    await house.clock.sleep(60)
    await again(house, "v3", "c")
    await rotate(house, "another value of it")
    await house.released()
    await resume_releases(house.agents, house.outside)
    await handle_poison_message("events", "{}", house.outside)
    house.journal.down = True
    await house.event("odd")
    await _pinned()
    await _pruned()
    await _approved_by_nobody()


async def _pinned() -> None:
    house = House()
    await house.pushed()
    await house.released()
    house.foundry.agents[AGENT].routing = Routing()
    release = house.ledger.releases[AGENT].state
    house.ledger.releases[AGENT].state = type(release)(observed_generation=release.observed_generation)
    await house.pushed("v2", "b")
    await house.released()


async def _pruned() -> None:
    house = OddHouse(kind=Odd)
    await versions_of_ours(house, 4)
    house.foundry.agents[AGENT].versions_in_use = {"1"}
    await prune_versions(house.agents, house.settings, house.outside)


async def _approved_by_nobody() -> None:
    house = house_with(MANUAL)
    await house.pushed()
    await house.released()
    await resume_releases(house.agents, house.outside)


@in_virtual_time
async def _run() -> None:
    await everything()


def test_the_page_lists_what_is_measured_and_nothing_else(seen: Seen) -> None:
    _run()
    rows = re.findall(r"^\| `([\w.]+)` \| (\w+) \| `(.+?)` \| (.*?) \|", section("Metrics"), re.MULTILINE)
    told = {name: (kind, unit, ", ".join(sorted(listed(keys)))) for name, kind, unit, keys in rows}
    assert seen.metrics() == told


def test_the_page_lists_every_span_with_its_attributes(seen: Seen) -> None:
    _run()
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", section("One trace per push"), re.MULTILINE)
    told = {name: listed(keys) for name, keys in rows}
    emitted = seen.spans()
    assert {"push", "rotation", "release", "release.rollback", "release.pin", "prune.delete"} <= emitted.keys()
    assert {name: keys - told.get(name, set()) for name, keys in emitted.items() if keys - told.get(name, set())} == {}


def test_the_page_lists_every_property_of_a_decision(seen: Seen) -> None:
    _run()
    told = set(re.findall(r"^\| `(slipway\.\w+)`", section("One line per decision"), re.MULTILINE))
    emitted = {key for line in seen.lines for key in line}
    assert emitted - told == set()
    assert told - emitted == set()


def test_every_line_says_the_same_of_its_reason(seen: Seen) -> None:
    _run()
    for line in seen.lines:
        reason = Reason[line["slipway.reason"]]
        assert (line["slipway.severity"], line["slipway.help"]) == (reason.severity, reason.help)
        assert line["slipway.step"]


def test_a_value_of_a_hundred_kilobytes_is_cut_after_it_was_looked_through(seen: Seen) -> None:
    register_secret("a secret that stands at the cut")
    text = "x" * 990 + "a secret that stands at the cut" + "y" * 100_000
    with otel.span("push", repository=text):
        otel.log_decision({"repository": text}, severity="info")
    (span,) = seen.exporter.get_finished_spans()
    for value in (str((span.attributes or {})["slipway.repository"]), str(seen.lines[-1]["slipway.repository"])):
        assert len(value) == otel.MAX_VALUE_CHARS
        assert "a secret" not in value


def test_an_error_is_told_by_its_type_alone(seen: Seen) -> None:
    with pytest.raises(TransientError), otel.span("release.create"):
        raise TransientError("Foundry", "500", "what it said") from ValueError("what its cause said")
    (span,) = seen.exporter.get_finished_spans()
    assert span.status.description == "TransientError"
    assert list(span.events) == []


def traces(seen: Seen, name: str) -> list[int]:
    return [span.context.trace_id for span in seen.exporter.get_finished_spans() if span.name == name and span.context]


@in_virtual_time
async def test_a_step_that_ends_in_an_error_is_a_failed_one_and_so_is_its_release(seen: Seen) -> None:
    house = await live_house()
    house.foundry.answers["b" * 64] = "no idea"
    seen.exporter.clear()
    assert await again(house, "v2", "b") == "VERIFY_FAILED"
    failed = {
        span.name: span.status.description for span in seen.exporter.get_finished_spans() if not span.status.is_ok
    }
    assert failed == {"release.verify": "VERIFY_FAILED", "release": "VERIFY_FAILED"}


@in_virtual_time
async def test_a_deletion_says_what_became_of_the_version_and_one_that_met_a_fault_is_a_failed_one(seen: Seen) -> None:
    """The SDK's own spans of it are not exported: a thousand versions would be two thousand more."""
    house = OddHouse(kind=Odd)
    await versions_of_ours(house, 4)
    house.foundry.agents[AGENT].versions_in_use = {"1"}
    house.foundry.errors = [TransientError("Foundry", "503", "delete")]
    seen.exporter.clear()
    await prune_versions(house.agents, house.settings, house.outside)
    spans = [span for span in seen.exporter.get_finished_spans() if span.name == "prune.delete"]
    assert [span.status.description for span in spans if not span.status.is_ok] == ["TransientError"]
    ended = {str((span.attributes or {}).get("slipway.reason")) for span in spans if span.status.is_ok}
    assert "SESSIONS_ACTIVE" in ended
    assert "None" not in ended


@in_virtual_time
async def test_a_message_that_was_lost_is_asked_for_again_in_its_pushs_trace(seen: Seen) -> None:
    house = house_with()
    await house.pushed()
    await resume_releases(house.agents, house.outside)
    (trace_id,) = traces(seen, "push")
    assert len(house.queue.traceparents) == 2
    assert all(one is not None and one.startswith(f"00-{trace_id:032x}-") for one in house.queue.traceparents)


@in_virtual_time
async def test_a_newer_push_is_released_in_its_own_trace_whoever_s_message_it_was(seen: Seen) -> None:
    house = house_with()
    await house.pushed("v1", "a")
    await house.clock.sleep(60)
    await house.pushed("v2", "b")
    message = json.dumps({"target": AGENT, "traceparent": house.queue.traceparents[0]})
    await handle_message(message, house.agents, house.settings, house.outside)
    first, second = traces(seen, "push")
    assert traces(seen, "release") == [first, second]
    assert traces(seen, "release.create") == traces(seen, "release.verify") == [second]


@in_virtual_time
async def test_a_release_that_yields_goes_on_in_its_pushs_trace(seen: Seen) -> None:
    house = house_with("min_push_age: 5m")
    await house.pushed()
    assert await house.released() == ""
    await house.clock.sleep(400)
    assert await house.released() == "LIVE"
    (trace_id,) = traces(seen, "push")
    assert all(one is not None and one.startswith(f"00-{trace_id:032x}-") for one in house.queue.traceparents)
    assert traces(seen, "release.create") == [trace_id]


def points(seen: Seen, name: str) -> dict[str, float]:
    """What is exported next of a metric: each series' value, or how many values a histogram had."""
    data: Any = seen.reader.get_metrics_data()
    scopes = [scope for told in data.resource_metrics for scope in told.scope_metrics] if data else []
    found = [point for scope in scopes for one in scope.metrics if one.name == name for point in one.data.data_points]
    return {" ".join(map(str, one.attributes.values())): getattr(one, "count", None) or one.value for one in found}


def test_how_much_there_is_is_exported_once(seen: Seen) -> None:
    """An instance that looked an hour ago and lives on would else say every minute what was true then."""
    for number in (3, 4):
        otel.gauge("queue.depth", number, unit="{message}", queue="of-this-test")
    assert points(seen, "slipway.queue.depth")["of-this-test"] == 4
    assert "of-this-test" not in points(seen, "slipway.queue.depth")
    otel.gauge("queue.depth", 0, unit="{message}", queue="of-this-test")
    assert points(seen, "slipway.queue.depth")["of-this-test"] == 0


@in_virtual_time
async def test_a_rotation_is_no_lead_time_of_a_push(seen: Seen) -> None:
    """It releases an image that was pushed a year ago, perhaps."""
    name = "slipway.release.lead_time"
    before = points(seen, name).get(AGENT, 0)
    house = await live_house()
    assert points(seen, name)[AGENT] == before + 1
    await rotate(house, "another value of it")
    await house.clock.sleep(60)
    assert await house.released() == "LIVE"
    assert points(seen, name)[AGENT] == before + 1
    assert await again(house, "v9", "9") == "LIVE"
    assert points(seen, name)[AGENT] == before + 2


@in_virtual_time
async def test_a_status_that_no_version_has_is_told_as_none(seen: Seen) -> None:
    house = await live_house()
    await again(house, "v2", "b")
    told = points(seen, "slipway.versions")
    assert {told[f"{AGENT} {status}"] for status in ("creating", "failed")} == {0}
    assert told[f"{AGENT} active"] >= 1


@in_virtual_time
async def test_the_journal_holds_the_lines_that_application_insights_is_told(seen: Seen) -> None:
    seen.lines.clear()
    house = await live_house()
    house.foundry.answers["b" * 64] = "no idea"
    await again(house, "v2", "b")
    await house.event("odd")
    kept = [{f"slipway.{key}": value for key, value in line.items()} for line in house.journal.lines]
    assert {"LIVE", "VERIFY_FAILED", "MALFORMED_EVENT"} <= set(house.journal.reasons()), "skipped events, too"
    assert sorted(kept, key=str) == sorted(seen.lines, key=str)


def test_every_step_says_which_image_it_is_about(seen: Seen) -> None:
    """So that a query for a digest finds the waits and the looks, too."""
    _run()
    image = {"agent", "repository", "tag", "digest"}
    told = {name: keys for name, keys in seen.spans().items() if name.startswith("release") and name != "release.pin"}
    assert {"release.wait", "release.read", "release.create"} <= told.keys(), "a pin may come before there is a release"
    assert {name: image - keys for name, keys in told.items() if image - keys} == {}
