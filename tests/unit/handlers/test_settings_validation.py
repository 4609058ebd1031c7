"""Bad settings: each names itself and what to write instead, all at once, and no secret is in any sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from handlers.agents_file import load_agents_file
from handlers.settings import ConfigError, Settings
from handlers.settings_validation import CHECKS, CREDENTIALS

GIVEN = {
    "FOUNDRY_PROJECT_ENDPOINT": "https://r.services.ai.azure.com/api/projects/p",
    "KEY_VAULT_URL": "https://v.vault.azure.net",
    "REGISTRY_NAME": "Demo",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
    "PRUNE_SCHEDULE": "0 0 3 * * *",
    "RESUME_SCHEDULE": "0 */5 * * * *",
}
BLOB, QUEUE = "AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__queueServiceUri"
CANARY = "canary5kDz8w1Q=="
KEYED = f"DefaultEndpointsProtocol=https;AccountName=demo;AccountKey={CANARY};EndpointSuffix=core.windows.net"


def wrong(env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as found:
        Settings.from_env(env)
    return str(found.value).splitlines()


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("value", [None, "", "  \t"], ids=["missing", "empty", "blank"])
def test_a_setting_that_is_not_given_names_itself_and_what_it_is(name: str, value: str | None) -> None:
    env = {key: one for key, one in GIVEN.items() if key != name} | ({} if value is None else {name: value})
    (found,) = wrong(env)
    meaning = next((str(one.metadata["meaning"]) for one in fields(Settings) if one.metadata["name"] == name), "")
    assert found.startswith(f"{name} is not set: ")
    assert meaning in found or name == "AzureWebJobsStorage"


def test_half_of_the_storage_addresses_is_none() -> None:
    env = {key: one for key, one in GIVEN.items() if key != "AzureWebJobsStorage"}
    assert wrong(env | {BLOB: "https://a.blob.core.windows.net"}) == [
        f"AzureWebJobsStorage is not set: give a connection string, or {BLOB} and {QUEUE}"
    ]


def test_everything_that_is_missing_or_wrong_is_told_at_once() -> None:
    assert [line.split()[0] for line in wrong({})] == [
        "FOUNDRY_PROJECT_ENDPOINT",
        "KEY_VAULT_URL",
        "REGISTRY_NAME",
        "AZURE_TOKEN_CREDENTIALS",
        "PRUNE_SCHEDULE",
        "RESUME_SCHEDULE",
        "AzureWebJobsStorage",
    ]
    assert len(wrong(dict.fromkeys(CHECKS, "'"))) == len(CHECKS) - 1  # of the two names of the endpoint one counts


PROJECT = "such as https://<resource>.services.ai.azure.com/api/projects/<project>"
HTTPS = "must be an https address, such as https://"


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("FOUNDRY_PROJECT_ENDPOINT", "http://r.services.ai.azure.com/api/projects/p", f"https address, {PROJECT}"),
        ("FOUNDRY_PROJECT_ENDPOINT", "r.services.ai.azure.com/api/projects/p", HTTPS),
        (
            "FOUNDRY_PROJECT_ENDPOINT",
            "https://r.services.ai.azure.com",
            "must end in the project's name, as in https://",
        ),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r.services.ai.azure.com/api/projects/", "must end in the project's name"),
        (
            "FOUNDRY_PROJECT_ENDPOINT",
            "https://r.services.ai.azure.com/api/projects/p/agents",
            "must end in the project",
        ),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r.x/api/projects/p?api-version=v1", "is an address without ? or #"),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://[r/api/projects/p", HTTPS),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r:port/api/projects/p", HTTPS),
        ("FOUNDRY_PROJECT_ENDPOINT", "https:///api/projects/p", HTTPS),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r.x/api/projects/my project", HTTPS),
        ("KEY_VAULT_URL", "v.vault.azure.net", f"{HTTPS}<vault>.vault.azure.net; it is 'v.vault.azure.net'"),
        ("KEY_VAULT_URL", "http://v.vault.azure.net", HTTPS),
        ("KEY_VAULT_URL", "https://v.vault.azure.net/secrets/a", "is the address alone, such as https://<vault>.vault"),
        ("KEY_VAULT_URL", "https://v.vault.azure.net/secrets/a", "without '/secrets/a'"),
        ("KEY_VAULT_URL", "demo-vault", HTTPS),
        ("REGISTRY_NAME", "demo.azurecr.io", "is the registry's name alone: write demo"),
        ("REGISTRY_NAME", "https://demo.azurecr.io", "is the registry's name alone: write demo"),
        ("REGISTRY_NAME", "my-registry", "has letters and digits only, as the registry's resource name; it is 'my-reg"),
        ("REGISTRY_NAME", "my-registry.azurecr.io", "has letters and digits only"),
        ("REGISTRY_NAME", "127.0.0.1:5000", "has letters and digits only"),
        (
            "REGISTRY_LOGIN_SERVER",
            "https://demo.azurecr.io",
            "is a host name without scheme or path, such as demo.azur",
        ),
        ("REGISTRY_LOGIN_SERVER", "demo.azurecr.io/agents", "is a host name without scheme or path"),
        ("REGISTRY_LOGIN_SERVER", "demo azurecr io", "is a host name"),
        ("AzureWebJobsStorage", "https://a.blob.core.windows.net", f"an address belongs into {BLOB}"),
        ("AzureWebJobsStorage", "none", "is no whole connection string: without AccountName and AccountKey and a = in"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=false", "without AccountName and AccountKey"),
        ("AzureWebJobsStorage", KEYED.replace("AccountName=demo;", ""), "string: without AccountName; copy it anew"),
        ("AzureWebJobsStorage", KEYED.replace("AccountName=demo;", "AccountName=;"), "without AccountName; copy"),
        ("AzureWebJobsStorage", f"AccountName=demo;AccountKy={CANARY}", "without AccountKey; copy it anew"),
        (
            "AzureWebJobsStorage",
            f"AccountName=demo;AccountKey={CANARY};{CANARY.strip('=')}",
            "without a = in every part",
        ),
        (BLOB, "http://a.blob.core.windows.net", f"{HTTPS}<account>.blob.core.windows.net"),
        (QUEUE, "a.queue.core.windows.net", f"{HTTPS}<account>.queue.core.windows.net"),
        ("AzureWebJobsStorage__accountName", "a.blob.core.windows.net", "is a storage account's name alone, 3 to 24"),
        ("AZURE_TOKEN_CREDENTIALS", "ManagedIdentity", "did you mean ManagedIdentityCredential?"),
        ("AZURE_TOKEN_CREDENTIALS", "azure-cli", "did you mean AzureCliCredential?"),
        ("AZURE_TOKEN_CREDENTIALS", "none", "is no credential that azure-identity knows; it takes dev, prod, Environ"),
        ("PRUNE_SCHEDULE", "0 3 * * *", "has 5 fields; NCRONTAB has 6, seconds first: write '0 0 3 * * *'"),
        ("RESUME_SCHEDULE", "*/5 * * * *", "has 5 fields; NCRONTAB has 6, seconds first: write '0 */5 * * * *'"),
        ("RESUME_SCHEDULE", "@daily", "is no NCRONTAB schedule of 6 fields: second minute hour day month weekday"),
        ("RESUME_SCHEDULE", "0 0 0 ? * 1", "is no NCRONTAB schedule of 6 fields"),
        ("PRUNE_DRY_RUN", "maybe", "is true or false; it is 'maybe'"),
        (
            "OUTCOME_TOPIC_ENDPOINT",
            "ftp://x",
            f"{HTTPS}<topic>.<region>.eventgrid.azure.net/api/events; it is 'ftp://x'",
        ),
        *[
            ("POLL_SECONDS", value, "is a number of seconds from 0.05 to 10")
            for value in ("abc", "0", "-1", "nan", "inf")
        ],
        ("POLL_SECONDS", "2s", "is a number of seconds from 0.05 to 10; it is '2s'"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(name: str, value: str, what: str) -> None:
    (found,) = wrong(GIVEN | {name: value})
    assert found.startswith(f"{name} ")
    assert what in found
    assert CANARY.strip("=") not in found


def test_the_seeds_name_of_the_endpoint_is_the_one_that_is_named_where_it_is_used() -> None:
    seed = {"AZURE_AI_PROJECT_ENDPOINT": "https://r.services.ai.azure.com"}
    (found,) = wrong({key: one for key, one in GIVEN.items() if key != "FOUNDRY_PROJECT_ENDPOINT"} | seed)
    assert found.startswith("AZURE_AI_PROJECT_ENDPOINT must end in the project's name")
    assert Settings.from_env(GIVEN | seed) == Settings.from_env(GIVEN)


@pytest.mark.parametrize("quotes", ["''", '""', "``", "\u201c\u201d", "' "])
@pytest.mark.parametrize("name", CHECKS)
def test_quotes_that_were_pasted_with_a_value_are_told(name: str, quotes: str) -> None:
    env = {key: one for key, one in GIVEN.items() if key != "FOUNDRY_PROJECT_ENDPOINT" or "PROJECT" not in name}
    (found,) = wrong(env | {name: f"{quotes[0]}https://x/{CANARY}{quotes[1]}"})
    assert found == f"{name} is in quotes; write it without them"


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in ("AGENTS_FILE", "AZURE_CLIENT_ID")])
@pytest.mark.parametrize(
    "value",
    [
        f"https://a.blob.core.windows.net?sig={CANARY}",
        f"https://{CANARY.strip('=')}@a.blob.core.windows.net",
        KEYED.replace("Name=demo", "="),
        CANARY,
    ],
    ids=["a signature", "a password", "a connection string", "a key"],
)
def test_a_secret_in_the_wrong_setting_is_not_shown(name: str, value: str) -> None:
    env = {key: one for key, one in GIVEN.items() if key != "FOUNDRY_PROJECT_ENDPOINT" or "PROJECT" not in name}
    assert CANARY.strip("=") not in "\n".join(wrong(env | {name: value}))


@pytest.mark.parametrize(
    "storage",
    [
        KEYED,
        f"{KEYED};",
        "UseDevelopmentStorage=true",
        "BlobEndpoint=https://b;QueueEndpoint=https://q;SharedAccessSignature=sv=1&sig=2",
        "AccountName=demo;SharedAccessSignature=sv=1&sig=2",
    ],
)
def test_connection_strings_that_the_clients_take_are_taken(storage: str) -> None:
    assert Settings.from_env(GIVEN | {"AzureWebJobsStorage": storage}).storage == storage


def test_every_setting_is_checked() -> None:
    assert {one.metadata["name"] for one in fields(Settings)} <= set(CHECKS)


def test_the_credentials_are_those_that_azure_identity_takes() -> None:
    script = "from azure.identity.aio import DefaultAzureCredential; DefaultAzureCredential()"
    env = {"AZURE_TOKEN_CREDENTIALS": "none"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=env)
    told = done.stderr.strip().removesuffix(".").partition("Valid values are: ")[2]
    assert sorted(told.split(", ")) == sorted(name.lower() for name in CREDENTIALS)


def test_a_rules_file_that_is_none_or_missing_says_so(tmp_path: Path) -> None:
    told = {tmp_path: "is not a file; name the file itself", tmp_path / "none.yaml": "cannot be read: No such file"}
    for path, what in told.items():
        with pytest.raises(ConfigError, match=f"^AGENTS_FILE: {path} {what}"):
            load_agents_file(Settings.from_env(GIVEN | {"AGENTS_FILE": str(path)}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_rules_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.touch(mode=0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_agents_file(Settings.from_env(GIVEN | {"AGENTS_FILE": str(path)}))
