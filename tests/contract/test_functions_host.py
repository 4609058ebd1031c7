"""The Functions host stand-in: its answers, its retries, and the apps that it rejects."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import TextBase64DecodePolicy, TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

ROOT = Path(__file__).resolve().parents[2]
APP = """
import azure.functions as func
app = func.FunctionApp()

@app.event_grid_trigger(arg_name="event")
async def on_event(event: str) -> None:
    print("event", event, flush=True)
    if "boom" in event:
        raise ValueError("boom")

@app.queue_trigger(arg_name="message", queue_name="work", connection="AzureWebJobsStorage")
def on_message(message: func.QueueMessage) -> None:
    line(f"message {message.dequeue_count} {message.get_body().decode()}")
    if b"boom" in message.get_body():
        raise ValueError("boom")

@app.timer_trigger(arg_name="timer", schedule="%EVERY%")
def on_time(timer: func.TimerRequest) -> None:
    line(f"time {timer.past_due}")

def line(text: str) -> None:
    print(text + "\\n", end="", flush=True)  # in one write: another thread may print too
"""
TRIGGER = 'arg_name="event")\nasync def on_event(event: str)'
BLOCKING_APP = """
import asyncio
import azure.functions as func
app = func.FunctionApp()
running = 0

@app.queue_trigger(arg_name="message", queue_name="work", connection="AzureWebJobsStorage")
async def on_message(message: str) -> None:
    global running
    running += 1
    print("running", running, flush=True)
    await asyncio.Event().wait()
"""
"""An app whose function never returns, like a release while a version starts."""
METADATA_APP = """
import azure.functions as func
app = func.FunctionApp()

@app.queue_trigger(arg_name="message", queue_name="described", connection="AzureWebJobsStorage")
async def on_message(message: func.QueueMessage) -> None:
    later = message.insertion_time < message.expiration_time, message.insertion_time < message.time_next_visible
    print("fields", *later, bool(message.pop_receipt), bool(message.id and message.dequeue_count), flush=True)
"""
WITHIN = 60.0
QUIET = {
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel",
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
}
"""No telemetry leaves the machine."""


@dataclass
class Host:
    url: str
    process: asyncio.subprocess.Process
    connection: str

    async def line(self, prefix: str) -> str:
        """The next printed line that starts with the text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN):
            while not (line := (await self.process.stdout.readline()).decode()).startswith(prefix):
                assert line, "the host ended"
        return line.strip()

    async def post(self, body: object, kind: str, function: str = "on_event") -> tuple[int, str]:
        url = f"{self.url}/runtime/webhooks/EventGrid"
        headers = {"aeg-event-type": kind} if kind else {}
        async with ClientSession() as session:
            params = {"functionName": function}
            async with session.post(url, json=body, params=params, headers=headers) as answer:
                return answer.status, await answer.text()

    def queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(
            self.connection,
            name,
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
        )


HOST_JSON = {"extensions": {"queues": {"maxPollingInterval": "00:00:00.2"}}}


async def start(folder: Path, app: str, connection: str, **settings: str) -> asyncio.subprocess.Process:
    (folder / "function_app.py").write_text(app)
    if not (folder / "host.json").exists():
        (folder / "host.json").write_text(json.dumps(HOST_JSON))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.functions_host", "--app", str(folder), "--folder", str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "AzureWebJobsStorage": connection, **settings},
    )


@pytest.fixture
async def host(tmp_path: Path, storage_servers: Callable[[str], str]) -> AsyncIterator[Host]:
    connection = storage_servers("stand-in")
    process = await start(tmp_path, APP, connection, EVERY="*/1 * * * * *")
    assert process.stdout is not None
    endpoints = json.loads(await asyncio.wait_for(process.stdout.readline(), WITHIN))
    host = Host(endpoints["functions"], process, connection)
    async with host.queue("work") as work:
        await create(work)
    yield host
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


async def test_event_grid_gets_the_answers_of_the_real_host(host: Host) -> None:
    validation = [{"data": {"validationCode": "c0de"}}]
    assert await host.post(validation, "subscriptionvalidation") == (200, '{"validationResponse":"c0de"}')
    assert await host.post([{"id": 1}, {"id": 2}], "Notification") == (202, "")
    assert (await host.post({"id": 3}, "Notification"))[0] == 202
    status, text = await host.post([{"id": 1}, {"id": "boom"}], "Notification")
    assert (status, text) == (500, "Exception while executing function: Functions.on_event")
    assert (await host.post([], "Unsubscribe"))[0] == 202
    assert (await host.post([], ""))[0] == 400
    assert await host.post([], "Notification", "nobody") == (404, "cannot find function: 'nobody'")


async def test_the_web_hook_answers_a_handshake_and_a_wrong_name(host: Host) -> None:
    url, names = f"{host.url}/runtime/webhooks/eventgrid", ({"functionName": "on_event"}, {"functionName": "ON_EVENT"})
    async with ClientSession() as session:
        async with session.options(url, params=names[0]) as answer:
            assert (answer.status, answer.headers["WebHook-Allowed-Origin"]) == (200, "eventgrid.azure.net")
        async with session.post(url, params=names[0], headers={"aeg-event-type": "Unsubscribe"}, data=b"{") as answer:
            assert answer.status == 202
        async with session.post(url, params=names[0], headers={"aeg-event-type": "Notification"}, data=b"{") as answer:
            assert (answer.status, await answer.text()) == (500, "")
        async with session.post(url, params=names[1]) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")


