"""The machine of the measurements, and memory and processor time of a process."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.testbed import NotMeasuredError
from local.endpoints import ROOT


def describe_machine(began: datetime) -> dict[str, object]:
    """Cores, memory, Python, date, and the machine's load."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "date": began.strftime("%Y-%m-%d %H:%M UTC"),
        "took_minutes": round((datetime.now(UTC) - began).total_seconds() / 60, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 2),
    }


def resident_memory(pid: int) -> float:
    """Resident memory of a process in MiB."""
    line = next(line for line in _proc(pid, "status").splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def peak_memory(pid: int) -> float:
    """The most resident memory that a process has had, in MiB; 0 once it has ended."""
    line = next((line for line in _proc(pid, "status").splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) / 1024


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = _proc(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processor_time_of_children() -> float:
    """Seconds of processor time of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_python(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[float, bytes]:
    """Seconds of wall time and output of a fresh Python in the checkout; raises CalledProcessError."""
    command, began = [sys.executable, *arguments], time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | dict(environment or {}), capture_output=True, check=True)
    return time.perf_counter() - began, done.stdout


def _proc(pid: int, name: str) -> str:
    file = Path(f"/proc/{pid}/{name}")
    if not file.exists():
        raise NotMeasuredError("not measured here: this system has no /proc")
    return file.read_text()
