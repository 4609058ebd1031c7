"""The only reader of the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from handlers.settings_validation import YES, find_mistakes

APP_ROOT = Path(__file__).resolve().parent.parent


class ConfigError(Exception):
    """CONFIG_INVALID: a setting or agents.yaml is wrong; the text lists every mistake and what to write instead.

    Event functions let it out, so that events are kept by retry, dead letter or poison queue until it is mended.
    """

    code = "CONFIG_INVALID"


def _setting(name: str, meaning: str, default: str | None = None) -> str:
    """A field that is read from the setting of this name; without a default it is required."""
    return field(metadata={"name": name, "meaning": meaning, "default": default})  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, checked; the README's table is made of it."""

    foundry_project_endpoint: str = _setting(
        "FOUNDRY_PROJECT_ENDPOINT", "`https://<resource>.services.ai.azure.com/api/projects/<project>`"
    )
    key_vault_url: str = _setting("KEY_VAULT_URL", "`https://<vault>.vault.azure.net`")
    registry_name: str = _setting("REGISTRY_NAME", "the registry's resource name; events of any other are not for us")
    registry_login_server: str = _setting(
        "REGISTRY_LOGIN_SERVER", "where images are pulled from", "`<REGISTRY_NAME>.azurecr.io`"
    )
    registry_endpoint: str = _setting(
        "REGISTRY_ENDPOINT", "where its manifests are read", "`https://<REGISTRY_LOGIN_SERVER>`"
    )
    agents_file: str = _setting("AGENTS_FILE", "the agent rules, relative to the app", "agents.yaml")
    storage: str = _setting(
        "AzureWebJobsStorage", "a connection string; not with identity (the two below)", "the two below"
    )
    blob_uri: str = _setting("AzureWebJobsStorage__blobServiceUri", "the storage account's blob address", "")
    queue_uri: str = _setting("AzureWebJobsStorage__queueServiceUri", "the storage account's queue address", "")
    client_id: str = _setting("AZURE_CLIENT_ID", "the user-assigned identity's client id", "")
    token_credentials: str = _setting(
        "AZURE_TOKEN_CREDENTIALS", "`ManagedIdentityCredential` in Azure, `AzureCliCredential` at home"
    )
    prune_schedule: str = _setting("PRUNE_SCHEDULE", "NCRONTAB, UTC: when stale versions go")
    resume_schedule: str = _setting("RESUME_SCHEDULE", "NCRONTAB, UTC: when what was missed is taken up")
    prune_dry_run: bool = _setting("PRUNE_DRY_RUN", "`true`: plan and tell, delete nothing", "false")  # type: ignore[assignment]
    outcome_topic_endpoint: str = _setting("OUTCOME_TOPIC_ENDPOINT", "an Event Grid topic that is told outcomes", "")
    poll_seconds: float = _setting("POLL_SECONDS", "seconds between looks at a version, growing to 10", "2")  # type: ignore[assignment]
    foundry_reads_per_second: float = _setting(  # type: ignore[assignment]
        "FOUNDRY_READS_PER_SECOND",
        "looks at versions a second that an instance makes; where more wait, each looks less often",
        "5",
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read and check every setting; raises ConfigError that names all that is missing or wrong."""
        given = {name: value.strip() for name, value in env.items() if value.strip()}
        if "FOUNDRY_PROJECT_ENDPOINT" in given:
            given.pop("AZURE_AI_PROJECT_ENDPOINT", None)
        wrong = [*_missing(given), *find_mistakes(given)]
        if wrong:
            raise ConfigError("\n".join(wrong))
        given |= _implied(given)
        values = {one.name: given.get(one.metadata["name"], one.metadata["default"]) for one in fields(cls)}
        for address in ("foundry_project_endpoint", "key_vault_url"):
            values[address] = values[address].rstrip("/")
        values["registry_login_server"] = given.get(
            "REGISTRY_LOGIN_SERVER", f"{given['REGISTRY_NAME'].lower()}.azurecr.io"
        )
        values["registry_endpoint"] = given.get("REGISTRY_ENDPOINT", f"https://{values['registry_login_server']}")
        values["storage"] = given.get("AzureWebJobsStorage", "")
        return cls(
            **{
                **values,
                "prune_dry_run": values["prune_dry_run"].lower() in YES,
                "poll_seconds": float(values["poll_seconds"]),
                "foundry_reads_per_second": float(values["foundry_reads_per_second"]),
            }
        )


def _implied(given: Mapping[str, str]) -> dict[str, str]:
    """The seed document's name of the endpoint and the host's short form of an account, as our settings."""
    implied = {}
    if account := given.get("AzureWebJobsStorage__accountName"):
        implied["AzureWebJobsStorage__blobServiceUri"] = f"https://{account}.blob.core.windows.net"
        implied["AzureWebJobsStorage__queueServiceUri"] = f"https://{account}.queue.core.windows.net"
    if endpoint := given.get("AZURE_AI_PROJECT_ENDPOINT"):
        implied["FOUNDRY_PROJECT_ENDPOINT"] = endpoint
    return {name: value for name, value in implied.items() if name not in given}


def _missing(given: Mapping[str, str]) -> list[str]:
    known = {**given, **_implied(given)}
    required = [one.metadata["name"] for one in fields(Settings) if one.metadata["default"] is None]
    missing = [f"{name} is not set: {_meaning(name)}" for name in required if name not in known]
    uris = ("AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__queueServiceUri")
    if "AzureWebJobsStorage" not in known and not all(uri in known for uri in uris):
        missing.append(f"AzureWebJobsStorage is not set: give a connection string, or {' and '.join(uris)}")
    return missing


def _meaning(name: str) -> str:
    return next(str(one.metadata["meaning"]) for one in fields(Settings) if one.metadata["name"] == name)
