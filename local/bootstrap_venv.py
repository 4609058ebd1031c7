"""Creates the virtual environment and shows progress.

It needs no installed package and is written for Python 3.6, so that an old Python says which one is needed.
"""

import re
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)


def main(folder: str, lock: str) -> int:
    """Create the environment in FOLDER from the lock file; print what to do if that is impossible."""
    problem = _problem()
    if problem:
        print(problem, file=sys.stderr)
        return 1
    pins = len(re.findall(r"^[A-Za-z0-9_.\[\]-]+==", Path(lock).read_text(), re.MULTILINE))
    print(f"creating {folder} (once; about {pins} packages)", flush=True)
    # its errors are kept back: after Ctrl-C they are the tracebacks of two interpreters
    made = subprocess.run([sys.executable, "-m", "venv", folder], stderr=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        print(f"{made.stderr}{folder} could not be created", file=sys.stderr)
        return made.returncode
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
        package = show_progress(process.stdout or (), pins)
    if process.returncode:
        print(f"\npip could not install {package or lock}; see the lines above", file=sys.stderr)
        return process.returncode
    write_scripts(folder, Path("pyproject.toml"))
    return 0


def write_scripts(folder: str, project: Path) -> None:
    """Write the console scripts of pyproject.toml; they run the code of the checkout that contains the folder.

    The checkout is not installed as a package: Azure runs the app from its folders too.
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


def _problem() -> str:
    """Return what is missing on this machine, with the command that installs it; empty where nothing is."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        return f"Slipway needs Python 3.11 or newer; this is {found}: name another, as in make demo PYTHON=python3.13"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python3.{sys.version_info[1]}-venv"  # python3-venv is only for Debian's own Python
        return f"Python's venv module is missing; on Debian or Ubuntu: sudo apt-get install -y {package}"
    return ""


def show_progress(lines: object, pins: int) -> str:
    """Print how many packages pip has collected: in place on a terminal, a line for every 25th in a log."""
    collected, package = 0, ""
    for line in lines:  # type: ignore[attr-defined]
        found = re.match(r"Collecting ([A-Za-z0-9_.-]+)", line)
        if line.startswith("Installing collected"):
            package, collected = "unpacking", pins
        elif found:
            collected, package = min(collected + 1, pins), found[1]
        else:
            continue
        if sys.stdout.isatty():
            print(f"\r\033[K  {100 * collected // pins:3} %  {package}", end="", flush=True)
        elif collected % 25 == 0 or package == "unpacking":
            print(f"  {100 * collected // pins:3} %  {package}", flush=True)
    print(flush=True)
    return package


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        print("\nstopped; the next make goes on from here", file=sys.stderr)
        sys.exit(130)
