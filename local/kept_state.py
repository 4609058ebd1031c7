"""What the stand-ins have in memory, as one file: `--keep` continues with all of it, or with none."""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local.foundry.server import Foundry
from local.foundry.state import AgentState, Project, Provisioning, VersionState
from local.private_files import write_private
from local.registry.repository import Repository
from local.registry.server import Registry
from local.telemetry.server import Telemetry
from local.vault import SecretVersion, Vault

FILE = "kept-state.json"
Json = dict[str, Any]


@dataclass(frozen=True)
class StandIns:
    """Those that have their state in memory; storage has a file of its own."""

    foundry: Foundry
    registry: Registry
    vault: Vault
    telemetry: Telemetry


def save(folder: Path, parts: StandIns) -> None:
    """Write the state of all stand-ins."""
    project = parts.foundry.project
    state = {
        **_project(project),
        "projects": {name: _project(other.project) for name, other in parts.foundry.others.items()},
        "provisioning": asdict(project.provisioning),
        "repositories": {name: _repository(repository) for name, repository in parts.registry.repositories.items()},
        "secrets": _secrets(parts.vault.secrets),
        "vaults": {name: _secrets(secrets) for name, secrets in parts.vault.others.items()},
        "telemetry": list(parts.telemetry.items),
    }
    write_private(folder / FILE, json.dumps(state).encode())


def take(folder: Path) -> Json | None:
    """Return the saved state, once; None if the last stack kept none, or did not stop by itself."""
    file = folder / FILE
    if not file.exists():
        return None
    state: Json = json.loads(file.read_bytes())
    file.unlink()
    return state


async def restore(state: Mapping[str, Any], parts: StandIns) -> None:
    """Give the stand-ins the saved state; a version that had not started yet starts now."""
    project = parts.foundry.project
    project.provisioning = Provisioning(**state["provisioning"])
    _restore_project(state, project)
    for name, saved in state.get("projects", {}).items():
        _restore_project(saved, parts.foundry.other(name).project)
    parts.registry.repositories |= {name: _read_repository(saved) for name, saved in state["repositories"].items()}
    for vault, secrets in {"": state["secrets"], **state.get("vaults", {})}.items():
        for name, versions in secrets.items():
            parts.vault.secrets_in(vault)[name] = [SecretVersion(**version) for version in versions]
    parts.telemetry.items.extend(state["telemetry"])
    parts.telemetry.received = len(state["telemetry"])
    await parts.foundry.restart_agents()


def _project(project: Project) -> Json:
    agents = {name: _agent(agent) for name, agent in project.agents.items()}
    return {"agents": agents, "toolboxes": project.toolboxes}


def _restore_project(saved: Mapping[str, Any], project: Project) -> None:
    now = project.clock()
    project.agents |= {name: _read_agent(agent, now) for name, agent in saved["agents"].items()}
    project.toolboxes |= saved["toolboxes"]


def _agent(agent: AgentState) -> Json:
    versions = {number: vars(version) | {"agent": None} for number, version in agent.versions.items()}
    return vars(agent) | {"versions": versions, "deleted_sessions": sorted(agent.deleted_sessions)}


def _read_agent(saved: Json, now: float) -> AgentState:
    versions = {number: VersionState(**version) for number, version in saved["versions"].items()}
    for version in versions.values():
        version.ready_at = now if math.isinf(version.ready_at) else version.ready_at
    return AgentState(**saved | {"versions": versions, "deleted_sessions": set(saved["deleted_sessions"])})


def _secrets(secrets: Mapping[str, list[SecretVersion]]) -> Json:
    return {name: [asdict(version) for version in versions] for name, versions in secrets.items()}


def _repository(repository: Repository) -> Json:
    blobs = {digest: b64encode(blob).decode() for digest, blob in repository.blobs.items()}
    manifests = {digest: (kind, b64encode(data).decode()) for digest, (kind, data) in repository.manifests.items()}
    return vars(repository) | {"blobs": blobs, "manifests": manifests}


def _read_repository(saved: Json) -> Repository:
    blobs = {digest: b64decode(blob) for digest, blob in saved["blobs"].items()}
    manifests = {digest: (kind, b64decode(data)) for digest, (kind, data) in saved["manifests"].items()}
    return Repository(**saved | {"blobs": blobs, "manifests": manifests})
