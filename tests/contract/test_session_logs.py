"""The log stream of a session: its last lines, however long, odd or endless it is."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from core.foreign_text import as_came
from handlers.gateways.errors import GatewayError, PermanentError
from handlers.gateways.foundry.client import AzureFoundry
from handlers.gateways.foundry.session_logs import MAX_KEPT_BYTES, log_lines
from local.tls import Authority
from tests.contract.hostile_service import gateways_to
from tests.contract.test_foundry import FoundryUnderTest, StandInUnderTest, metadata_counts, real, tested
from tests.contract.test_invoke import WITHIN, create_active_version, open_session
from tests.support.local_clients import plan_faults

__all__ = ["metadata_counts", "real", "tested"]

Write = Callable[[web.StreamResponse], Awaitable[None]]


def event(message: str, stream: str = "stdout") -> str:
    return f"event: log\ndata: {json.dumps({'timestamp': 't', 'stream': stream, 'message': message})}\n\n"


async def test_the_stand_in_gives_what_a_version_printed_and_its_stream_stays_open(real: StandInUnderTest) -> None:
    real.stand_in.project.provisioning.logs = {"": ["starting", "Traceback: no module named hello"]}
    await create_active_version(real)
    log = await real.foundry.session_log("hello", "1", await open_session(real), WITHIN)
    assert as_came(log) == "starting\nTraceback: no module named hello"
    assert "Traceback" not in str.__str__(log)


async def test_a_session_that_is_gone_has_no_log(tested: FoundryUnderTest) -> None:
    await create_active_version(tested)
    with pytest.raises(PermanentError) as gone:
        await tested.foundry.session_log("hello", "1", "no-such-session", WITHIN)
    assert gone.value.status == 404


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 500}, {"drop": True}, {"status": 302}])
async def test_a_refusal_is_an_error_of_ours(real: StandInUnderTest, fault: dict[str, object]) -> None:
    await create_active_version(real)
    session = await open_session(real)
    await plan_faults(real.url, {"path": ":logstream", **fault})
    with pytest.raises(GatewayError):
        await real.foundry.session_log("hello", "1", session, WITHIN)


@asynccontextmanager
async def foundry_with(write: Write, folder: Path) -> AsyncIterator[AzureFoundry]:
    """A Foundry whose log stream is written by ``write``."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionError):  # the client has read enough
            await write(response)
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", stream)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    authority = Authority(folder)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server()).start()
    try:
        async with gateways_to(f"https://127.0.0.1:{runner.addresses[0][1]}", str(authority.ca)) as gateways:
            yield gateways.foundry
    finally:
        await runner.cleanup()


async def _endless(response: web.StreamResponse) -> None:
    while True:
        await response.write(event("again " * 1000).encode() * 10)


async def _drip(response: web.StreamResponse) -> None:
    for number in range(1000):
        await response.write(event(f"drop {number}").encode())
        await asyncio.sleep(0.1)


async def _silent(response: web.StreamResponse) -> None:
    await asyncio.sleep(60)


async def _half(response: web.StreamResponse) -> None:
    await response.write(event("whole").encode() + b'event: log\ndata: {"mess')
    response.force_close()


@pytest.mark.parametrize(
    ("write", "expected"), [(_endless, "again"), (_drip, "drop 0"), (_silent, ""), (_half, "whole")]
)
async def test_a_stream_takes_no_longer_and_gives_no_more_than_it_may(
    write: Write, expected: str, tmp_path: Path
) -> None:
    async with foundry_with(write, tmp_path) as foundry:
        started = time.monotonic()
        log = as_came(await foundry.session_log("hello", "1", "s", 1.0))
        assert time.monotonic() - started < 20  # the machine may be slow; without a limit it never ends
    assert len(log) <= MAX_KEPT_BYTES
    assert expected in log


LINES = [
    pytest.param(event("one\ntwo") + event("No logs", "status"), ["one", "two"], id="status lines are the service's"),
    pytest.param("data: plain words\n\n", ["plain words"], id="the form of a line is not contractual"),
    pytest.param('data: {"text": 1}\n\n', ['{"text": 1}'], id="another object"),
    pytest.param('data: {"message": 3}\ndata: [1]\n', ['{"message": 3}', "[1]"], id="no text"),
    pytest.param("plain\n\ntext\n", ["plain", "text"], id="no events"),
    pytest.param("", [], id="nothing"),
    pytest.param("data: " + "[" * 100_000, ["[" * 100_000], id="endless nesting"),
]


@pytest.mark.parametrize(("text", "lines"), LINES)
def test_lines_are_those_that_the_container_wrote(text: str, lines: list[str]) -> None:
    assert log_lines(text.encode(), is_cut=False) == lines


def test_binary_is_text_and_a_cut_line_is_left_out() -> None:
    assert log_lines(b"half a line\ndata: \xff\xfe\x00ok\n", is_cut=True) == ["\ufffd\ufffd\x00ok"]
