"""Prints decisions as they are made, one line each, from the journal of a running stack."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from local.demo.output import Output, console
from local.demo.stack_driver import JournalLine, StackDriver
from local.endpoints import repository_of

UNTIL_TIMEOUT = 60.0
"""Seconds to wait for the reason of ``--until``."""
NO_TIMEOUT = float("inf")
PUSHED_TAG = re.compile(r"/v2/(?P<repository>.+)/manifests/(?!sha256[:-])[^/]+")
"""The path of a request that pushes a tag; signatures are pushed by digest, or with a tag that begins with one."""


async def watch(endpoints: dict[str, Any], agent: str, until: str, since: str) -> int:
    """Print decisions made since a time, or since a later push; return 0 once ``until`` was given, 1 if it was not.

    Of one agent the pushes to its own repository count: others may come after what it is asked for.
    """
    repository = repository_of(Path(endpoints["env"]["AGENTS_FILE"]), agent)
    since = max(since, await last_push(endpoints["registry"], repository))
    output, driver, found = Output(console()), StackDriver(endpoints), False

    def concerns(line: JournalLine) -> bool:
        return line["at"] >= since and is_about(line, agent, repository)

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
    if found or not until:
        return 0
    start = f"its last push or secret at {since[11:19]}" if since else "the stack started"
    print(f"{until} did not come within {UNTIL_TIMEOUT:.0f} s; every decision since {start} is above", file=sys.stderr)
    print(f"`slipway why {agent} --local` says why" if agent else "see `slipway status --local`", file=sys.stderr)
    return 1


def is_about(line: JournalLine, agent: str, repository: str) -> bool:
    """True for a decision about an agent, or one of its targets, and for one that keeps its events from it.

    Without an agent every decision counts. While agents.yaml is broken no event has one, and ``repository`` is empty.
    """
    if not agent:
        return True
    if target := str(line.get("agent") or ""):
        return agent in (target, target.partition("@")[0])
    return line["reason"] == "CONFIG_INVALID" or bool(repository and line.get("repository") == repository)


async def last_push(registry: str, repository: str = "") -> str:
    """Return when any client last pushed a tag to the repository, as the journal writes a time; empty if none did."""
    async with ClientSession() as session, session.get(f"http://{registry}/_local/requests") as answer:
        requests = await answer.json()
    pushes = ((PUSHED_TAG.fullmatch(item["path"]), item["at"]) for item in requests if item["method"] == "PUT")
    times = [at for path, at in pushes if path and repository in ("", path["repository"])]
    return datetime.fromtimestamp(max(times), UTC).isoformat() if times else ""
