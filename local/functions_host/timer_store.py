"""The status and the lease of each timer, in files; the real host keeps both in blobs of its storage account."""

from __future__ import annotations

import fcntl
import json
import time
import uuid
from pathlib import Path
from typing import Protocol

from local.functions_host.timer_rules import LEASE_SECONDS, Status


class TimerStore(Protocol):
    """What a host keeps of its timers."""

    def read(self, name: str) -> Status | None:
        """Return the status, or None if there is none."""

    def write(self, name: str, status: Status) -> None:
        """Store the status."""

    def acquire(self, name: str) -> bool:
        """Take or renew the lease for a minute; return False while another host has it."""

    def release(self, name: str) -> None:
        """Give the lease back."""


class TimerFiles:
    """Files in a folder; hosts with the same folder share their timers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = uuid.uuid4().hex

    def read(self, name: str) -> Status | None:
        """Return None as well for a file that does not contain a status."""
        try:
            return Status.from_json(json.loads(self._file(name, "json").read_text()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, name: str, status: Status) -> None:
        """Replace the file as a whole."""
        new = self._file(name, "new")
        new.write_text(json.dumps(status.to_json()))
        new.replace(self._file(name, "json"))

    def acquire(self, name: str) -> bool:
        """Read and write the lease under a lock of the file, as two hosts may start at once."""
        with self._file(name, "lease").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            owner, _, until = file.read().partition(" ")
            left = _number(until) - time.time()
            if owner != self._owner and 0 < left <= LEASE_SECONDS:  # more: the clock was set back
                return False
            file.truncate(0)
            file.write(f"{self._owner} {time.time() + LEASE_SECONDS}")
        return True

    def release(self, name: str) -> None:
        """Remove the lease."""
        self._file(name, "lease").unlink(missing_ok=True)

    def _file(self, name: str, kind: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{name}.{kind}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
