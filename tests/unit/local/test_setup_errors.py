"""Setup errors: missing parts of Python, a port in use, a wrong file."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.endpoints import PORTS, ROOT, ports_in_use, secret_names
from local.folder_lock import FolderLock
from local.processes import PartExitedError
from local.stack import Options, Stack
from local.stack_client import eventually

INSTALL = (
    "import runpy, sys; {}; sys.argv[1:] = [{!r}, 'requirements-dev.txt']; runpy.run_path({!r}, run_name='__main__')"
)


def install(machine: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the installer after a statement that changes this machine's Python."""
    return python("-c", INSTALL.format(machine, str(folder / "venv"), str(ROOT / "local" / "bootstrap_venv.py")))


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_without_venv_the_command_that_installs_it_is_printed(tmp_path: Path, module: str) -> None:
    done = install(f"sys.modules[{module!r}] = None", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    minor = sys.version_info.minor
    assert done.stderr.splitlines() == [
        f"Python's venv module is missing; on Debian or Ubuntu: sudo apt-get install -y python3.{minor}-venv"
    ]
    assert not (tmp_path / "venv").exists()


def test_an_older_python_is_an_error_that_says_how_to_choose_another(tmp_path: Path) -> None:
    done = install("sys.version_info = (3, 9, 6)", tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "Slipway needs Python 3.11 or newer; this is 3.9.6: name another, as in make demo PYTHON=python3.13"
    )


def test_an_old_python_can_read_the_installer_that_refuses_it() -> None:
    """RHEL 8 has 3.6 as python3, which knows neither ``annotations`` of __future__ nor later syntax."""
    source = (ROOT / "local" / "bootstrap_venv.py").read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    assert not any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in ast.walk(tree))


def test_ctrl_c_during_the_installation_says_how_it_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "local/bootstrap_venv.py", str(tmp_path / "venv"), "requirements-dev.txt"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a suite that a shell started in the background ignores Ctrl-C, and so does a child, unless a handler is set
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as installer:
        assert installer.stdout is not None
        assert installer.stdout.readline().startswith("creating")
        eventually((tmp_path / "venv" / "pyvenv.cfg").exists, "the environment is being made")
        os.killpg(installer.pid, signal.SIGINT)  # a terminal sends it to the interpreters that it started, too
        _, errors = installer.communicate()
    assert (installer.returncode, errors.strip()) == (130, "stopped; the next make goes on from here")


def test_a_folder_that_cannot_be_made_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "venv").write_text("a file")
    done = python("local/bootstrap_venv.py", str(tmp_path / "venv"), "requirements-dev.txt")
    assert done.returncode == 1
    assert f"{tmp_path / 'venv'} could not be created" in done.stderr + done.stdout
    assert "CalledProcessError" not in done.stderr


def test_the_progress_of_an_installation_is_readable_in_a_log() -> None:
    lines = [f"Collecting package-{number}\n" for number in range(1, 101)]
    lines.append("Installing collected packages: all")
    script = f"from local.bootstrap_venv import show_progress; show_progress({lines!r}, 100)"
    output = python("-c", script).stdout
    assert [line.split()[0] for line in output.splitlines() if line] == ["25", "50", "75", "100", "100"]
    assert "\r" not in output
    assert "\x1b" not in output


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ports_in_use({"registry": port}) == {"registry": port}
    assert ports_in_use({"registry": port}) == {}
    assert len(set(PORTS.values())) == len(PORTS)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("agents:\n  a: [\n", r"yaml:3: this is not YAML"),
        ("", r"yaml:1: the file is empty"),
        ("agents: {x: {repository: 3}}", r"yaml:1: agents\.x\.repository: expected text, found 3"),
        (None, r"No such file or directory"),
    ],
)
def test_up_with_a_wrong_file_reports_the_error_before_it_starts_anything(
    tmp_path: Path, text: str | None, error: str
) -> None:
    file = tmp_path / "agents.yaml"
    if text is not None:
        file.write_text(text)
    done = python("-m", "local", "up", "--ports", "0", "--folder", str(tmp_path / "local"), "--agents", str(file))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.search(error, line)
    assert "Traceback" not in done.stdout
    assert "storage" not in done.stdout


def test_the_laptop_reads_agents_yaml_as_validate_does(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(
        "defaults: {env: {TOKEN: {secret: token}}}\n"
        "agents: {a: {repository: a, env: {OP: =, DAY: 2026-13-45, KEY: {secret: api-key}, OLD: {secret: token}}}}\n"
    )
    assert secret_names(file) == [("", "api-key"), ("", "token")]


def test_a_stack_with_a_wrong_file_starts_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text("agents: {a: {repository: a, cpu: .inf}}")
    with pytest.raises(PartExitedError, match=rf"^{file}:1: agents\.a\.cpu: write cores as a decimal number"):
        asyncio.run(Stack(Options(tmp_path / "local", file, free_ports=True)).up())
    assert not (tmp_path / "local").exists()


def test_a_push_to_a_stack_that_no_longer_runs_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (tmp_path / "endpoints.json").write_text(f'{{"registry": "127.0.0.1:{port}"}}')
    done = python("-m", "local", "push", "agents/hello:v1", "--folder", str(tmp_path))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"127.0.0.1:{port}" in line
    assert line.endswith("is `make up` still running?")


def test_a_reference_with_two_tags_is_rejected_before_the_push() -> None:
    done = python("-m", "local", "push", "agents/hello:v1:v2")
    assert done.returncode == 2
    assert "agents/hello:v1:v2: a tag cannot contain a colon" in " ".join(done.stderr.replace("│", " ").split())


def test_an_error_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pull-request.yaml"
    file.write_text("agents: {a: {repository: agents/a, memry: 4Gi}}")
    done = python("-m", "cli", "validate", str(file))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{file}:1: agents.a.memry: unknown key; did you mean memory?")


def test_an_undocumented_size_is_a_warning_and_not_an_error(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text('agents: {a: {repository: agents/a, cpu: "1", memory: 4Gi}}')
    done = python("-m", "cli", "validate", str(file))
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("warning: agents.a: cpu 1 with memory 4Gi is not a documented size")
    (warned,) = json.loads(python("-m", "cli", "validate", str(file), "--json").stdout)["warnings"]
    assert line == f"warning: {warned['path']}: {warned['message']} (line {warned['line']})"


def test_a_second_stack_of_a_folder_is_refused_and_leaves_the_first_alone(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire()
    (tmp_path / "storage").mkdir()
    options = Options(tmp_path, ROOT / "agents.yaml", free_ports=True)
    with pytest.raises(PartExitedError, match=rf"^a stack of {tmp_path} runs \(pid {os.getpid()}\): stop it"):
        asyncio.run(Stack(options, report=lambda _: None).up())
    assert (tmp_path / "storage").exists()
    lock.release()
    FolderLock(tmp_path).acquire()
