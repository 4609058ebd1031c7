"""Ports of the stand-ins, and the settings that point the app at them."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.agents_file.loader import AgentsFileError, load_agents
from core.agents_file.spec import Agents, SecretRef
from local.arm import CLIENT
from local.managed_identity import PERSON_HEADER

ROOT = Path(__file__).resolve().parent.parent
PORTS = {
    "registry": 5000,
    "registry_tls": 5443,
    "functions": 7071,
    "blob": 10000,
    "queue": 10001,
    "foundry": 7443,
    "vault": 8443,
    "identity": 8181,
    "telemetry": 8182,
    "eventgrid": 8183,
    "eventgrid_tls": 8184,
    "arm": 8185,
    "github": 8186,
}
"""The documented ports, on 127.0.0.1 only."""


def ports_in_use(ports: Mapping[str, int]) -> dict[str, int]:
    """Return the ports that another process listens on."""

    def in_use(port: int) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    return {name: port for name, port in ports.items() if in_use(port)}


def repositories(agents: Path) -> list[str]:
    """Return the repositories of an agents.yaml, each once, in the order of the file."""
    return list(dict.fromkeys(spec.repository for spec in _load(agents).agents.values()))


def repository_of(agents: Path, agent: str) -> str:
    """Return the repository that an agent or a target follows; empty where agents.yaml cannot be read or lacks it."""
    try:
        specs = _load(agents).agents.values()
    except (AgentsFileError, OSError):
        return ""
    return next((spec.repository for spec in specs if agent in (spec.name, spec.agent)), "")


def _load(file: Path) -> Agents:
    return load_agents(file.read_bytes(), lambda name: (file.parent / name).read_bytes())


PROJECT = "demo"
"""The Foundry project of the local stack."""


def environment(endpoints: dict[str, Any], agents: Path) -> dict[str, str]:
    """Return the settings of the app and of commands; all exist in Azure too. They sign in a person, the app itself."""
    return {
        "FOUNDRY_PROJECT_ENDPOINT": f"{endpoints['foundry']}/api/projects/{PROJECT}",
        "KEY_VAULT_URL": endpoints["vault"],
        "KEY_VAULT_HOST": "demo-vault.vault.azure.net",
        # neither REGISTRY_ID nor KEY_VAULT_ID: an event that a person writes by hand may name any subscription
        "REGISTRY_NAME": "demo",
        "REGISTRY_LOGIN_SERVER": "demo.azurecr.io",
        "REGISTRY_ENDPOINT": endpoints["registry_tls"],
        "AGENTS_FILE": str(agents.resolve()),
        "AzureWebJobsStorage__blobServiceUri": endpoints["blob"],
        "AzureWebJobsStorage__queueServiceUri": endpoints["queue"],
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "AZURE_CLIENT_ID": CLIENT,
        "IDENTITY_ENDPOINT": f"{endpoints['identity']}/msi/token",
        "IDENTITY_HEADER": PERSON_HEADER,
        "PRUNE_SCHEDULE": "0 0 3 * * *",
        "RESUME_SCHEDULE": "0 */5 * * * *",
        "POLL_SECONDS": "0.5",
        "ARM_ENDPOINT": endpoints["arm"],
        "OUTCOME_TOPIC_ENDPOINT": f"{endpoints['eventgrid_tls']}/api/events",
        "GITHUB_ENDPOINT": endpoints["github"],
        "SSL_CERT_FILE": endpoints["ca"],
        "REQUESTS_CA_BUNDLE": endpoints["ca"],
        **_telemetry(endpoints["telemetry"]),
    }


def _telemetry(url: str) -> dict[str, str]:
    """Return settings that send all telemetry to the stand-in, and nothing off the machine."""
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={uuid.UUID(int=1)};IngestionEndpoint={url};"
        f"LiveEndpoint={url}",
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
        "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "slipway",
        "OTEL_SERVICE_NAME": "slipway",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "azure_sdk,django,fastapi,flask,httpx,httpx2,psycopg2,requests,"
        "urllib,urllib3",
        "AZURE_SDK_TRACING_IMPLEMENTATION": "opentelemetry",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel",
    }


def secret_names(agents: Path) -> list[tuple[str, str]]:
    """Return every ``{secret: name}`` of an agents file, each with its vault; raise AgentsFileError if it is wrong.

    The vault is a name below the stand-in's ``/vaults/``, or empty for that of the settings.
    """
    loaded = _load(agents)
    return sorted(
        {
            (loaded.vault_of(spec.name).partition("/vaults/")[2], value.secret)
            for spec in loaded.agents.values()
            for value in spec.env.values()
            if isinstance(value, SecretRef)
        }
    )


def more_projects(agents: Path) -> tuple[list[str], list[str]]:
    """Return the projects of an agents file by their names in Foundry, and its vaults by those below ``/vaults/``."""
    loaded = _load(agents)
    projects = [endpoint.rpartition("/")[2] for endpoint in loaded.projects.values()]
    return projects, sorted({vault.partition("/vaults/")[2] for vault in loaded.vaults.values()} - {""})


def app_key_name(agents: Path) -> str:
    """Return the name of the secret with the key of the GitHub App; empty where an agents file has no ``github``."""
    github = _load(agents).github
    return github.private_key if github else ""
