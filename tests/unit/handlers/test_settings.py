"""Settings, their defaults, and the README's table of them; test_settings_validation.py has the wrong ones."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from handlers.agents_file import load_agents_file
from handlers.settings import ConfigError, Settings

ROOT = Path(__file__).resolve().parents[3]
GIVEN = {
    "FOUNDRY_PROJECT_ENDPOINT": "https://r.services.ai.azure.com/api/projects/p",
    "KEY_VAULT_URL": "https://v.vault.azure.net",
    "REGISTRY_NAME": "Demo",
    "AzureWebJobsStorage__accountName": "account",
    "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    "PRUNE_SCHEDULE": "0 0 3 * * *",
    "RESUME_SCHEDULE": "0 */5 * * * *",
}


def without(*names: str, **more: str) -> dict[str, str]:
    return {key: value for key, value in GIVEN.items() if key not in names} | more


def test_settings_have_defaults() -> None:
    settings = Settings.from_env(GIVEN)
    assert settings.registry_login_server == "demo.azurecr.io"
    assert settings.blob_uri == "https://account.blob.core.windows.net"
    assert (settings.poll_seconds, settings.prune_dry_run, settings.agents_file) == (2.0, False, "agents.yaml")


def test_the_seeds_name_of_the_endpoint_is_accepted() -> None:
    endpoint = "https://seed.services.ai.azure.com/api/projects/p"
    env = without("FOUNDRY_PROJECT_ENDPOINT", AZURE_AI_PROJECT_ENDPOINT=endpoint)
    assert Settings.from_env(env).foundry_project_endpoint == endpoint


def test_blanks_around_a_value_are_ignored_and_a_blank_value_counts_as_missing() -> None:
    ends = {"PRUNE_SCHEDULE": " ", "RESUME_SCHEDULE": " "}  # the Functions host rejects a line break there
    blanks = {name: f" {value}{ends.get(name, chr(10))}" for name, value in GIVEN.items()}
    assert Settings.from_env(blanks | {"POLL_SECONDS": "  "}) == Settings.from_env(GIVEN)


def test_addresses_lose_their_last_slash_because_clients_append_paths() -> None:
    addresses = {
        **{name: value for name, value in GIVEN.items() if value.startswith("https")},
        "REGISTRY_ENDPOINT": "https://demo.azurecr.io",
        "AzureWebJobsStorage__blobServiceUri": "https://account.blob.core.windows.net",
        "AzureWebJobsStorage__queueServiceUri": "https://account.queue.core.windows.net",
        "OUTCOME_TOPIC_ENDPOINT": "https://t.westeurope-1.eventgrid.azure.net/api/events",
    }
    slashed = {name: f"{value}/" for name, value in addresses.items()}
    assert Settings.from_env(GIVEN | slashed) == Settings.from_env(GIVEN | addresses)


def test_the_readme_lists_every_setting_with_its_default_and_meaning() -> None:
    readme = (ROOT / "README.md").read_text()
    for setting in fields(Settings):
        default = setting.metadata["default"]
        shown = "required" if default is None else default
        if default and "`" not in default and default != "the next two":
            shown = f"`{default}`"
        assert f"| `{setting.metadata['name']}` | {shown} | {setting.metadata['meaning']} |" in readme


def test_the_agents_file_is_read_again_after_a_change(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    settings = Settings.from_env(GIVEN | {"AGENTS_FILE": str(path)})
    path.write_text("agents: {a: {repository: x}}")
    assert list(load_agents_file(settings).agents) == ["a"]
    path.write_text("agents: {a: {repository: x}, b: {repository: 'y:z'}}")
    with pytest.raises(ConfigError, match=r"agents\.b\.repository"):
        load_agents_file(settings)
