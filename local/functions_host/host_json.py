"""Reads ``host.json`` as the Functions host binds it: names in any case, settings over the file, ranges checked.

The ranges are those of the setters of QueuesOptions (azure-sdk-for-net, WebJobs.Extensions.Storage.Queues) and of
ScriptJobHostOptionsSetup (azure-functions-host): a value outside them stops the start.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SETTING_PREFIX = "AzureFunctionsJobHost__"
TIME_SPAN = re.compile(r"(-)?(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?")
DAYS = re.compile(r"\d{1,8}")
DAY = 24 * 3600
MAX_BATCH_SIZE = 32
MIN_POLLING_SECONDS = 0.1
MAX_HIDDEN_SECONDS = 7 * DAY
"""A queue message cannot be hidden for longer; the real host finds out at the first failure."""
DEFAULT_MAX_POLLING_SECONDS = 60.0
DEFAULT_FUNCTION_TIMEOUT_SECONDS = 30 * 60.0
MIN_FUNCTION_TIMEOUT_SECONDS = 1.0
NO_TIMEOUT = "-1"


class HostJsonError(Exception):
    """The host does not start with this ``host.json``; the message is one sentence that names the setting."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The settings that triggers follow."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: float = 0.0
    """Seconds that a message stays hidden after a failed try."""
    max_polling_interval: float = DEFAULT_MAX_POLLING_SECONDS
    function_timeout: float | None = DEFAULT_FUNCTION_TIMEOUT_SECONDS
    """Seconds; None without a limit."""


def load(file: Path, env: Mapping[str, str]) -> HostSettings:
    """Read the file and the settings over it; raise HostJsonError."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise HostJsonError("host.json is missing") from error
    except ValueError as error:
        raise HostJsonError(f"host.json is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise HostJsonError("host.json is not an object")
    return parse(content, env, os.cpu_count() or 1)


def parse(content: Mapping[str, Any], env: Mapping[str, str], processors: int) -> HostSettings:
    """Return the settings; raise HostJsonError for the first that is out of range."""
    given = _flat(content, "") | {
        name[len(SETTING_PREFIX) :].replace("__", ":").lower(): value
        for name, value in env.items()
        if name.lower().startswith(SETTING_PREFIX.lower())
    }
    queues = {
        name.removeprefix("extensions:queues:"): value
        for name, value in given.items()
        if name.startswith("extensions:queues:")
    }
    batch = _whole(queues, "batchSize", 16, 1, MAX_BATCH_SIZE)
    if queues.get("messageencoding", "base64").lower() != "base64":
        raise HostJsonError("extensions.queues.messageEncoding: the local host reads base64 only")
    return HostSettings(
        batch_size=batch,
        new_batch_threshold=_whole(queues, "newBatchThreshold", default_new_batch_threshold(batch, processors), 0),
        max_dequeue_count=_whole(queues, "maxDequeueCount", 5, 1),
        visibility_timeout=_span(queues, "visibilityTimeout", 0.0, 0.0, MAX_HIDDEN_SECONDS),
        max_polling_interval=_span(queues, "maxPollingInterval", DEFAULT_MAX_POLLING_SECONDS, MIN_POLLING_SECONDS),
        function_timeout=_function_timeout(given.get("functiontimeout", "")),
    )


def default_new_batch_threshold(batch_size: int, processors: int) -> int:
    """Half of a batch for each processor; only the old Consumption plan counts one processor (QueuesOptions)."""
    return batch_size // 2 * processors


def seconds(text: str) -> float:
    """Parse a .NET TimeSpan such as ``00:01:00``, ``1.02:00:00`` or ``2`` (days); raise ValueError."""
    if DAYS.fullmatch(text):
        return float(int(text) * DAY)
    match = TIME_SPAN.fullmatch(text)
    if match is None:
        raise ValueError(text)
    sign, days, hours, minutes, whole, fraction = match.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(whole or 0) > 59:
        raise ValueError(text)
    total = int(days or 0) * DAY + int(hours) * 3600 + int(minutes) * 60 + float(f"{whole or 0}.{fraction or 0}")
    return -total if sign else total


def _seconds(name: str, text: str, alternative: str = "") -> float:
    try:
        return seconds(text.strip())
    except ValueError as error:
        raise HostJsonError(f"{name} is {text!r}; write a time as hh:mm:ss{alternative}") from error


def _flat(content: Mapping[str, Any], path: str) -> dict[str, str]:
    """Return values by their path in lower case, as .NET's configuration does."""
    flat: dict[str, str] = {}
    for name, value in content.items():
        key = f"{path}{name}".lower()
        if isinstance(value, dict):
            flat |= _flat(value, f"{key}:")
        else:
            flat[key] = "" if value is None else str(value)
    return flat


def _whole(queues: Mapping[str, str], name: str, default: int, low: int, high: int | None = None) -> int:
    text = queues.get(name.lower())
    if text is None:
        return default
    if not re.fullmatch(r"-?\d{1,9}", text.strip()) or int(text) < low or (high is not None and int(text) > high):
        allowed = f"from {low} to {high}" if high is not None else f"of at least {low}"
        raise HostJsonError(f"extensions.queues.{name} is {text!r}; write a whole number {allowed}")
    return int(text)


def _span(
    queues: Mapping[str, str], name: str, default: float, low: float, high: float = float(MAX_HIDDEN_SECONDS * 1000)
) -> float:
    text = queues.get(name.lower())
    if text is None:
        return default
    value = _seconds(f"extensions.queues.{name}", text)
    if value < low:
        raise HostJsonError(f"extensions.queues.{name} is {text!r}; write at least {low:g} seconds, as hh:mm:ss")
    if value > high:
        raise HostJsonError(f"extensions.queues.{name} is {text!r}; write at most {high / DAY:g} days")
    return value


def _function_timeout(text: str) -> float | None:
    if not text:
        return DEFAULT_FUNCTION_TIMEOUT_SECONDS
    if text.strip() == NO_TIMEOUT:
        return None
    value = _seconds("functionTimeout", text, ", or -1 for none")
    if value < MIN_FUNCTION_TIMEOUT_SECONDS:
        raise HostJsonError(f"functionTimeout is {text!r}; write at least 00:00:01, or -1 for none")
    return value
