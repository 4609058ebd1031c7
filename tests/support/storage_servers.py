"""Storage servers for the contract suites: the stand-in, and Azurite if Node is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from local.storage.account import connection_string

ROOT = Path(__file__).resolve().parents[2]
AZURITE = ROOT / "node_modules" / ".bin" / "azurite"


SERVERS = ("stand-in", "azurite")


def _command(kind: str, folder: Path) -> list[str]:
    if kind == "stand-in":
        return [sys.executable, "-m", "local.storage", str(folder)]
    flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    return [str(AZURITE), *flags, "--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]


def _endpoints(kind: str, output: IO[str]) -> dict[str, str]:
    if kind == "stand-in":
        endpoints: dict[str, str] = json.loads(output.readline())
        return endpoints
    found: dict[str, str] = {}
    while len(found) < 3:
        found |= dict(
            re.findall(r"(Blob|Queue|Table) service is successfully listening at (http://\S+)", output.readline())
        )
    return {name.lower(): f"{url.rstrip('/')}/devstoreaccount1" for name, url in found.items()}


@pytest.fixture(scope="session")
def storage_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Return a server's connection string by kind, over http; each server starts once, on its first use."""
    running: dict[str, tuple[subprocess.Popen[str], str]] = {}

    def connection(kind: str) -> str:
        if kind == "azurite" and not (shutil.which("node") and AZURITE.exists()):
            pytest.skip("Azurite is not installed: `npm ci` installs it where Node is")
        if kind not in running:
            command = _command(kind, tmp_path_factory.mktemp(kind))
            process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
            assert process.stdout is not None
            running[kind] = (process, connection_string(_endpoints(kind, process.stdout)))
        return running[kind][1]

    yield connection
    for process, _ in running.values():
        process.terminate()
        process.wait(timeout=10)
        assert process.stdout is not None
        process.stdout.close()
