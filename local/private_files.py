"""Files that only the user may read: the stack's folder holds keys, and settings that give access to its parts."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path


class SharedFolderError(Exception):
    """A folder that other users write to, such as /tmp, cannot become private."""


def make_private(folder: Path) -> Path:
    """Create the folder, or close an existing folder to other users, and return it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = folder.stat().st_mode
    if mode & stat.S_ISVTX:
        raise SharedFolderError(f"{folder} is shared with other users: name a folder of your own")
    if stat.S_IMODE(mode) != 0o700:
        folder.chmod(0o700)
    return folder


def write_private(file: Path, content: bytes) -> None:
    """Replace the file, in one step, by a file that only the user may read."""
    new = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(content)
    new.replace(file)
