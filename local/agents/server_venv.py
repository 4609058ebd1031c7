"""The virtual environment with Microsoft's server for agents, installed when an agent first needs it.

It is not Slipway's own: the server needs other versions of packages that both use (docs/reference/wire.md).
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from local.endpoints import ROOT

FOLDER = ROOT / ".venv-agents"
LOCK_FILE = Path(__file__).with_name("requirements.txt")
PIN = re.compile(r"^[A-Za-z0-9_.-]+==.*?(?=^[A-Za-z0-9_.-]+==|\Z)", re.MULTILINE | re.DOTALL)
PATIENCE = ("--retries", "1", "--timeout", "15")


class ServerVenvError(Exception):
    """The server cannot be installed; the message says why."""


async def server_python(report: Callable[[str], None], folder: Path = FOLDER) -> Path:
    """Return the interpreter that has Microsoft's server; install both first if they are missing."""
    python = folder / "bin" / "python"
    if not _is_current(folder):
        await asyncio.to_thread(_install_once, folder, report)
    return python


def _wanted() -> str:
    return f"{sys.version_info[:2]} {hashlib.sha256(LOCK_FILE.read_bytes()).hexdigest()}"


def _is_current(folder: Path) -> bool:
    ready = folder / ".ready"
    return ready.exists() and ready.read_text() == _wanted() and (folder / "bin" / "python").exists()


def _install_once(folder: Path, report: Callable[[str], None]) -> None:
    """Install while no other stack of this checkout does; it may have finished meanwhile."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_current(folder):
            _install(folder, report)


def _install(folder: Path, report: Callable[[str], None]) -> None:
    lock = LOCK_FILE.read_text()
    pins = PIN.findall(lock)
    report(f"installing Microsoft's server for agents (once; {len(pins)} packages) into {folder.name}")
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
    options = ["--disable-pip-version-check", "--no-compile", "--no-deps", "--require-hashes", *PATIENCE]
    try:
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
            only_uv.write("".join(pin for pin in pins if pin.startswith("uv==")))
            only_uv.flush()
            _run([*pip, *options, "-r", only_uv.name])
        try:
            report("Microsoft's server for agents: downloading, which takes some seconds")
            uv = [str(folder / "bin" / "uv"), "pip", "install", "--python", str(folder / "bin" / "python")]
            _run([*uv, "--quiet", "--no-config", "--no-deps", "--require-hashes", "-r", str(LOCK_FILE)])
        except ServerVenvError:  # uv does not read pip's configuration, which may name another index
            report("Microsoft's server for agents: downloading with pip")
            _run([*pip, *options, "-r", str(LOCK_FILE)])
    except OSError as error:
        raise ServerVenvError(f"Microsoft's server for agents could not be installed: {error}") from error
    (folder / ".ready").write_text(_wanted())
    report("Microsoft's server for agents is installed")


def _run(command: list[str]) -> None:
    environment = {**os.environ, "UV_HTTP_TIMEOUT": "15", "UV_NO_PROGRESS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
        reason = next((line for line in reversed(lines) if line.strip()), f"exit code {done.returncode}")
        raise ServerVenvError(f"Microsoft's server for agents could not be installed: {reason.strip()[:300]}")
