"""A wall clock for each Functions host that can be set without a change to the product or its SDKs."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


@dataclass
class HostClock:
    """The clock of one process, which reads its offset in seconds from a mapped file."""

    library: Path
    file: Path

    def __post_init__(self) -> None:
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that make a process use this clock."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.file)}

    def set(self, seconds: int) -> None:
        """Set the offset to this machine's clock; the file is written in place, because the process has mapped it."""
        mode = "r+b" if self.file.exists() else "wb"
        with self.file.open(mode) as file:
            file.write(struct.pack("q", seconds))


def library(folder: Path) -> Path | None:
    """Compile the clock as a library; None without a C compiler or outside Linux."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    output = folder / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(output), str(SOURCE)], check=True)
    return output
