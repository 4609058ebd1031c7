"""What a long journal costs: ``slipway why`` over 30 days, and what ``--watch`` reads in a round."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.machine import peak_memory, processor_time_of_children
from bench.report import Row
from bench.testbed import Effort, NotMeasuredError
from handlers.gateways.clock import SystemClock
from handlers.gateways.storage.account import StorageAccount
from handlers.gateways.storage.journal import BlobJournal, encode_line
from local.endpoints import ROOT
from local.storage.account import Storage, connection_string
from local.storage.store import Blob, Store

LINES, DAYS, AGENTS = 500_000, 30, 1_000
RELEASE = ("ACCEPTED", "BEGIN", "CREATE", "CONFIRM_PASSED", "TRAFFIC_MOVED", "LIVE")
TAG, DIGEST = "v1.2.3", f"sha256:{'a' * 64}"
REPEATS, ROUNDS, NEW_LINES = 3, 60, 8
MAX_SECONDS, MAX_MEMORY_MIB, MAX_GROWTH = 6.0, 200.0, 2.2
CONTAINER = "slipway"


@dataclass(frozen=True)
class Cost:
    """What a command cost."""

    seconds: float
    """Of processor time."""
    memory: float
    """The most resident memory, in MiB."""


def rows(effort: Effort) -> Iterator[Row]:
    """Time and memory of ``why`` at a size and at its half, and the bytes that ``--watch`` reads."""
    lines = effort.choose(LINES, LINES // 10)
    yield from _why_rows({size: explain(size) for size in (0, lines // 2, lines)}, lines)
    yield _watch_row(lines // DAYS)


def _why_rows(costs: Mapping[int, Cost], lines: int) -> Iterator[Row]:
    half, whole, empty = costs[lines // 2], costs[lines], costs[0]
    common: dict[str, Any] = {
        "bound_description": "the same command without a journal",
        "method": f"The least of {REPEATS} fresh processes; the journal of {DAYS} days in the storage stand-in, the "
        "release on one of them; memory is VmHWM",
    }
    yield Row(
        name=f"why, {lines:,} lines",
        description="processor time of the command",
        unit="s",
        value=whole.seconds,
        target=MAX_SECONDS,
        bound=empty.seconds,
        details={f"{size:,} lines": cost.seconds for size, cost in costs.items()},
        **common,
    )
    yield Row(
        name="why, growth",
        description=f"processor time at {lines:,} lines ÷ at half of them, without that of an empty journal",
        unit="ratio",
        value=(whole.seconds - empty.seconds) / (half.seconds - empty.seconds),
        target=MAX_GROWTH,
        bound=2.0,
        missed_because="the difference of two short times is noisy beside other processes",
        **common | {"bound_description": "each line is read once"},
    )
    yield Row(
        name="why, memory",
        description="peak resident memory of the command",
        unit="MiB",
        value=whole.memory,
        target=MAX_MEMORY_MIB,
        bound=empty.memory,
        details={f"{size:,} lines": cost.memory for size, cost in costs.items()},
        **common,
    )


def _watch_row(lines: int) -> Row:
    ratios = {size: asyncio.run(bytes_watched(size)) for size in (lines // 2, lines)}
    return Row(
        name=f"--watch, day of {lines:,} lines",
        description=f"bytes of the journal read in {ROUNDS} rounds ÷ bytes that are new",
        unit="ratio",
        value=ratios[lines],
        target=1,
        bound=1.0,
        bound_description="each new byte once, for all agents",
        method=f"The product's gateway; {NEW_LINES} lines a round; the stand-in counts",
        details={f"{size:,} lines": ratio for size, ratio in ratios.items()},
    )


def explain(lines: int, repeats: int = REPEATS) -> Cost:
    """The cost of ``slipway why`` for a release in a journal of so many lines."""
    costs = list[Cost]()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        fill(folder, lines)
        with _storage(folder) as endpoints:
            for _ in range(repeats):
                cost, output = _run("why", TAG, "--json", environment=_environment(folder, endpoints))
                found = [decision["reason"] for decision in json.loads(output)["decisions"]]
                if found != list(RELEASE if lines else ()):
                    raise NotMeasuredError(f"why found {len(found)} decisions")
                costs.append(cost)
    return Cost(min(cost.seconds for cost in costs), max(cost.memory for cost in costs))


def fill(folder: Path, lines: int) -> None:
    """Store a journal in which one release stands among so many other lines of the last 30 days."""
    store, now = Store(folder, time.time), datetime.now(UTC)
    store.create_container(CONTAINER)
    for age in range(DAYS):
        day = now - timedelta(days=age)
        data = b"".join(_line(day, number) for number in range(lines // DAYS))
        if lines and age == DAYS // 2:
            data += b"".join(encode_line(_decision(day, reason)) for reason in RELEASE)
        if data:
            store.save(CONTAINER, f"journal/{day:%Y-%m-%d}.jsonl", Blob(data, "AppendBlob", {}, "", 0.0, 1))
    store.close()


async def bytes_watched(lines: int) -> float:
    """The bytes read of a day's journal that grows while it is watched, ÷ the bytes that it grew by."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        storage = Storage(Path(name))
        account = StorageAccount.from_connection_string(connection_string(await storage.start()))
        journal, now = BlobJournal(account, SystemClock()), datetime.now(UTC)
        await journal.append(*(_decision(now, "KEPT_NEWEST") for _ in range(lines)))
        position, read, new = await journal.end(now), 0, 0
        for _ in range(ROUNDS):
            decisions = [_decision(now, "LIVE") for _ in range(NEW_LINES)]
            await journal.append(*decisions)
            before = len(storage.blobs.requests)
            found = await journal.read_new(now, position)
            position = found.position
            answers = list(storage.blobs.requests)[before:]
            read += sum(_bytes_asked(request, sum(position.values())) for request in answers)
            new += sum(len(encode_line(decision)) for decision in decisions)
            if len(found.lines) != NEW_LINES:
                raise NotMeasuredError(f"a round found {len(found.lines)} lines")
        await account.close()
        await storage.stop()
        return read / new


