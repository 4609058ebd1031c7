"""checkov and Microsoft's Azure MCP server in a virtual environment, created by the first test that needs it.

It is separate because checkov's pins conflict with ours, and the server has 60 MB. It is stored below .local, which git
ignores, under the hash of its lock file: it is created once per machine, in about a minute.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("requirements.txt")
SERVER_ENV = {"AZURE_MCP_COLLECT_TELEMETRY": "false", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
"""Send no telemetry, and need no ICU library."""


def environment() -> Path:
    """The folder of the environment. Parallel callers wait for the first; an unfinished one is created again."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = ROOT / ".local" / f"infra-checks-{digest}-{sys.version_info[0]}{sys.version_info[1]}"
    ready = folder / "ready"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            options = [
                "--no-deps",
                "--no-compile",
                "--require-hashes",
                "-r",
                str(LOCK),
            ]  # the lock file lists every package
            subprocess.run([*pip, *options], check=True)
            ready.touch()
    return folder


def checkov(modules: Path, config: Path, *more: str) -> dict[str, Any]:
    """The report of checkov on a folder. Its exit code is not used: it is 0 even if no file could be parsed."""
    command = [str(environment() / "bin" / "python"), "-m", "checkov.main", "--directory", str(modules)]
    options = ["--config-file", str(config), "--skip-download", "--compact", "--quiet", "--output", "json", *more]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    output: Any = json.loads(done.stdout)
    report: dict[str, Any] = output[0] if isinstance(output, list) else output
    return report


def types(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Resource type → the server's answer, all in one session of the Model Context Protocol."""
    command = [str(environment() / "bin" / "azmcp"), "server", "start", "--namespace", "bicepschema", "--mode", "all"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env={**os.environ, **SERVER_ENV}, **pipes) as process:  # type: ignore[call-overload]
        client = {
            "protocolVersion": "2024-11-05",
            "capabilities": {},
            "clientInfo": {"name": "slipway", "version": "1"},
        }
        _ask(process, "initialize", client)
        answers = {name: _type(process, name) for name in names}
        process.stdin.close()
    return answers


def _type(process: Any, name: str) -> dict[str, Any]:
    result = _ask(process, "tools/call", {"name": "bicepschema_get", "arguments": {"resource-type": name}})
    answer: dict[str, Any] = json.loads(result["content"][0]["text"])
    return answer


def _ask(process: Any, method: str, params: object) -> Any:
    """Send one request and return its result; the server sends other messages in between."""
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        message = json.loads(line)
        if message.get("id") == method:
            return message["result"]
    raise AssertionError(f"the server ended instead of answering {method}")
