"""Where things listen on a laptop, and the settings with which the app finds them."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.arm import CLIENT
from local.managed_identity import HEADER

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
}
"""Where a person finds things; 127.0.0.1 only."""


def taken(ports: Mapping[str, int]) -> dict[str, int]:
    """The ports that somebody listens on already."""

    def answers(port: int) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", port)) == 0

    return {name: port for name, port in ports.items() if answers(port)}


def environment(endpoints: dict[str, Any], agents: Path) -> dict[str, str]:
    """What a process needs to run against all this, and nothing that only a laptop would read."""
    at = endpoints
    return {
        "FOUNDRY_PROJECT_ENDPOINT": f"{at['foundry']}/api/projects/demo",
        "KEY_VAULT_URL": at["vault"],
        "REGISTRY_NAME": "demo",
        "REGISTRY_LOGIN_SERVER": "demo.azurecr.io",
        "REGISTRY_ENDPOINT": at["registry_tls"],
        "AGENTS_FILE": str(agents.resolve()),
        "AzureWebJobsStorage__blobServiceUri": at["blob"],
        "AzureWebJobsStorage__queueServiceUri": at["queue"],
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "AZURE_CLIENT_ID": CLIENT,
        "IDENTITY_ENDPOINT": f"{at['identity']}/msi/token",
        "IDENTITY_HEADER": HEADER,
        "PRUNE_SCHEDULE": "0 0 3 * * *",
        "RESUME_SCHEDULE": "0 */5 * * * *",
        "POLL_SECONDS": "0.5",
        "ARM_ENDPOINT": at["arm"],
        "OUTCOME_TOPIC_ENDPOINT": f"{at['eventgrid_tls']}/api/events",
        "SSL_CERT_FILE": at["ca"],
        "REQUESTS_CA_BUNDLE": at["ca"],
        **_telemetry(at["telemetry"]),
    }


def _telemetry(url: str) -> dict[str, str]:
    """Everything on, and nothing that would leave the machine."""
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={uuid.UUID(int=1)};IngestionEndpoint={url}",
        "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true",
        "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME": "slipway",
        "OTEL_SERVICE_NAME": "slipway",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel",
    }


def secret_names(agents: Path) -> list[str]:
    """Every ``{secret: name}`` of the file: the local vault makes a value up for each."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("secret"), str):
                found.add(value["secret"])
            for one in value.values():
                walk(one)

    walk(yaml.safe_load(agents.read_text()))
    return sorted(found)
