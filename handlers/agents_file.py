"""Loads agents.yaml and its datasets, and keeps them until a file changes."""

from __future__ import annotations

import errno
import os
import stat
from functools import lru_cache
from pathlib import Path

from core.agents_file.loader import AgentsFileError, load_agents
from core.agents_file.projects import is_same_project
from core.agents_file.spec import Agents
from core.vault_address import vault_address
from handlers.redaction import keep_names
from handlers.settings import APP_ROOT, ConfigError, Settings

MAX_FILE_BYTES = 100_000_000
"""Of a file that is read to say what is wrong with it."""


def read_named_file(file: Path) -> bytes:
    """The content of a file that agents.yaml names; raises OSError, also for a pipe and for a device."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a file")
    if found.st_size > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return file.read_bytes()


def read_agents_file(file: Path) -> Agents:
    """The agents of a file, and of the files that it names; raises OSError or AgentsFileError."""
    return load_agents(file.read_bytes(), lambda name: read_named_file(file.parent / name))


def load_agents_file(settings: Settings) -> Agents:
    """The agents that the file names, read again when the file changed; raises ConfigError."""
    path = APP_ROOT / settings.agents_file
    try:
        changed_at = path.stat().st_mtime_ns
        if not path.is_file():
            raise ConfigError(f"AGENTS_FILE: {path} is not a file; name the file itself, such as agents.yaml")
        agents, read = _load(path, changed_at)
        if any(file.stat().st_mtime_ns != at for file, at in read.items()):
            _load.cache_clear()
            agents, _ = _load(path, changed_at)
    except OSError as error:
        raise ConfigError(f"AGENTS_FILE: {path} cannot be read: {error.strerror}") from error
    for name, endpoint in agents.projects.items():
        if is_same_project(endpoint, settings.foundry_project_endpoint):
            raise ConfigError(
                f"{_shown(path)}: projects.{name} is FOUNDRY_PROJECT_ENDPOINT too; call it default in stages"
            )
    shared = vault_address(settings.key_vault_url)
    if shared in agents.vaults.values():
        others = {name: vault for name, vault in agents.vaults.items() if vault != shared}
        return agents.model_copy(update={"vaults": others})
    return agents


@lru_cache(maxsize=2)
def _load(path: Path, _changed_at: int) -> tuple[Agents, dict[Path, int]]:
    """The agents, and when each dataset that was read was changed."""
    read: dict[Path, int] = {}

    def read_file(name: str) -> bytes:
        file = path.parent / name
        read[file] = file.stat().st_mtime_ns
        return read_named_file(file)

    try:
        agents = load_agents(path.read_bytes(), read_file)
    except AgentsFileError as error:
        raise ConfigError(error.text_for(_shown(path))) from error
    keep_names(spec.agent for spec in agents.agents.values())
    return agents, read


def _shown(path: Path) -> str:
    """The file as AGENTS_FILE names it: that of a local stack is rarely the one beside the app."""
    return str(path.relative_to(APP_ROOT) if path.is_relative_to(APP_ROOT) else path)
