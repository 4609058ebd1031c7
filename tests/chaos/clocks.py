"""Wall clocks that can be set, one for each Functions host: the product and its SDKs are none the wiser."""

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
    """The clock of one process, by the number of seconds in a file that it maps."""

    library: Path
    file: Path

    def __post_init__(self) -> None:
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        """What the process needs to look at it."""
        return {"LD_PRELOAD": str(self.library), "CHAOS_CLOCK": str(self.file)}

    def set(self, seconds: int) -> None:
        """So many seconds ahead of this machine's clock; written in place, because the process has it mapped."""
        mode = "r+b" if self.file.exists() else "wb"
        with self.file.open(mode) as file:
            file.write(struct.pack("q", seconds))


def library(folder: Path) -> Path | None:
    """The clock as a library; None where there is no C compiler, or no loader that takes it."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        return None
    built = folder / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(built), str(SOURCE)], check=True)
    return built
