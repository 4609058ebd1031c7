"""checkov and Microsoft's Azure MCP server in an environment of their own, made at the first test that needs it.

checkov pins what we pin otherwise, and the other is a program of 60 MB. The environment lies below .local, which git
does not see, under the hash of its lock file: it is made once a machine, in about a minute.
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
QUIET = {"AZURE_MCP_COLLECT_TELEMETRY": "false", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
"""Nothing is sent anywhere, and no ICU library is needed."""


def environment() -> Path:
    """The environment's folder; whoever comes second waits for the first, and a half-made one is made anew."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = ROOT / ".local" / f"infra-checks-{digest}-{sys.version_info[0]}{sys.version_info[1]}"
    ready = folder / "ready"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            given = ["--no-deps", "--no-compile", "--require-hashes", "-r", str(LOCK)]  # the lock names all of it
            subprocess.run([*pip, *given], check=True)
            ready.touch()
    return folder


def checkov(modules: Path, config: Path, *more: str) -> dict[str, Any]:
    """What checkov says of a folder, as data: its exit code says nothing where it could read nothing."""
    command = [str(environment() / "bin" / "python"), "-m", "checkov.main", "--directory", str(modules)]
    given = ["--config-file", str(config), "--skip-download", "--compact", "--quiet", "--output", "json", *more]
    done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
    told: Any = json.loads(done.stdout)
    found: dict[str, Any] = told[0] if isinstance(told, list) else told
    return found


def types(desired: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Resource type → what the server tells of it; asked in one session of it, over the Model Context Protocol."""
    command = [str(environment() / "bin" / "azmcp"), "server", "start", "--namespace", "bicepschema", "--mode", "all"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env={**os.environ, **QUIET}, **pipes) as process:  # type: ignore[call-overload]
        hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "slipway", "version": "1"}}
        _ask(process, "initialize", hello)
        found = {name: _type(process, name) for name in desired}
        process.stdin.close()
    return found


def _type(process: Any, name: str) -> dict[str, Any]:
    told = _ask(process, "tools/call", {"name": "bicepschema_get", "arguments": {"resource-type": name}})
    answer: dict[str, Any] = json.loads(told["content"][0]["text"])
    return answer


def _ask(process: Any, method: str, params: object) -> Any:
    """One request and its answer; the server says other things in between."""
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params}) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        told = json.loads(line)
        if told.get("id") == method:
            return told["result"]
    raise AssertionError(f"the server ended instead of answering {method}")
