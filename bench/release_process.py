"""A process whose processor time is measured: releases of the product, or the same calls of the SDKs made bare.

Reads one line of JSON for each round from its standard input, and answers each with a line: the seconds of processor
time of the round.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bench.bare_calls import BareCalls
from handlers import bootstrap
from local.functions_host.__main__ import run_on_worker_loop
from local.functions_host.classic_worker import configure_telemetry

AT_ONCE = 32
"""Releases at a time; the Functions host runs up to 64."""
TOPIC = "/subscriptions/local/resourceGroups/local/providers/Microsoft.ContainerRegistry/registries/demo"
Release = Callable[[str, str], Awaitable[None]]


async def release_with_product(agent: str, digest: str) -> None:
    """A push of the image, and the message of its release, as the Functions host delivers them."""
    now, tag = datetime.now(UTC).isoformat(), digest[-12:]
    target = {"repository": f"agents/{agent}", "tag": tag, "digest": digest}
    event = {
        "id": digest,
        "topic": TOPIC,
        "subject": f"agents/{agent}:{tag}",
        "eventType": "Microsoft.ContainerRegistry.ImagePushed",
        "eventTime": now,
        "data": {"id": digest, "timestamp": now, "action": "push", "target": target},
        "dataVersion": "1.0",
    }
    await bootstrap.image_pushed(json.dumps(event))
    traceparent = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    await bootstrap.release_agent(json.dumps({"target": agent, "traceparent": traceparent}))


async def release_bare(round_: Mapping[str, Any], bare: BareCalls) -> Release:
    """The calls of the round, once what exists before a release exists."""
    if "prepare" in round_:
        await bare.prepare(*round_["prepare"])

    async def release(agent: str, digest: str) -> None:
        await bare.release(agent, f"demo.azurecr.io/agents/{agent}@{digest}", round_["calls"])

    return release


async def measure(round_: Mapping[str, Any], release: Release) -> float:
    """Seconds of processor time of a round, with the export of its telemetry."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(agent: str, digest: str) -> None:
        async with slots:
            await release(agent, digest)

    began = time.process_time()
    await asyncio.gather(*(one(agent, digest) for agent, digest in round_["images"].items()))
    await asyncio.to_thread(_export)
    return time.process_time() - began


def _export() -> None:
    """Send the spans, logs and metrics that wait, as the worker's exporters do every few seconds."""
    if "opentelemetry.sdk" not in sys.modules:
        return
    from opentelemetry import _logs, metrics, trace

    providers: tuple[Any, ...] = (
        trace.get_tracer_provider(),
        _logs.get_logger_provider(),
        metrics.get_meter_provider(),
    )
    for provider in providers:
        provider.force_flush()


async def serve(kind: str) -> None:
    """Answer rounds until the input ends."""
    bare: BareCalls | None = None
    if kind == "product":
        configure_telemetry()
    while line := await asyncio.to_thread(sys.stdin.readline):
        round_ = json.loads(line)
        release: Release = release_with_product
        if kind == "bare":
            bare = bare or BareCalls(round_["metadata"], round_["outcome"])
            release = await release_bare(round_, bare)
        print(json.dumps(await measure(round_, release)), flush=True)


if __name__ == "__main__":
    run_on_worker_loop(serve(sys.argv[1]))
    os._exit(0)  # the connections of both kinds stay open, as in a worker that is stopped
