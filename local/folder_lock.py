"""The lock of a running stack on its folder; the system frees it when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FolderInUseError(Exception):
    """Another process has the lock; ``pid`` is its id, empty where it has not written it yet."""

    def __init__(self, folder: Path, pid: str) -> None:
        super().__init__(
            f"a stack of {folder} runs (pid {pid or 'unknown'}): stop it with Ctrl-C where it runs, "
            'or start a second one beside it with make up ARGS="--ports 0 --folder .local-2"'
        )


class FolderLock:
    """Held from ``acquire`` until ``release`` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock; raise FolderInUseError while another process has it."""
        file = os.open(self._folder / "stack.pid", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.read(file, 20).decode(errors="replace").strip()
            os.close(file)
            raise FolderInUseError(self._folder, pid) from error
        os.truncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        self._file = file

    def release(self) -> None:
        """Give the lock back; the file stays, because a process that waits may have it open."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
