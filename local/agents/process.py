"""An agent's process: started below its guard, asked for readiness, read, and stopped with what it started."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout

GUARD = Path(__file__).with_name("guard.py")
MAX_LINES = 1_000
MAX_LINE = 2_000
"""Characters of a line of output that are kept."""
MAX_SHOWN = 600
"""Characters of output in the message of a version that failed."""
READINESS_INTERVAL = 0.03
GUARD_SECONDS = 10.0
"""The guard needs half of it at most."""


class NotReadyError(Exception):
    """The agent exited, or did not answer /readiness in time; the message says which, with its last output."""


@dataclass(frozen=True)
class LogLine:
    """A line of output, as Foundry's log stream has it."""

    timestamp: str
    stream: str
    message: str


class AgentProcess:
    """A started agent; ``url`` is where it should listen."""

    def __init__(self, process: Process, port: int, lines: deque[LogLine]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.lines = lines
        self._port = port
        self._process = process
        self._reading = asyncio.gather(
            *(self._read(name, stream) for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)))
        )

    @classmethod
    async def start(
        cls, arguments: list[str], folder: Path, environment: Mapping[str, str], port: int, lines: deque[LogLine]
    ) -> AgentProcess:
        """Start an agent with exactly this environment; its output is appended to the lines."""
        guard = [sys.executable, "-I", "-S", str(GUARD), *arguments]
        process = await asyncio.create_subprocess_exec(
            *guard, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=folder, env=environment
        )
        return cls(process, port, lines)

    @property
    def guard_pid(self) -> int:
        """The process id of the guard, above the agent's own."""
        return self._process.pid

    @property
    def exited(self) -> bool:
        """Whether the agent ended."""
        return self._process.returncode is not None

    async def wait_until_ready(self, seconds: float) -> None:
        """Return when /readiness answered 200; raise NotReadyError if it cannot or does not in time."""
        try:
            async with asyncio.timeout(seconds), ClientSession(timeout=ClientTimeout(total=5)) as session:
                while not self.exited:
                    with contextlib.suppress(ClientError, TimeoutError, ConnectionError):
                        async with session.get(f"{self.url}/readiness", allow_redirects=False) as response:
                            if response.status == 200 and not self.exited:
                                return
                    await asyncio.sleep(READINESS_INTERVAL)
        except TimeoutError as error:
            elsewhere = _listening(_below(self.guard_pid)) - {self._port}
            await self.stop()
            ports = f"; it listens on port {', '.join(map(str, sorted(elsewhere)))}" if elsewhere else ""
            raise NotReadyError(
                f"/readiness on port {self._port} did not answer 200 within {seconds:g} s{ports}{self._last_output()}"
            ) from error
        await self._read_rest()
        code = self._process.returncode
        raise NotReadyError(f"the container exited with code {code} before /readiness answered{self._last_output()}")

    async def stop(self) -> None:
        """End the agent and everything that it started, and read the rest of its output."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), GUARD_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._read_rest()

    async def _read_rest(self) -> None:
        """Read to the end; where the guard cannot end a process that left, that process may keep the output open."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._reading), GUARD_SECONDS)

    async def _read(self, name: str, stream: asyncio.StreamReader | None) -> None:
        """Keep the end of the output: read by parts, since a line may have any length."""
        rest = b""
        while stream is not None and (part := await stream.read(64 * 1024)):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines[-MAX_LINES:]:
                self._keep(name, line)
            rest = rest[-MAX_LINE * 4 :]
        if rest:
            self._keep(name, rest)

    def _keep(self, name: str, line: bytes) -> None:
        text = line.rstrip(b"\r").decode(errors="replace")[-MAX_LINE:]
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.lines.append(LogLine(now, name, text))

    def _last_output(self) -> str:
        """Return the end of what the agent printed, for a message."""
        printed = " | ".join(line.message.strip() for line in list(self.lines)[-20:] if line.message.strip())
        shown = printed if len(printed) <= MAX_SHOWN else "…" + printed[-MAX_SHOWN:]
        return f"; its last output: {shown}" if shown else "; it printed nothing"


def free_port() -> int:
    """Return a port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _below(pid: int) -> set[int]:
    """Return the process and every process below it; only itself where there is no /proc."""
    found = {pid}
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                found |= _below(int(child))
    return found


def _listening(pids: set[int]) -> set[int]:
    """Return the ports that processes listen on, where /proc says it."""
    sockets: set[str] = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets.add(str(descriptor.readlink()))
    ports: set[int] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = row.split()[:10]
                if state == "0A" and f"socket:[{inode}]" in sockets:
                    ports.add(int(local.rpartition(":")[2], 16))
    return ports
