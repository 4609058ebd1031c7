"""What runs where, for the page: the answer of ``slipway status``, read again once a decision has arrived."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from local.endpoints import ROOT

Row = dict[str, Any]
Board = Callable[[], Awaitable[list[Row]]]
MAX_AGE_SECONDS = 30.0
"""Time alone ends a pause or opens a window."""
MIN_AGE_SECONDS = 2.0
"""A status takes a second of a processor: decisions that follow each other closely share one."""
SHORT_DIGEST = len("sha256:") + 12
SEVERITY = re.compile(r"^\| \[`?([A-Z_]+)`?\]\([A-Z_]+\.md\) \| (\w+)", re.MULTILINE)


class BoardError(Exception):
    """The command failed; the text is what it printed."""


class StatusBoard:
    """Asks the command line, with the settings of the stack; ``decided`` says that the last answer is old."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._one_at_a_time = asyncio.Lock()
        self._rows: list[Row] = []
        self._read_at = -MAX_AGE_SECONDS
        self._is_old = True

    def decided(self) -> None:
        """Read again at the next question."""
        self._is_old = True

    async def rows(self) -> list[Row]:
        """Return a row per target; raise BoardError."""
        async with self._one_at_a_time:
            age = time.monotonic() - self._read_at
            if age > MAX_AGE_SECONDS or (self._is_old and age > MIN_AGE_SECONDS):
                self._is_old = False  # before the read: a decision that arrives meanwhile may not be in it
                self._rows = await self._read()
                self._read_at = time.monotonic()
            return self._rows

    async def _read(self) -> list[Row]:
        command = [sys.executable, "-m", "cli", "status", "--json"]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=self._environment, stdout=pipe, stderr=pipe
        )
        output, errors = await process.communicate()
        try:
            return [to_row(status) for status in json.loads(output)]
        except ValueError as error:
            raise BoardError(errors.decode(errors="replace").strip() or "slipway status printed nothing") from error


def to_row(status: Mapping[str, Any]) -> Row:
    """Return a target as the page shows it: plain values, times as Unix milliseconds."""
    target, state = status["agent"], status.get("state") or "unknown"
    severity = severities().get(state)
    agent, _, project = target.partition("@")
    return {
        "target": target,
        "agent": agent,
        "project": project or "default",
        "stage": status.get("stage_number", 1),
        "live": status.get("live"),
        "live_tag": status.get("live_tag"),
        "live_signer": status.get("live_signer"),
        "desired_tag": status.get("desired"),
        "state": state,
        "state_tag": status.get("state_tag"),
        "severity": severity or ("warning" if "error" in status else "info"),
        "is_open": severity is None and "error" not in status,
        "since": _milliseconds(status.get("since")),
        "notes": _notes(status),
        "detail": _detail(status) if severity != "info" else "",
        "next": status.get("next"),
    }


@cache
def severities() -> dict[str, str]:
    """Return the severity of each reason code, from the index of the reason pages."""
    index = ROOT / "docs" / "reference" / "reasons" / "README.md"
    return dict(SEVERITY.findall(index.read_text()))


def _detail(status: Mapping[str, Any]) -> str:
    """Return why the state is as it is; empty where the note of the rejected push says it."""
    if error := status.get("error"):
        return f"{error['service']}: {error['code']}: {error['detail']}"
    rejected, detail = status.get("rejected") or {}, status.get("detail", "")
    is_noted = (status.get("state"), detail) == (rejected.get("reason"), rejected.get("detail"))
    return "" if is_noted else detail


def _notes(status: Mapping[str, Any]) -> list[str]:
    """Return what is unusual about the target or keeps it from a release, each in a few words."""
    pause, rollback, rejected = (status.get(key) for key in ("pause", "rolled_back", "rejected"))
    unread = status.get("not_read")
    notes = [f"paused by {pause['by']}: {pause['why']}"] if pause else []
    notes += [_hold(hold) for hold in status.get("holds", [])]
    notes += [f"push of {rejected['tag']} rejected: {rejected['reason']}: {rejected['detail']}"] if rejected else []
    notes += [f"rolled back to version {rollback['version']}: {rollback['why']}"] if rollback else []
    notes += [f"{push['tag']} waits for its age" for push in status.get("waiting", [])]
    notes += _stage(status.get("stage"))
    notes += [f"window opens {status['window_opens']}"] if status.get("window_opens") else []
    notes += ["traffic was moved outside Slipway: DRIFT"] if status.get("routing_changed_outside") else []
    notes += ["the agent is disabled in Foundry"] if status.get("enabled") is False else []
    notes += [f"not read from Foundry: {unread['code']}: {unread['detail']}"] if unread else []
    return notes


def _hold(hold: Mapping[str, Any]) -> str:
    return f"{(hold['digest'] or hold['fingerprint'])[:SHORT_DIGEST]} is held: {hold['reason']}"


def _stage(wait: Mapping[str, Any] | None) -> list[str]:
    if not wait or wait["reason"] != "STAGE_WAITING":
        return []
    until = datetime.fromisoformat(wait["until"])
    return [f"{wait['tag']} waits for its stage until {until:%Y-%m-%d %H:%M:%S} UTC"]


def _milliseconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() * 1000 if text else None
