"""checkov in a virtual environment of its own, created by the first test that needs it.

It is separate because checkov's pins conflict with ours. It is stored below .local, which git ignores, under the hash
of its lock file: it is created once per machine, in about a minute.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("requirements.txt")


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
