"""Azure's own dispatchers in front of the app: a program polls queues, answers Event Grid and keeps timers.

The program is the code that the Functions host runs (the WebJobs SDK and its extensions). It is called as
``PROGRAM functions.json host.json URL``, sends each invocation as ``POST URL/NAME``, and prints that it has started.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, HttpVersion10, web

from local.functions_host.dispatch import end_process
from local.functions_host.host_json import SETTING_PREFIX
from local.functions_host.indexing import Function
from local.functions_host.invoker import Invoker
from local.functions_host.server import FunctionsHost
from local.functions_host.triggers import Triggers
from local.storage.account import connection_string

STARTED = "started\n"
"""The end of the line that the program prints when it takes work."""
STORAGE = "AzureWebJobsStorage"
NOT_FORWARDED = frozenset({"host", "content-length", "transfer-encoding", "connection", "date", "server"})
PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""
MAX_LINE_BYTES = 1024 * 1024
"""A stack trace of .NET is one line."""
LIBC = ctypes.CDLL(None)


class DispatcherError(Exception):
    """The program did not start."""


class Dispatcher:
    """The program; it listens for the host as its triggers do."""

    def __init__(self, program: Path, app: Path, folder: Path) -> None:
        self._program, self._host_json, self._folder = program, app / "host.json", folder / "dispatcher"
        self._process: Process | None = None
        self._stopping = False
        self.url = ""

    async def start(self, functions: Iterable[Function], invoke_url: str) -> None:
        """Start the program and wait until it takes work; raise DispatcherError."""
        timers, described = self._folder / "timers", self._folder / "functions.json"
        timers.mkdir(parents=True, exist_ok=True)
        described.write_text(json.dumps([_description(function) for function in functions]))
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = await asyncio.create_subprocess_exec(
            *(self._program, described, self._host_json, invoke_url),
            stdout=PIPE,
            stderr=STDOUT,
            env=_environment(os.environ) | {"PORT": str(port), "TIMERS": str(timers)},
            preexec_fn=_end_with_parent,
            limit=MAX_LINE_BYTES,
        )
        while not (line := await self._line()).endswith(STARTED):
            if not line:
                raise DispatcherError(f"{self._program} did not start")

    async def run(self) -> None:
        """Print what the program prints until it ends; end the process if nobody stopped it."""
        while await self._line():
            pass
        code = await self._process.wait() if self._process else None
        if not self._stopping:
            end_process(f"{self._program} ended with {code}")

    def stop(self) -> None:
        """Let the program take nothing more; it ends when what runs has ended."""
        self._stopping = True
        if self._process and self._process.returncode is None:
            self._process.terminate()

    async def _line(self) -> str:
        """Print the program's next line and return it, or an empty text at the end."""
        line = (
            (await self._process.stdout.readline()).decode(errors="replace")
            if self._process and self._process.stdout
            else ""
        )
        print(line, end="", file=sys.stderr, flush=True)
        return line


class DispatchedHost(FunctionsHost):
    """The host's HTTP server in front of the program."""

    def __init__(
        self, functions: dict[str, Function], invoker: Invoker, triggers: Triggers, dispatcher: Dispatcher
    ) -> None:
        super().__init__(functions, invoker, triggers=triggers)
        self._dispatcher = dispatcher

    def routes(self) -> list[web.RouteDef]:
        """Return the route of the program's invocations, what the program answers itself, and the host's own."""
        invoke = web.post("/_local/invoke/{function}", self._invoke)
        return [invoke, web.post("/admin/host/drain", self._forward), *super().routes()]

    async def started(self) -> None:
        """Start the program."""
        await self._dispatcher.start(self._functions.values(), f"{self.url}/_local/invoke")

    async def _invoke(self, request: web.Request) -> web.Response:
        """Run a function; any status but 2xx makes the invocation a failed one."""
        function = self._functions[request.match_info["function"].lower()]
        body = await request.json()
        data = body["data"]
        payload = data if isinstance(data, str) else json.dumps(data)  # a timer's state is an object
        metadata = {name[:1].upper() + name[1:]: value for name, value in body.get("metadata", {}).items()}
        succeeded = await self._invoker.run(function, payload, metadata)
        response = web.Response() if succeeded else web.Response(status=500, text=f"{function.name} failed")
        response.force_close()  # Azure's worker has no connection for each invocation at once
        return response

    async def _event_grid(self, request: web.Request) -> web.Response:
        return await self._forward(request)

    async def _forward(self, request: web.Request) -> web.Response:
        """Let the program answer; like Azure's front end, 503 while it does not.

        By HTTP 1.0, which has no chunks: the listener of .NET ends an answer without a body with a chunk of length 0.
        """
        headers = {name: value for name, value in request.headers.items() if name.lower() not in NOT_FORWARDED}
        try:
            async with (
                ClientSession(
                    auto_decompress=False, timeout=ClientTimeout(total=None), version=HttpVersion10
                ) as session,
                session.request(
                    request.method, self._dispatcher.url + request.path_qs, headers=headers, data=await request.read()
                ) as answer,
            ):
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in NOT_FORWARDED}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        except ClientError:
            return web.Response(status=503)


def _description(function: Function) -> dict[str, Any]:
    """Describe a function as the program reads it."""
    described: dict[str, Any] = {"name": function.name, "type": function.trigger}
    if function.queue:
        described |= {"queueName": function.queue, "connection": STORAGE}
    if function.schedule:
        described |= {"schedule": function.schedule, "runOnStartup": function.run_on_startup}
        described |= {"useMonitor": function.use_monitor}
    return described


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the program's environment: it signs in to storage with the account's key, and has the machine's clock."""
    string = env.get(STORAGE) or connection_string(
        {part: env[f"{STORAGE}__{part}ServiceUri"] for part in ("blob", "queue")}
    )
    rest = {
        name.replace(SETTING_PREFIX, "AzureWebJobs__"): value
        for name, value in env.items()
        if not name.startswith(STORAGE) and name != "LD_PRELOAD"
    }
    return {"LOG_LEVEL": "Warning", **rest, STORAGE: string}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _end_with_parent() -> None:
    """Have Linux kill the program when the host is killed: on Azure both are on the machine that is lost."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
