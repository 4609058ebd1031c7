"""Which program of an image is started, as this machine can start it, without a container."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.agents.image import ImageError

PYTHON = "{python}"
"""In place of the interpreter whose environment has Microsoft's server for agents."""
MACHINE_PATH = os.environ.get("PATH") or os.defpath
IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_SHEBANG = 256


@dataclass(frozen=True)
class Command:
    """Arguments, folder and variables of an agent's process; the version's own variables come on top."""

    arguments: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str]

    @property
    def needs_python(self) -> bool:
        """Whether it runs on Python, which the image does not have."""
        return self.arguments[0] == PYTHON

    def with_python(self, python: Path) -> list[str]:
        """Return the arguments, with this interpreter where one is needed."""
        return [str(python) if argument == PYTHON else argument for argument in self.arguments]


def has_command(config: Any) -> bool:
    """Return whether an image names anything to start; those of many tests do not."""
    return bool(_words(config, "Entrypoint") or _words(config, "Cmd"))


def command_of(config: Any, root: Path) -> Command:
    """Return what to start; raise ImageError where the image or this machine does not have it."""
    program, *arguments = [*_words(config, "Entrypoint"), *_words(config, "Cmd")]
    variables = dict(line.split("=", 1) for line in _words(config, "Env") if "=" in line.strip("="))
    folder = _inside(root, str(_section(config).get("WorkingDir") or "/"))
    folder.mkdir(parents=True, exist_ok=True)
    mapped = [_mapped(argument, root) for argument in arguments]
    start = _program(program, root, folder, variables.pop("PATH", IMAGE_PATH))
    return Command((*start, *mapped), folder, variables)


def _section(config: Any) -> dict[str, Any]:
    section = config.get("config") if isinstance(config, dict) else None
    return section if isinstance(section, dict) else {}


def _words(config: Any, key: str) -> list[str]:
    """Return a list of the configuration, which may be missing, null, or one text as old images have it."""
    value = _section(config).get(key)
    words = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [str(word) for word in words]


def _program(name: str, root: Path, folder: Path, image_path: str) -> tuple[str, ...]:
    if "/" in name:
        program: Path | None = _inside(root, name if name.startswith("/") else f"/{folder.relative_to(root)}/{name}")
        if program is None or not program.is_file():
            raise ImageError(f"the entry point {name} is not in the image")
    else:
        candidates = (_inside(root, f"{directory}/{name}") for directory in image_path.split(":") if directory)
        program = next((candidate for candidate in candidates if candidate.is_file()), None)
    if program is not None:
        return _started(program, name)
    if name in ("python", "python3"):
        return (PYTHON,)
    if found := shutil.which(name, path=MACHINE_PATH):
        return (found,)
    raise ImageError(f"the entry point {name} is neither in the image nor on this machine")


def _started(program: Path, name: str) -> tuple[str, ...]:
    """A script for Python gets the interpreter with Microsoft's server, whatever path its first line names."""
    with program.open("rb") as file:
        first = file.read(MAX_SHEBANG).partition(b"\n")[0]
    if first.startswith(b"#!") and b"python" in first:
        return (PYTHON, str(program))
    if not os.access(program, os.X_OK):
        raise ImageError(f"the entry point {name} is not executable")
    return (str(program),)


def _mapped(argument: str, root: Path) -> str:
    """Return the path on this machine of an argument that is a file of the image."""
    if not argument.startswith("/"):
        return argument
    path = _inside(root, argument)
    return str(path) if path.exists() else argument


def _inside(root: Path, path: str) -> Path:
    """Return where a path of the image is on this machine; raise ImageError if it leads out of the image."""
    try:
        found = Path(os.path.realpath(root / path.lstrip("/")))
    except (OSError, ValueError) as error:
        raise ImageError(f"{path!r} is not a path") from error
    if not found.is_relative_to(root):
        raise ImageError(f"{path} leads out of the image")
    return found
