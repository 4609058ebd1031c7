"""No answer of a service fills the memory, holds up the loop, or sends a write elsewhere."""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from pathlib import Path

import pytest

from handlers.gateways.azure_http import MAX_CALL_SECONDS
from handlers.gateways.errors import GatewayError, PermanentError
from local.endpoints import ROOT
from tests.contract.hostile_service import (
    DRIP,
    ENDLESS,
    KINDS,
    REDIRECT,
    STOLEN,
    HostileGateways,
    hostile_gateways,
    hostile_service,
)

CALLS = list(HostileGateways(*[None] * 3).calls)  # type: ignore[arg-type]
WRITES = list(HostileGateways(*[None] * 3).writes)  # type: ignore[arg-type]
MAX_WORKER_MB = 300
SPEED = 20
"""By how much time passes faster in a loop of ``FastSelector``."""


class FastSelector(selectors.DefaultSelector):
    """Waits a fraction of each timeout; sockets are as fast as ever."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / SPEED if timeout else timeout)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes faster: a drip of minutes takes seconds."""

    def __init__(self) -> None:
        super().__init__(FastSelector())

    def time(self) -> float:
        return time.monotonic() * SPEED


@pytest.mark.parametrize("kind", ENDLESS)
async def test_an_answer_beyond_the_limits_is_an_error_of_the_gateway(kind: str, tmp_path: Path) -> None:
    async with hostile_gateways(kind, tmp_path) as (gateways, _):
        for call in gateways.calls.values():
            with pytest.raises(GatewayError):
                await call()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_process_that_reads_hostile_answers_stays_small(kind: str, tmp_path: Path) -> None:
    async with hostile_service(kind, tmp_path) as (service, ca):
        command = [sys.executable, "-m", "tests.contract.hostile_service", service.url, str(ca)]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
    assert process.returncode == 0
    assert int(printed) < MAX_WORKER_MB


@pytest.mark.parametrize("call", CALLS)
def test_a_drip_ends_with_the_time_of_the_call(call: str, tmp_path: Path) -> None:
    async def seconds() -> float:
        async with hostile_gateways(DRIP, tmp_path) as (gateways, _):
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(GatewayError):
                await gateways.calls[call]()
            return loop.time() - began

    with asyncio.Runner(loop_factory=FastLoop) as runner:
        assert runner.run(seconds()) < 2 * MAX_CALL_SECONDS


@pytest.mark.parametrize("write", WRITES)
async def test_no_write_and_no_secret_follows_a_redirect(write: str, tmp_path: Path) -> None:
    async with hostile_gateways(REDIRECT, tmp_path) as (gateways, service):
        with pytest.raises(PermanentError) as refused:
            await gateways.writes[write]()
        assert refused.value.status == 307
        assert service.paths
        assert STOLEN not in service.paths
