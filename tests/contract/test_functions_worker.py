"""The process that runs the app: where it searches, which event loop it has, how it stops, and who dispatches to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 60.0
APP = """
import asyncio, json, sys
import azure.functions as func
import pydantic

app = func.FunctionApp()

@app.event_grid_trigger(arg_name="event")
async def on_event(event: str) -> None:
    print("path", *sys.path, sep="|", flush=True)
    print("packages", pydantic.__path__[0], flush=True)
    print("loop", type(asyncio.get_running_loop()).__module__.partition(".")[0], flush=True)

@app.event_grid_trigger(arg_name="event")
async def on_wait(event: str) -> None:
    try:
        print("waiting", flush=True)
        await asyncio.sleep(json.loads(event)["seconds"])
        print("waited", flush=True)
    finally:
        print("finally", flush=True)

@app.queue_trigger(arg_name="message", queue_name="work", connection="AzureWebJobsStorage")
async def on_message(message: func.QueueMessage) -> None:
    print("message", message.id, message.dequeue_count, message.get_body().decode(), flush=True)
    if b"boom" in message.get_body():
        raise ValueError("boom")

@app.timer_trigger(arg_name="timer", schedule="%EVERY%")
async def on_time(timer: func.TimerRequest) -> None:
    print("time", timer.past_due, flush=True)
"""
PROGRAM = """#!{python}
# Stands for Azure's dispatchers: sends three invocations, and then the path and body of each Event Grid request.
import http.server, json, os, sys, urllib.error, urllib.request

functions, host_json, url = sys.argv[1:]

class Front(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(202)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.wfile.write((self.path + " " + self.headers["aeg-event-type"] + " " + body).encode())

def post(name, invocation):
    request = urllib.request.Request(url + "/" + name, json.dumps(invocation).encode())
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code

server = http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Front)
print("the program has started", flush=True)
metadata = {{"id": "m1", "dequeueCount": 4}}
codes = [post("on_message", {{"data": text, "metadata": metadata}}) for text in ("good", "boom")]
codes.append(post("on_time", {{"data": {{"IsPastDue": True, "ScheduleStatus": None, "Schedule": {{}}}}}}))
result = {{"codes": codes, "functions": json.load(open(functions)), "storage": os.environ["AzureWebJobsStorage"]}}
print("result", json.dumps(result | {{"batch": os.environ["AzureWebJobs__extensions__queues__batchSize"]}}), flush=True)
server.serve_forever()
"""


@dataclass
class Worker:
    url: str
    process: asyncio.subprocess.Process

    async def line(self, prefix: str) -> str:
        """The rest of the next printed line that starts with the text."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN):
            while not (line := (await self.process.stdout.readline()).decode()).startswith(prefix):
                assert line, "the host ended"
        return line[len(prefix) :].strip()

    async def post(self, function: str, event: object) -> tuple[int, str]:
        url = f"{self.url}/runtime/webhooks/EventGrid?functionName={function}"
        headers = {"aeg-event-type": "Notification"}
        async with ClientSession() as session, session.post(url, json=event, headers=headers) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def running(folder: Path, *arguments: str, env: dict[str, str]) -> AsyncIterator[Worker]:
    """The host with the app; it is killed at the end."""
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text("{}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.functions_host", "--app", str(folder), "--folder", str(folder), *arguments),
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "LOCAL_DISPATCHER"}
        | {"EVERY": "0 0 0 1 1 *"}
        | env,
    )
    worker = Worker("", process)
    try:
        worker.url = json.loads("{" + await worker.line("{"))["functions"]
        yield worker
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def storage(storage_servers: Callable[[str], str]) -> dict[str, str]:
    return {"AzureWebJobsStorage": storage_servers("stand-in")}


async def test_the_app_is_searched_last_on_the_loop_of_the_worker(tmp_path: Path, storage: dict[str, str]) -> None:
    async with running(tmp_path, env=storage | {"PYTHONPATH": str(ROOT)}) as worker:
        assert await worker.post("on_event", {}) == (202, "")
        path = (await worker.line("path")).split("|")[1:]
        packages = str(Path(await worker.line("packages")).parent)
        assert path[-2:] == [str(tmp_path), str(ROOT)], "Azure has no checkout, so it comes after everything"
        assert packages in path[:-2]
        assert path.count(str(ROOT)) == 1
        assert await worker.line("loop") == ("asyncio" if sys.version_info < (3, 13) else "uvloop")


async def test_a_stop_waits_for_what_runs(tmp_path: Path, storage: dict[str, str]) -> None:
    async with running(tmp_path, env=storage) as worker:
        posting = asyncio.create_task(worker.post("on_wait", {"seconds": 1.5}))
        await worker.line("waiting")
        worker.process.send_signal(signal.SIGTERM)
        await worker.line("waited")
        assert (await posting)[0] == 202
        assert await asyncio.wait_for(worker.process.wait(), WITHIN) == 0


async def test_what_runs_longer_than_a_stop_ends_without_finally(tmp_path: Path, storage: dict[str, str]) -> None:
    async with running(tmp_path, "--stop-seconds", "0.2", env=storage) as worker:
        posting = asyncio.create_task(worker.post("on_wait", {"seconds": 600}))
        await worker.line("waiting")
        worker.process.send_signal(signal.SIGTERM)
        rest, _ = await asyncio.wait_for(worker.process.communicate(), WITHIN)
        assert b"finally" not in rest
        await asyncio.gather(posting, return_exceptions=True)


async def test_a_dispatcher_posts_invocations_and_answers_event_grid(tmp_path: Path, storage: dict[str, str]) -> None:
    program = tmp_path / "program"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    settings = {"AzureFunctionsJobHost__extensions__queues__batchSize": "7"}
    async with running(tmp_path, "--dispatcher", str(program), env=storage | settings) as worker:
        lines = [await worker.line("message") for _ in range(2)]
        assert lines == ["m1 4 good", "m1 4 boom"]
        assert await worker.line("time") == "True"
        result: dict[str, Any] = json.loads(await worker.line("result"))
        assert result["codes"] == [200, 500, 200]
        assert (result["storage"], result["batch"]) == (storage["AzureWebJobsStorage"], "7")
        assert [function["type"] for function in result["functions"]] == [
            *("eventGridTrigger", "eventGridTrigger", "queueTrigger", "timerTrigger")
        ]
        path = "/runtime/webhooks/EventGrid?functionName=on_event"
        assert await worker.post("on_event", {"id": 1}) == (202, path + ' Notification {"id": 1}')
        worker.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.process.wait(), WITHIN) == 0


async def test_a_dispatcher_that_ends_ends_the_host(tmp_path: Path, storage: dict[str, str]) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho started\nread forever < /dev/null\nexit 3\n")
    program.chmod(0o700)
    async with running(tmp_path, "--dispatcher", str(program), env=storage) as worker:
        assert "ended with 3" in await worker.line("functions: the host ends")
        assert await asyncio.wait_for(worker.process.wait(), WITHIN) == 1
