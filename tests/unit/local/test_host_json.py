"""host.json as the Functions host reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.functions_host.host_json import HostJsonError, HostSettings, load, parse, seconds

ROOT = Path(__file__).resolve().parents[3]


def queues(**settings: Any) -> HostSettings:
    return parse({"extensions": {"queues": settings}}, {}, processors=2)


def test_the_defaults_are_those_of_the_real_host() -> None:
    assert parse({}, {}, processors=4) == HostSettings(
        batch_size=16,
        new_batch_threshold=32,
        max_dequeue_count=5,
        visibility_timeout=0,
        max_polling_interval=60,
        function_timeout=1800,
    )
    assert queues(batchSize=9).new_batch_threshold == 8


def test_the_file_of_this_app() -> None:
    settings = load(ROOT / "host.json", {})
    assert (settings.batch_size, settings.new_batch_threshold, settings.max_polling_interval) == (32, 32, 0.1)
    assert (settings.visibility_timeout, settings.function_timeout) == (60, 1800)


def test_names_are_read_in_any_case_and_settings_override_the_file() -> None:
    assert queues(BATCHSIZE=4).batch_size == 4
    setting = {"AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:01", "OTHER": "x"}
    assert parse({"extensions": {"queues": {"maxPollingInterval": "00:01:00"}}}, setting, 1).max_polling_interval == 1
    assert parse({}, {"AzureFunctionsJobHost__functionTimeout": "-1"}, 1).function_timeout is None


@pytest.mark.parametrize(
    "settings",
    [
        *({"batchSize": value} for value in (0, -1, 33, "abc", 1.5, True, None, "")),
        *({"newBatchThreshold": value} for value in (-1, "x")),
        *({"maxDequeueCount": value} for value in (0, -1)),
        *({"maxPollingInterval": value} for value in ("00:00:00.099", "00:00:00", "nonsense", "1 s", "25:00:00")),
        *({"visibilityTimeout": value} for value in ("-00:00:01", "8.00:00:00", "", "00:00:60", "00:60:00", 30)),
        {"messageEncoding": "none"},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_an_error_that_names_its_setting(settings: dict[str, Any]) -> None:
    with pytest.raises(HostJsonError) as error:
        queues(**settings)
    assert str(error.value).startswith(f"extensions.queues.{next(iter(settings))}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"batchSize": "32"},
        {"newBatchThreshold": 0},
        {"newBatchThreshold": 1000},
        {"maxPollingInterval": "10:00:00"},
        {"maxPollingInterval": 100},
        {"visibilityTimeout": "7.00:00:00"},
        {"messageEncoding": "Base64"},
    ],
    ids=str,
)
def test_values_in_range(settings: dict[str, Any]) -> None:
    queues(**settings)


@pytest.mark.parametrize("text", ["abc", "00:00:00", "-00:00:01", "00:00:00.5"])
def test_a_function_timeout_out_of_range(text: str) -> None:
    with pytest.raises(HostJsonError, match=r"^functionTimeout is"):
        parse({"functionTimeout": text}, {}, 1)


def test_time_spans() -> None:
    spans = {"00:01:30.5": 90.5, "1.02:00:00": 93_600, "2": 172_800, "1:2": 3_720, "-00:00:01": -1}
    assert {text: seconds(text) for text in spans} == spans


@pytest.mark.parametrize(("content", "error"), [("", "is not JSON"), ("[]", "is not an object"), (None, "is missing")])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: str | None, error: str) -> None:
    if content is not None:
        (tmp_path / "host.json").write_text(content)
    with pytest.raises(HostJsonError, match=error):
        load(tmp_path / "host.json", {})


def test_a_file_with_only_a_version(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0"}))
    assert load(tmp_path / "host.json", {}).batch_size == 16
