"""The only reader of the environment.

Settings are a dataclass, not a pydantic model: the checks also serve the preflight hook, which has only some of the
settings, and each of their messages is a sentence that names the setting and what to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from handlers.settings_validation import SCHEDULES, TRUE, find_mistakes

APP_ROOT = Path(__file__).resolve().parent.parent
STORAGE_URIS = ("AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__queueServiceUri")
ADDRESSES = (
    *("foundry_project_endpoint", "key_vault_url", "registry_endpoint", "blob_uri", "queue_uri"),
    *("outcome_topic_endpoint", "github_endpoint"),
)
"""The clients append paths to these."""


class ConfigError(Exception):
    """CONFIG_INVALID: a setting or agents.yaml is wrong; the text lists every mistake and what to write instead.

    Event functions raise it, so that retries, the dead letter or the poison queue keep events until it is corrected.
    """

    code = "CONFIG_INVALID"


def _setting(name: str, meaning: str, default: str | None = None) -> Any:
    """A field for the setting of this name; without a default the setting is required."""
    return field(metadata={"name": name, "meaning": meaning, "default": default})


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings; the README's table has a row for each."""

    foundry_project_endpoint: str = _setting(
        "FOUNDRY_PROJECT_ENDPOINT", "`https://<resource>.services.ai.azure.com/api/projects/<project>`"
    )
    key_vault_url: str = _setting("KEY_VAULT_URL", "`https://<vault>.vault.azure.net`")
    key_vault_host: str = _setting(
        "KEY_VAULT_HOST",
        "Vault's host in events of secrets; those of other vaults are ignored",
        "that of `KEY_VAULT_URL`",
    )
    key_vault_id: str = _setting(
        "KEY_VAULT_ID", "Vault's resource id; events of secrets with another topic are ignored", ""
    )
    registry_name: str = _setting("REGISTRY_NAME", "Registry's resource name; events from other registries are ignored")
    registry_id: str = _setting(
        "REGISTRY_ID", "Registry's resource id; events of a registry of this name elsewhere are ignored", ""
    )
    registry_login_server: str = _setting(
        "REGISTRY_LOGIN_SERVER", "Host that images are pulled from", "`<REGISTRY_NAME>.azurecr.io`"
    )
    registry_endpoint: str = _setting(
        "REGISTRY_ENDPOINT", "Address that manifests are read from", "`https://<REGISTRY_LOGIN_SERVER>`"
    )
    agents_file: str = _setting("AGENTS_FILE", "Path of agents.yaml, relative to the app", "agents.yaml")
    storage: str = _setting(
        "AzureWebJobsStorage", "Connection string; with an identity set the next two instead", "the next two"
    )
    blob_uri: str = _setting(STORAGE_URIS[0], "Blob address of the storage account", "")
    queue_uri: str = _setting(STORAGE_URIS[1], "Queue address of the storage account", "")
    client_id: str = _setting("AZURE_CLIENT_ID", "Client id of the user-assigned identity", "")
    token_credentials: str = _setting(
        "AZURE_TOKEN_CREDENTIALS", "`ManagedIdentityCredential` in Azure, `AzureCliCredential` on a laptop"
    )
    prune_schedule: str = _setting("PRUNE_SCHEDULE", "When stale versions are deleted: NCRONTAB, UTC")
    resume_schedule: str = _setting(
        "RESUME_SCHEDULE", "When interrupted releases resume and missed pushes are found: NCRONTAB, UTC"
    )
    prune_dry_run: bool = _setting("PRUNE_DRY_RUN", "`true`: only report what pruning would delete", "false")
    outcome_topic_endpoint: str = _setting("OUTCOME_TOPIC_ENDPOINT", "Event Grid topic that gets outcomes", "")
    github_endpoint: str = _setting(
        "GITHUB_ENDPOINT", "Address of GitHub's REST API, if it is another than that of agents.yaml", "`github.api`"
    )
    poll_seconds: float = _setting(
        "POLL_SECONDS", "Seconds between two reads of a version that is being prepared, growing to 10", "2"
    )
    foundry_reads_per_second: float = _setting(
        "FOUNDRY_READS_PER_SECOND",
        "Maximum reads of versions per second and project; with more releases each version is read less often",
        "5",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read and check every setting; raises ConfigError that lists all that is missing or wrong."""
        given = {name: _strip(name, value) for name, value in env.items() if value.strip()}
        if "FOUNDRY_PROJECT_ENDPOINT" in given:
            given.pop("AZURE_AI_PROJECT_ENDPOINT", None)
        given_or_implied = _implied(given) | given
        if mistakes := [*_missing(given_or_implied), *find_mistakes(given)] or _contradictions(given):
            raise ConfigError("\n".join(mistakes))
        server = given.get("REGISTRY_LOGIN_SERVER", f"{given['REGISTRY_NAME']}.azurecr.io").lower()
        derived = {"REGISTRY_ENDPOINT": f"https://{server}", "AzureWebJobsStorage": "", "GITHUB_ENDPOINT": ""}
        known = derived | given_or_implied | {"REGISTRY_LOGIN_SERVER": server, "KEY_VAULT_HOST": _vault_host(given)}
        values: dict[str, Any] = {
            setting.name: known.get(setting.metadata["name"], setting.metadata["default"]) for setting in fields(cls)
        }
        for address in ADDRESSES:
            values[address] = values[address].rstrip("/")
        for number in ("poll_seconds", "foundry_reads_per_second"):
            values[number] = float(values[number])
        return cls(**{**values, "prune_dry_run": values["prune_dry_run"].lower() in TRUE})


def _strip(name: str, value: str) -> str:
    """The value without blanks around it; in a schedule the Functions host, which reads it too, ignores only spaces."""
    return value.strip(" ") if name in SCHEDULES else value.strip()


def _vault_host(given: Mapping[str, str]) -> str:
    """The host that events name; unknown, and then empty, where the vault's address is that of a stand-in or proxy."""
    host = urlsplit(given["KEY_VAULT_URL"]).hostname or ""
    return given.get("KEY_VAULT_HOST", host if ".vault." in host else "").lower()


def _contradictions(given: Mapping[str, str]) -> list[str]:
    """A sentence for each id of another resource than the one that is used: its events would all be ignored."""
    used = {"REGISTRY": given["REGISTRY_NAME"], "KEY_VAULT": _vault_host(given).partition(".")[0]}
    ids = {name: given.get(f"{name}_ID", "").rstrip("/").rpartition("/")[2] for name in used}
    return [
        f"{name}_ID names {ids[name]!r}, but the app uses {in_use!r}; azd provision sets it"
        for name, in_use in used.items()
        if in_use and ids[name] and ids[name].lower() != in_use.lower()
    ]


def _implied(given: Mapping[str, str]) -> dict[str, str]:
    """Our settings from the seed's name of the endpoint, and from the host's short form of a storage account."""
    implied: dict[str, str] = {}
    if account := given.get("AzureWebJobsStorage__accountName"):
        hosts = (f"https://{account}.{service}.core.windows.net" for service in ("blob", "queue"))
        implied |= dict(zip(STORAGE_URIS, hosts, strict=True))
    if endpoint := given.get("AZURE_AI_PROJECT_ENDPOINT"):
        implied["FOUNDRY_PROJECT_ENDPOINT"] = endpoint
    return implied


def _missing(known: Mapping[str, str]) -> list[str]:
    required = [setting.metadata for setting in fields(Settings) if setting.metadata["default"] is None]
    missing = [f"{each['name']} is not set: {each['meaning']}" for each in required if each["name"] not in known]
    if "AzureWebJobsStorage" not in known and not all(uri in known for uri in STORAGE_URIS):
        missing.append(f"AzureWebJobsStorage is not set: give a connection string, or {' and '.join(STORAGE_URIS)}")
    return missing