def _bytes_asked(request: Mapping[str, object], size: int) -> int:
    """The bytes that a download asks for, of a blob of this size."""
    headers = request["headers"]
    if request["method"] != "GET" or "comp=" in str(request["path"]) or not isinstance(headers, dict):
        return 0
    start = str(headers.get("x-ms-range", "bytes=0-")).removeprefix("bytes=").partition("-")[0]
    return size - int(start)


def _line(day: datetime, number: int) -> bytes:
    """A line of the usual length, quickly."""
    at = day.replace(microsecond=number % 1_000_000).isoformat()
    return (
        f'{{"at": "{at}", "reason": "KEPT_NEWEST", "severity": "info", "help": "Nothing to do.", "step": "prune", '
        f'"agent": "agent-{number % AGENTS}", "version": "{number}", "detail": "{"x" * 280}"}}\n'
    ).encode()


def _decision(at: datetime, reason: str) -> Mapping[str, object]:
    image = {"repository": "agents/hello", "tag": TAG, "digest": DIGEST}
    return {"at": at.isoformat(), "reason": reason, "agent": "hello", "generation": 1, **image, "detail": "x" * 150}


@contextmanager
def _storage(folder: Path) -> Iterator[dict[str, str]]:
    """Run the storage stand-in as a process of its own."""
    command = [sys.executable, "-m", "local.storage", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield json.loads(process.stdout.readline() if process.stdout else b"{}")
        finally:
            process.send_signal(signal.SIGTERM)


def _environment(folder: Path, endpoints: dict[str, str]) -> dict[str, str]:
    agents = folder / "agents.yaml"
    agents.write_text("agents: {hello: {repository: agents/hello}}\n")
    return {
        **os.environ,
        "FOUNDRY_PROJECT_ENDPOINT": "https://demo.services.ai.azure.com/api/projects/demo",
        "KEY_VAULT_URL": "https://demo.vault.azure.net",
        "REGISTRY_NAME": "demo",
        "AGENTS_FILE": str(agents),
        "AzureWebJobsStorage": connection_string(endpoints),
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",
        "PRUNE_SCHEDULE": "0 0 3 * * *",
        "RESUME_SCHEDULE": "0 */5 * * * *",
    }


def _run(*arguments: str, environment: Mapping[str, str]) -> tuple[Cost, str]:
    """The cost and the output of a command; its memory is read from outside, because that of a child counts ours."""
    before, peak = processor_time_of_children(), 0.0
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-m", "cli", *arguments]
        with subprocess.Popen(command, cwd=ROOT, env=dict(environment), stdout=output) as process:
            while process.poll() is None:
                peak = max(peak, peak_memory(process.pid))
                time.sleep(0.02)
        output.seek(0)
        return Cost(processor_time_of_children() - before, peak), output.read().decode()
