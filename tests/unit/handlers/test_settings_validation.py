"""Wrong settings: one error lists them all, each with what to write instead, and shows no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.agents_file import load_agents_file
from handlers.gateways.storage.account import StorageAccount
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


def mistakes(env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as found:
        Settings.from_env(env)
    return str(found.value).splitlines()


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("value", [None, "", "  \t"], ids=["missing", "empty", "blank"])
def test_a_missing_setting_is_named_with_its_meaning(name: str, value: str | None) -> None:
    env = {key: each for key, each in GIVEN.items() if key != name} | ({} if value is None else {name: value})
    (found,) = mistakes(env)
    meaning = next(
        (str(setting.metadata["meaning"]) for setting in fields(Settings) if setting.metadata["name"] == name), ""
    )
    assert found.startswith(f"{name} is not set: ")
    assert meaning in found or name == "AzureWebJobsStorage"


def test_one_of_the_two_storage_addresses_is_not_enough() -> None:
    env = {key: each for key, each in GIVEN.items() if key != "AzureWebJobsStorage"}
    assert mistakes(env | {BLOB: "https://a.blob.core.windows.net"}) == [
        f"AzureWebJobsStorage is not set: give a connection string, or {BLOB} and {QUEUE}"
    ]


def test_one_error_lists_all_mistakes() -> None:
    assert [line.split()[0] for line in mistakes({})] == [
        "FOUNDRY_PROJECT_ENDPOINT",
        "KEY_VAULT_URL",
        "REGISTRY_NAME",
        "AZURE_TOKEN_CREDENTIALS",
        "PRUNE_SCHEDULE",
        "RESUME_SCHEDULE",
        "AzureWebJobsStorage",
    ]
    assert len(mistakes(dict.fromkeys(CHECKS, "'"))) == len(CHECKS) - 1  # only one of the endpoint's two names counts


IDS = "/subscriptions/s/resourceGroups/g/providers"


@pytest.mark.parametrize(
    ("name", "value", "mistake"),
    [
        ("REGISTRY_ID", f"{IDS}/Microsoft.ContainerRegistry/registries/demo", ""),
        ("REGISTRY_ID", f"{IDS}/microsoft.containerregistry/Registries/DEMO/", ""),
        (
            "REGISTRY_ID",
            f"{IDS}/Microsoft.ContainerRegistry/registries/other",
            "names 'other', but the app uses 'Demo'",
        ),
        ("REGISTRY_ID", "demo", "must be a resource id, such as /subscriptions/"),
        ("REGISTRY_ID", f"{IDS}/Microsoft.KeyVault/vaults/demo", "must be a resource id"),
        ("REGISTRY_ID", f"{IDS}/Microsoft.ContainerRegistry/registries/demo/replications/x", "must be a resource id"),
        ("KEY_VAULT_ID", f"{IDS}/Microsoft.KeyVault/vaults/V", ""),
        ("KEY_VAULT_ID", f"{IDS}/Microsoft.KeyVault/vaults/w", "names 'w', but the app uses 'v'"),
        ("KEY_VAULT_ID", "https://v.vault.azure.net", "must be a resource id"),
    ],
)
def test_a_resource_id_is_that_of_the_resource_in_use(name: str, value: str, mistake: str) -> None:
    env = GIVEN | {name: value}
    if not mistake:
        assert getattr(Settings.from_env(env), name.lower()) == value
        return
    (found,) = mistakes(env)
    assert found.startswith(f"{name} {mistake}")


def test_the_id_of_a_vault_behind_a_proxy_is_not_compared_with_the_proxy() -> None:
    env = GIVEN | {"KEY_VAULT_URL": "https://proxy.corp", "KEY_VAULT_ID": f"{IDS}/Microsoft.KeyVault/vaults/w"}
    assert Settings.from_env(env).key_vault_host == ""


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
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r.x/api/projects/p?api-version=v1", "must be an address without ? or #"),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://[r/api/projects/p", HTTPS),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r:port/api/projects/p", HTTPS),
        ("FOUNDRY_PROJECT_ENDPOINT", "https:///api/projects/p", HTTPS),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r.x/api/projects/my project", HTTPS),
        ("KEY_VAULT_URL", "v.vault.azure.net", f"{HTTPS}<vault>.vault.azure.net; it is 'v.vault.azure.net'"),
        ("KEY_VAULT_URL", "http://v.vault.azure.net", HTTPS),
        ("KEY_VAULT_URL", "https://v.vault.azure.net/secrets/a", "must be only the address, such as https://<vault>.v"),
        ("KEY_VAULT_URL", "https://v.vault.azure.net/secrets/a", "without '/secrets/a'"),
        ("KEY_VAULT_URL", "demo-vault", HTTPS),
        ("REGISTRY_NAME", "demo.azurecr.io", "must be only the registry's name: write demo"),
        ("REGISTRY_NAME", "https://demo.azurecr.io", "must be only the registry's name: write demo"),
        (
            "REGISTRY_NAME",
            "my-registry",
            "must be the registry's resource name, letters and digits only; it is 'my-reg",
        ),
        ("REGISTRY_NAME", "my-registry.azurecr.io", "letters and digits only"),
        ("REGISTRY_NAME", "127.0.0.1:5000", "letters and digits only"),
        (
            "REGISTRY_LOGIN_SERVER",
            "https://demo.azurecr.io",
            "must be a host name without scheme or path, such as demo.azur",
        ),
        ("REGISTRY_LOGIN_SERVER", "demo.azurecr.io/agents", "must be a host name without scheme or path"),
        ("REGISTRY_LOGIN_SERVER", "demo azurecr io", "must be a host name"),
        ("AzureWebJobsStorage", "https://a.blob.core.windows.net", f"an address belongs in {BLOB}"),
        (
            "AzureWebJobsStorage",
            "none",
            "is not a complete connection string: without AccountName and AccountKey and a = in",
        ),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=false", "without AccountName and AccountKey"),
        ("AzureWebJobsStorage", KEYED.replace("AccountName=demo;", ""), "string: without AccountName; copy it again"),
        ("AzureWebJobsStorage", KEYED.replace("AccountName=demo;", "AccountName=;"), "without AccountName; copy"),
        ("AzureWebJobsStorage", f"AccountName=demo;AccountKy={CANARY}", "without AccountKey; copy it again"),
        (
            "AzureWebJobsStorage",
            f"AccountName=demo;AccountKey={CANARY};{CANARY.strip('=')}",
            "without a = in every part",
        ),
        (BLOB, "http://a.blob.core.windows.net", f"{HTTPS}<account>.blob.core.windows.net"),
        (QUEUE, "a.queue.core.windows.net", f"{HTTPS}<account>.queue.core.windows.net"),
        (
            "AzureWebJobsStorage__accountName",
            "a.blob.core.windows.net",
            "must be only a storage account's name, 3 to 24",
        ),
        ("AZURE_TOKEN_CREDENTIALS", "ManagedIdentity", "did you mean ManagedIdentityCredential?"),
        ("AZURE_TOKEN_CREDENTIALS", "azure-cli", "did you mean AzureCliCredential?"),
        ("AZURE_TOKEN_CREDENTIALS", "none", "is not a credential that azure-identity knows; it takes dev, prod"),
        ("PRUNE_SCHEDULE", "0 3 * * *", "has 5 fields; NCRONTAB has 6, seconds first: write '0 0 3 * * *'"),
        ("RESUME_SCHEDULE", "*/5 * * * *", "has 5 fields; NCRONTAB has 6, seconds first: write '0 */5 * * * *'"),
        ("RESUME_SCHEDULE", "@daily", "is not an NCRONTAB schedule of 6 fields: second minute hour day month weekday"),
        ("RESUME_SCHEDULE", "0 0 0 ? * 1", "is not an NCRONTAB schedule of 6 fields: '?' is not a valid day; write *"),
        ("RESUME_SCHEDULE", "0 0 25 * * *", "has the hour 25; write hours from 0 to 23"),
        ("PRUNE_SCHEDULE", "0 0 3 30 2 *", "never runs: February has no day 30; write days from 1 to 29"),
        ("PRUNE_SCHEDULE", "0 0 3 * * *\n", "has a tab or a line break, where Azure reads only spaces; write spaces"),
        ("PRUNE_SCHEDULE", f"0 0 3 * * {CANARY}", "is not an NCRONTAB schedule of 6 fields: second"),
        ("PRUNE_DRY_RUN", "maybe", "must be true or false; it is 'maybe'"),
        (
            "OUTCOME_TOPIC_ENDPOINT",
            "ftp://x",
            f"{HTTPS}<topic>.<region>.eventgrid.azure.net/api/events; it is 'ftp://x'",
        ),
        *[
            ("POLL_SECONDS", value, "must be a number of seconds from 0.05 to 10")
            for value in ("abc", "0", "-1", "nan", "inf")
        ],
        *[
            ("FOUNDRY_READS_PER_SECOND", value, "must be a number a second from 0.1 to 1000; it is ")
            for value in ("1_0", "\u0663", "0x10", "1e999", ".inf", "true", "1:30", "1,5", "9" * 90, "5 %")
        ],
        ("KEY_VAULT_URL", "https://<vault>.vault.azure.net", HTTPS),
        ("KEY_VAULT_URL", "https://.vault.azure.net", HTTPS),
        ("KEY_VAULT_URL", "https://v.vault.azure.cn", "names another service or another cloud; write an address such"),
        ("KEY_VAULT_URL", "https://v.managedhsm.azure.net", "names another service or another cloud"),
        ("FOUNDRY_PROJECT_ENDPOINT", "https://r.openai.azure.com/api/projects/p", "names another service"),
        (
            "FOUNDRY_PROJECT_ENDPOINT",
            "https://r.services.ai.azure.com/api/projects/<project>",
            "must end in the project's name",
        ),
        ("REGISTRY_LOGIN_SERVER", "demo.azurecr.cn", "names another service or another cloud; write a host such as"),
        ("REGISTRY_LOGIN_SERVER", "demo..azurecr.io", "must be a host name"),
        ("REGISTRY_LOGIN_SERVER", "demo.azurecr.io/", "must be a host name without scheme or path"),
        ("REGISTRY_LOGIN_SERVER", f"{'d' * 64}.azurecr.io", "must be a host name"),
        ("REGISTRY_LOGIN_SERVER", "demo.azurecr.io:99999", "must be a host name"),
        ("REGISTRY_LOGIN_SERVER", "demo.azurecr.io:0", "must be a host name"),
        ("KEY_VAULT_HOST", "https://v.vault.azure.net", "must be a host name without scheme or path"),
        (
            "KEY_VAULT_HOST",
            "v.vault.azure.cn",
            "names another service or another cloud; write a host such as demo.vault",
        ),
        ("REGISTRY_ENDPOINT", "http://demo.azurecr.io", HTTPS),
        ("REGISTRY_ENDPOINT", "https://demo.azurecr.us", "names another service or another cloud"),
        (BLOB, "https://a.queue.core.windows.net", "names another service or another cloud"),
        (BLOB, "https://a.blob.core.windows.net/releases", "must be only the address, such as https://<account>.blob"),
        (QUEUE, "https://a.queue.core.chinacloudapi.cn", "names another service or another cloud"),
        (
            "AzureWebJobsStorage",
            KEYED.replace("windows.net", "chinacloudapi.cn"),
            "the EndpointSuffix of another cloud",
        ),
        ("AzureWebJobsStorage", KEYED.replace("=https", "=http"), "write DefaultEndpointsProtocol=https"),
        ("AzureWebJobsStorage", KEYED.replace("==", "!"), "has an AccountKey that is not base64; copy it again"),
        (
            "AzureWebJobsStorage",
            f"{KEYED};BlobEndpoint=http://[x",
            "has a BlobEndpoint that is not an address; copy it",
        ),
        (
            "AzureWebJobsStorage",
            f"{KEYED};QueueEndpoint=q",
            "has a QueueEndpoint that is not an address; copy it again",
        ),
        ("AZURE_CLIENT_ID", "/subscriptions/s/identities/app", "must be the identity's client id, such as 0000"),
        (
            "OUTCOME_TOPIC_ENDPOINT",
            "https://t.westeurope-1.eventgrid.azure.net",
            "must end in /api/events, as in https",
        ),
        ("OUTCOME_TOPIC_ENDPOINT", "https://t.servicebus.windows.net/api/events", "names another service"),
        ("POLL_SECONDS", "2s", "must be a number of seconds from 0.05 to 10; it is '2s'"),
    ],
)
def test_a_wrong_setting_is_one_sentence_that_names_it(name: str, value: str, what: str) -> None:
    (found,) = mistakes(GIVEN | {name: value})
    assert found.startswith(f"{name} ")
    assert what in found
    assert CANARY.strip("=") not in found


def test_a_mistake_names_the_seeds_setting_where_that_is_used() -> None:
    seed = {"AZURE_AI_PROJECT_ENDPOINT": "https://r.services.ai.azure.com"}
    (found,) = mistakes({key: each for key, each in GIVEN.items() if key != "FOUNDRY_PROJECT_ENDPOINT"} | seed)
    assert found.startswith("AZURE_AI_PROJECT_ENDPOINT must end in the project's name")
    assert Settings.from_env(GIVEN | seed) == Settings.from_env(GIVEN)


@pytest.mark.parametrize("quotes", ["''", '""', "``", "\u201c\u201d", "' "])
@pytest.mark.parametrize("name", CHECKS)
def test_quotes_around_a_value_are_a_mistake(name: str, quotes: str) -> None:
    env = {key: each for key, each in GIVEN.items() if key != "FOUNDRY_PROJECT_ENDPOINT" or "PROJECT" not in name}
    (found,) = mistakes(env | {name: f"{quotes[0]}https://x/{CANARY}{quotes[1]}"})
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
    env = {key: each for key, each in GIVEN.items() if key != "FOUNDRY_PROJECT_ENDPOINT" or "PROJECT" not in name}
    assert CANARY.strip("=") not in "\n".join(mistakes(env | {name: value}))


@pytest.mark.parametrize(
    "storage",
    [
        KEYED,
        f"{KEYED};",
        "UseDevelopmentStorage=true",
        "BlobEndpoint=https://b;QueueEndpoint=https://q;SharedAccessSignature=sv=1&sig=2",
        "AccountName=demo;SharedAccessSignature=sv=1&sig=2",
        "DefaultEndpointsProtocol=http;AccountName=demo;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/demo",
    ],
)
def test_connection_strings_that_the_clients_accept_are_accepted(storage: str) -> None:
    assert Settings.from_env(GIVEN | {"AzureWebJobsStorage": storage}).storage == storage


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KEY_VAULT_URL", "https://127.0.0.1:8443"),
        ("KEY_VAULT_URL", "https://[::1]:8443"),
        ("KEY_VAULT_URL", "https://V.Vault.Azure.net"),
        ("REGISTRY_LOGIN_SERVER", "localhost:5000"),
        ("REGISTRY_LOGIN_SERVER", "demo-abc1.azurecr.io"),
        ("REGISTRY_ENDPOINT", "https://localhost:5443"),
        (BLOB, "https://127.0.0.1:10000/demo"),
        (BLOB, "https://a.z01.blob.storage.azure.net"),
        ("AZURE_CLIENT_ID", "00000000-0000-0000-0000-0000000000AA"),
        ("FOUNDRY_READS_PER_SECOND", "2.5e1"),
    ],
)
def test_addresses_of_azure_and_of_stand_ins_are_accepted(name: str, value: str) -> None:
    Settings.from_env(GIVEN | {name: value})


@settings(deadline=None)
@given(name=st.sampled_from(sorted(CHECKS)), value=st.text(min_size=1, max_size=40).filter(str.strip))
def test_any_text_is_accepted_or_refused_in_one_sentence(name: str, value: str) -> None:
    env = {key: each for key, each in GIVEN.items() if key != "FOUNDRY_PROJECT_ENDPOINT" or "PROJECT" not in name}
    named = [name]
    try:
        Settings.from_env(env | {name: value})
    except ConfigError as error:
        named = [line.split()[0] for line in str(error).splitlines()]
    assert named == [name]


PARTS = ("AccountName", "accountname", "AccountKey", "BlobEndpoint", "QueueEndpoint", "BlobSecondaryEndpoint")
OTHER_PARTS = ("SharedAccessSignature", "EndpointSuffix", "DefaultEndpointsProtocol", "TableEndpoint")
CONTENTS = ("demo", "", "a b", "https://b", "http://127.0.0.1:1/a", "https://[::1]:1/x", "ftp://x", "[", "a2V5", "sv=1",
            "sv=1&sig=a", "https", "core.windows.net", "https://a:99999", "?x", "https://b/?q", "demo.z01")  # fmt: skip


@settings(deadline=None)
@example([("BlobEndpoint", "https://b"), ("QueueEndpoint", "https://b"), ("SharedAccessSignature", "demo")])
@given(st.lists(st.tuples(st.sampled_from((*PARTS, *OTHER_PARTS)), st.sampled_from(CONTENTS)), min_size=1, max_size=6))
def test_the_sdk_takes_every_connection_string_that_is_accepted(parts: list[tuple[str, str]]) -> None:
    text = ";".join(f"{name}={content}" for name, content in parts)
    with suppress(ConfigError):
        storage = Settings.from_env(GIVEN | {"AzureWebJobsStorage": text}).storage
        StorageAccount.from_connection_string(storage)


def test_every_setting_is_checked() -> None:
    assert {setting.metadata["name"] for setting in fields(Settings)} <= set(CHECKS)


def test_the_credentials_are_those_of_azure_identity() -> None:
    script = "from azure.identity.aio import DefaultAzureCredential; DefaultAzureCredential()"
    env = {"AZURE_TOKEN_CREDENTIALS": "none"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=env)
    valid = done.stderr.strip().removesuffix(".").partition("Valid values are: ")[2]
    assert sorted(valid.split(", ")) == sorted(name.lower() for name in CREDENTIALS)


def test_a_missing_agents_file_or_a_folder_is_a_mistake(tmp_path: Path) -> None:
    expected = {tmp_path: "is not a file; name the file itself", tmp_path / "none.yaml": "cannot be read: No such file"}
    for path, what in expected.items():
        with pytest.raises(ConfigError, match=f"^AGENTS_FILE: {path} {what}"):
            load_agents_file(Settings.from_env(GIVEN | {"AGENTS_FILE": str(path)}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_an_agents_file_without_read_permission_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "agents.yaml"
    path.touch(mode=0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_agents_file(Settings.from_env(GIVEN | {"AGENTS_FILE": str(path)}))
