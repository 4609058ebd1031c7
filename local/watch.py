"""Prints decisions as they are made, one line each, from the journal of a running stack."""

from __future__ import annotations

from typing import Any

from local.demo.output import Output, console
from local.demo.stack_driver import JournalLine, StackDriver

UNTIL_TIMEOUT = 60.0
"""Seconds to wait for the reason of ``--until``."""
NO_TIMEOUT = float("inf")


async def watch(endpoints: dict[str, Any], agent: str, until: str, since: str) -> int:
    """Print decisions made since a time; return 0 once the reason ``until`` was given, 1 if it was not."""
    output, driver, found = Output(console()), StackDriver(endpoints), False

    def concerns(line: JournalLine) -> bool:
        return line["at"] >= since and agent in ("", line.get("agent"))

    def is_last(line: JournalLine) -> bool:
        nonlocal found
        found = bool(until) and line["reason"] == until and concerns(line)
        return found

    try:
        async for line in driver.journal(0, is_last, max_seconds=UNTIL_TIMEOUT if until else NO_TIMEOUT):
            if concerns(line):
                output.decision(line)
    finally:
        await driver.close()
    return 0 if found or not until else 1
