"""Settings: what they say, and that the README's table is true; wrong ones are in test_bad_settings.py."""

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


def test_what_is_not_said_has_its_default() -> None:
    settings = Settings.from_env(GIVEN)
    assert settings.registry_login_server == "demo.azurecr.io"
    assert settings.blob_uri == "https://account.blob.core.windows.net"
    assert (settings.poll_seconds, settings.prune_dry_run, settings.agents_file) == (2.0, False, "agents.yaml")


def test_the_seeds_name_of_the_endpoint_is_read_too() -> None:
    endpoint = "https://seed.services.ai.azure.com/api/projects/p"
    env = without("FOUNDRY_PROJECT_ENDPOINT", AZURE_AI_PROJECT_ENDPOINT=endpoint)
    assert Settings.from_env(env).foundry_project_endpoint == endpoint


def test_blanks_around_a_value_are_not_part_of_it_and_a_blank_is_none() -> None:
    settings = Settings.from_env({name: f" {value}\n" for name, value in GIVEN.items()} | {"POLL_SECONDS": "  "})
    assert settings == Settings.from_env(GIVEN)


def test_addresses_end_without_a_slash_as_the_clients_put_paths_behind_them() -> None:
    slashed = {name: f"{value}/" for name, value in GIVEN.items() if value.startswith("https")}
    assert Settings.from_env(GIVEN | slashed) == Settings.from_env(GIVEN)


def test_the_readme_has_every_setting_with_its_default_and_meaning() -> None:
    readme = (ROOT / "README.md").read_text()
    for one in fields(Settings):
        default = one.metadata["default"]
        shown = "required" if default is None else default
        if default and "`" not in default and default != "the two below":
            shown = f"`{default}`"
        assert f"| `{one.metadata['name']}` | {shown} | {one.metadata['meaning']} |" in readme


def test_a_rules_file_is_read_again_once_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    settings = Settings.from_env(GIVEN | {"AGENTS_FILE": str(path)})
    path.write_text("agents: {a: {repository: x}}")
    assert list(load_agents_file(settings).agents) == ["a"]
    path.write_text("agents: {a: {repository: x}, b: {repository: 'y:z'}}")
    with pytest.raises(ConfigError, match=r"agents\.b\.repository"):
        load_agents_file(settings)