async def test_a_message_comes_with_its_times_and_its_receipt(
    tmp_path: Path, storage_servers: Callable[[str], str]
) -> None:
    process = await start(tmp_path, METADATA_APP, storage_servers("stand-in"))
    host = Host("", process, storage_servers("stand-in"))
    try:
        async with host.queue("described") as queue:
            await create(queue)
            await queue.send_message('{"a": 1}')
            fields = (await host.line("fields ")).split()[1:]
    finally:
        process.kill()
        await process.communicate()
    assert fields == ["True"] * 4


async def test_a_drained_host_takes_nothing_more_and_stays_up(host: Host) -> None:
    async with ClientSession() as session, host.queue("work") as work:
        async with session.get(f"{host.url}/admin/host/drain/status") as answer:
            assert await answer.json() == {"state": "Disabled"}
        async with session.post(f"{host.url}/admin/host/drain") as answer:
            assert answer.status == 202
        async with session.get(f"{host.url}/admin/host/drain/status") as answer:
            assert await answer.json() == {"state": "Completed"}
        await work.send_message("late")
        assert (await host.post([{"id": 1}], "Notification"))[0] == 202, "it still answers Event Grid"
        assert [message.dequeue_count for message in await work.peek_messages()] == [0]
        await work.clear_messages()  # the other tests share the account


async def test_a_host_with_a_setting_out_of_range_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"extensions": {"queues": {"batchSize": 33}}}))
    process = await start(tmp_path, APP, "none", EVERY="* * * * * *")
    output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    *_, line = errors.decode().splitlines()  # before it there may be a warning of the worker's library
    assert line == "functions: extensions.queues.batchSize is '33'; write a whole number from 1 to 32"


async def test_a_message_that_is_not_base64_is_poisoned_at_once_and_its_neighbours_run(host: Host) -> None:
    raw = QueueClient.from_connection_string(host.connection, "work")
    raw_poison = QueueClient.from_connection_string(host.connection, "work-poison")
    async with host.queue("work") as work, raw, raw_poison:
        await raw.send_message("not base64!")
        await work.send_message("after it")
        assert await host.line("message") == "message 1 after it"
        async with asyncio.timeout(WITHIN):
            while not await _exists(raw_poison) or not await raw_poison.peek_messages():
                await asyncio.sleep(0.1)
        assert [message.content for message in await raw_poison.peek_messages()] == ["not base64!"]
        await raw_poison.clear_messages()  # the other tests share the account


async def test_a_message_is_delivered_once_and_a_failing_one_five_times_before_it_is_poisoned(host: Host) -> None:
    async with host.queue("work") as work, host.queue("work-poison") as poison:
        await work.send_message("good")
        assert await host.line("message") == "message 1 good"
        await work.send_message("boom")
        attempts = [await host.line("message") for _ in range(5)]
        assert attempts == [f"message {n} boom" for n in range(1, 6)]
        async with asyncio.timeout(WITHIN):
            while not await _exists(poison) or not await poison.peek_messages():
                await asyncio.sleep(0.1)
        assert [message.content for message in await poison.peek_messages()] == ["boom"]


async def test_messages_that_arrive_in_sequence_are_handled_concurrently(
    tmp_path: Path, storage_servers: Callable[[str], str]
) -> None:
    """With the product's own host.json."""
    (tmp_path / "host.json").write_text((ROOT / "host.json").read_text())
    connection = storage_servers("stand-in")
    process = await start(tmp_path, BLOCKING_APP, connection)
    host = Host("", process, connection)
    try:
        async with host.queue("work") as work:
            await create(work)
            for number in range(1, 18):
                await work.send_message(str(number))
                assert await host.line("running") == f"running {number}"
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param("nonsense", id="wrong"),
        pytest.param("InstrumentationKey=not-a-guid", id="wrong key"),
        pytest.param(f"InstrumentationKey={uuid.UUID(int=1)};IngestionEndpoint=http://127.0.0.1:9", id="no server"),
    ],
)
async def test_functions_run_whatever_is_wrong_with_telemetry(
    tmp_path: Path, storage_servers: Callable[[str], str], connection: str
) -> None:
    """With the exporter that the worker uses; on Python 3.13 test_worker_telemetry.py tests the worker itself."""
    telemetry = {"APPLICATIONINSIGHTS_CONNECTION_STRING": connection}
    telemetry |= {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true"}
    storage, timer = storage_servers("stand-in"), {"EVERY": "0 0 0 1 1 *"}
    process = await start(tmp_path, APP, storage, **QUIET, **timer, **telemetry)
    assert process.stdout is not None
    url = json.loads(await asyncio.wait_for(process.stdout.readline(), WITHIN))["functions"]
    host = Host(url, process, storage)
    assert (await host.post([{"id": 1}], "Notification"))[0] == 202
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == 0, "nothing blocks the exit"


async def test_a_timer_runs_on_its_schedule(host: Host) -> None:
    assert await host.line("time") == "time False"
    assert await host.line("time") == "time False"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (("event: str", "az_event: str"), "'az_event'"),
        ((TRIGGER, TRIGGER.replace("event", "az_event").replace("on_az_event", "on_event")), "letters and digits only"),
        (("%EVERY%", "%NOWHERE%"), "the setting NOWHERE of its binding is not set"),
    ],
)
async def test_an_app_that_the_real_host_would_drop_is_rejected_with_an_error(
    tmp_path: Path, change: tuple[str, str], error: str
) -> None:
    process = await start(tmp_path, APP.replace(*change), "none", EVERY="* * * * * *")
    _, errors = await process.communicate()
    assert process.returncode != 0
    assert error in errors.decode()


async def create(queue: QueueClient) -> None:
    """Create a queue, which the host never does for its triggers."""
    with suppress(ResourceExistsError):
        await queue.create_queue()


async def _exists(queue: QueueClient) -> bool:
    try:
        await queue.get_queue_properties()
    except ResourceNotFoundError:
        return False
    return True
