"""Starts an agent, and ends everything that it started: ``python -IS guard.py COMMAND…``.

It imports the standard library only, and ends with the agent's exit code. Its standard input is a pipe from the stack:
when the stack ends, however it ends, the pipe closes and the guard ends the agent. Processes that leave the agent's
group come back to the guard, which is a subreaper, so that none outlives it. Without Linux only the group is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE_SECONDS = 3.0
"""After SIGTERM; Microsoft's server needs 0.2 s."""
CHECK_SECONDS = 0.5
MAX_PROCESSES = 64
MAX_FILE_BYTES = 256 * 1024 * 1024
NOT_STARTED, TOO_MANY = 127, 125
"""Exit codes as a shell and docker use them."""

prctl = getattr(ctypes.CDLL(None), "prctl", None)


def main(command: list[str]) -> int:
    """Run the command to its end, or to the end of standard input."""
    if prctl is not None:
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_limit)  # noqa: PLW1509
    except (OSError, ValueError) as error:
        print(_explain(command[0], error), file=sys.stderr, flush=True)
        return NOT_STARTED
    reason = _wait(agent.pid, awake)
    if reason == "stopped":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(agent.pid, signal.SIGTERM)
        _wait_until_ended(agent.pid, time.monotonic() + GRACE_SECONDS)
    _kill_all(agent.pid)
    return TOO_MANY if reason == "too many" else ended.get(agent.pid, 0)


ended: dict[int, int] = {}
"""Exit codes of the processes that ended, as a shell gives them."""


def _limit() -> None:
    """Run in the agent, before it starts."""
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))


def _explain(program: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and Path(program).exists():
        return "cannot start: its interpreter or its loader is not on this machine"
    return f"cannot start: {getattr(error, 'strerror', None) or error}"


def _wait(agent: int, awake: int) -> str:
    """Return why the agent must end, or that it ended."""
    while True:
        ready, _, _ = select.select([0, awake], [], [], CHECK_SECONDS)
        if awake in ready and signal.SIGTERM in os.read(awake, 4096):
            return "stopped"
        if 0 in ready and not os.read(0, 4096):
            return "stopped"
        _reap()
        if agent in ended:
            return "ended"
        if len(_descendants(os.getpid())) > MAX_PROCESSES:
            print(f"more than {MAX_PROCESSES} processes", file=sys.stderr, flush=True)
            return "too many"


def _wait_until_ended(agent: int, deadline: float) -> None:
    while agent not in ended and time.monotonic() < deadline:
        time.sleep(0.02)
        _reap()


def _kill_all(agent: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(agent, signal.SIGKILL)
    deadline = time.monotonic() + GRACE_SECONDS
    while (left := _descendants(os.getpid())) and time.monotonic() < deadline:
        for number in (signal.SIGSTOP, signal.SIGKILL):  # what is stopped starts no more processes
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
        _reap()
        time.sleep(0.01)
    _reap()


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while (child := os.waitpid(-1, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(child[1])
            ended[child[0]] = code if code >= 0 else 128 - code


def _descendants(pid: int) -> set[int]:
    """Return every process below this one; empty where there is no /proc."""
    found: set[int] = set()
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            below = {int(child) for child in children.read_text().split()}
        except (FileNotFoundError, ProcessLookupError):
            continue
        found |= below.union(*(_descendants(child) for child in below))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
