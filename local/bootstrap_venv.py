"""Makes the virtual environment and shows how far it is; run by whatever Python there is, with nothing installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)


def main(folder: str, lock: str) -> int:
    """Make FOLDER from the lock file; one line that says what to do where that cannot work."""
    problem = _problem()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    pins = len(re.findall(r"^[A-Za-z0-9_.\[\]-]+==", Path(lock).read_text(), re.MULTILINE))
    print(f"making {folder} (once; about {pins} packages)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [
        f"{folder}/bin/python",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        lock,
    ]
    with subprocess.Popen([*pip, "--progress-bar", "off"], stdout=subprocess.PIPE, text=True) as process:
        last = _follow(process.stdout or (), pins)
    if process.returncode:
        print(f"\npip could not install {last or lock}; the lines above say why", file=sys.stderr)
        return process.returncode
    scripts(folder, Path("pyproject.toml"))
    return 0


def scripts(folder: str, project: Path) -> None:
    """The console scripts of pyproject.toml, which run what is in the checkout that the folder stands in.

    The checkout is never installed: the app is deployed from its folders as they are, and so they are run here.
    """
    table = re.search(r"^\[project\.scripts\]\n((?:[^\[\n].*\n)+)", project.read_text(), re.MULTILINE)
    for name, module, function in re.findall(r'^(\S+) = "([\w.]+):(\w+)"', table[1] if table else "", re.MULTILINE):
        script = Path(folder) / "bin" / name
        script.write_text(
            SCRIPT.format(python=Path(folder).absolute() / "bin" / "python", module=module, call=function)
        )
        script.chmod(0o755)


SCRIPT = """#!{python}
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from {module} import {call}

sys.exit({call}())
"""


def _problem() -> str | None:
    """What is missing on this machine, and the one command that brings it."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        return f"Slipway needs Python 3.11 or newer; this is {found}: name another, as in make demo PYTHON=python3.13"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python3.{sys.version_info[1]}-venv"  # python3-venv is for Debian's own Python alone
        return f"Python's venv module is missing; on Debian or Ubuntu: sudo apt-get install -y {package}"
    return None


def _follow(lines: object, pins: int) -> str:
    """Count what pip collects: in place on a terminal, a line now and then in a log."""
    seen, last = 0, ""
    for line in lines:  # type: ignore[attr-defined]
        found = re.match(r"Collecting ([A-Za-z0-9_.-]+)", line)
        if line.startswith("Installing collected"):
            last, seen = "unpacking", pins
        elif found:
            seen, last = min(seen + 1, pins), found[1]
        else:
            continue
        if sys.stdout.isatty():
            print(f"\r\033[K  {100 * seen // pins:3} %  {last}", end="", flush=True)
        elif seen % 25 == 0 or last == "unpacking":
            print(f"  {100 * seen // pins:3} %  {last}", flush=True)
    print(flush=True)
    return last


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
