"""Checks settings: each mistake is a sentence that names the setting and shows no value that may hold a secret."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from core.ncrontab import EXAMPLE, Schedule, ScheduleError
from core.similar_names import did_you_mean, most_similar

TRUE = frozenset({"1", "true", "yes", "on"})
CREDENTIALS = (
    "dev", "prod", "EnvironmentCredential", "WorkloadIdentityCredential", "ManagedIdentityCredential",
    "VisualStudioCodeCredential", "AzureCliCredential", "AzurePowerShellCredential", "AzureDeveloperCliCredential",
)  # fmt: skip
"""The values that azure-identity's DefaultAzureCredential takes, in any case of letters."""
QUOTES = "\"'`\u2018\u2019\u201c\u201d"
TOPIC = "https://<topic>.<region>.eventgrid.azure.net/api/events"
PROJECT = "https://<resource>.services.ai.azure.com/api/projects/<project>"
HOST = re.compile(r"(?!.{254})[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")
AZURE_DOMAINS = (
    ".azure.com", ".azure.net", ".windows.net", ".azurecr.io", ".azure.cn", ".chinacloudapi.cn", ".azurecr.cn",
    ".azure.us", ".usgovcloudapi.net", ".azurecr.us", ".microsoftazure.de", ".cloudapi.de",
)  # fmt: skip
"""Domains of every Azure cloud: in these a host must be one of the setting's own service, in the public cloud."""
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.IGNORECASE)
ACCOUNT = re.compile("[a-z0-9]{3,24}")
SCHEDULES = ("PRUNE_SCHEDULE", "RESUME_SCHEDULE")
MAX_SHOWN_CHARS = 100
"""A longer value does not help the reader."""

Check = Callable[[str], str | None]


def find_mistakes(settings: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each setting that is wrong."""
    for name, value in settings.items():
        if name not in CHECKS:
            continue
        quoted = value[0] in QUOTES or value[-1] in QUOTES
        mistake = "is in quotes; write it without them" if quoted else CHECKS[name](value)
        if mistake:
            yield f"{name} {mistake}"


def _shown(value: str) -> str:
    """The value, unless it may hold a key, a signature or a password: those come with = or @."""
    return "it has another form" if len(value) > MAX_SHOWN_CHARS or re.search("[=@]", value) else f"it is {value!r}"


def _address(example: str, *domains: str) -> Check:
    """An https address; on a host of Azure the domain must be one of these."""

    def check(value: str) -> str | None:
        host = _host(value)
        if not host:
            return f"must be an https address, such as {example}; {_shown(value)}"
        if domains and _is_foreign(host, domains):
            return f"names another service or another cloud; write an address such as {example}; {_shown(value)}"
        url = urlsplit(value)
        return f"must be an address without ? or #, such as {example}" if url.query or url.fragment else None

    return check


def _host(address: str, *schemes: str) -> str:
    """The host of an address with one of these schemes, https by default; empty if it is not one."""
    try:
        url = urlsplit(address)
        host = url.hostname or ""
        has_host = bool(":" in host or HOST.fullmatch(host)) and (url.port is None or url.port > 0)
    except ValueError:
        return ""
    is_address = url.scheme in (schemes or ("https",)) and "@" not in url.netloc and not re.search(r"\s", address)
    return host if has_host and is_address else ""


def _is_foreign(host: str, domains: tuple[str, ...]) -> bool:
    """Whether a host is Azure's but not of these domains; a host outside Azure may be a proxy or a stand-in."""
    return f".{host}".endswith(AZURE_DOMAINS) and not host.endswith(domains)


def _bare_address(example: str, *domains: str) -> Check:
    def check(value: str) -> str | None:
        if mistake := _address(example, *domains)(value):
            return mistake
        path = urlsplit(value).path
        return f"must be only the address, such as {example}, without {path!r}" if path.strip("/") else None

    return check


def _storage_address(service: str) -> Check:
    """An address of a storage account's service; outside Azure, as with Azurite, its path may be the account's name."""
    example = f"https://<account>.{service}.core.windows.net"
    domains = (f".{service}.core.windows.net", f".{service}.storage.azure.net")

    def check(value: str) -> str | None:
        host = str(urlsplit(value).hostname) if (mistake := _address(example, *domains)(value)) is None else ""
        return mistake or (_bare_address(example)(value) if host.endswith(domains) else None)

    return check


def _topic(value: str) -> str | None:
    if mistake := _address(TOPIC, ".eventgrid.azure.net")(value):
        return mistake
    return None if urlsplit(value).path.rstrip("/") == "/api/events" else f"must end in /api/events, as in {TOPIC}"


def _project(value: str) -> str | None:
    if mistake := _address(PROJECT, ".services.ai.azure.com")(value):
        return mistake
    if re.fullmatch(r"/api/projects/[A-Za-z0-9._~%-]+", urlsplit(value).path.rstrip("/")):
        return None
    return f"must end in the project's name, as in {PROJECT}; {_shown(value)}"


def _text(pattern: str, rule: str) -> Check:
    return lambda value: None if re.fullmatch(pattern, value) else f"must be {rule}; {_shown(value)}"


def _registry_name(value: str) -> str | None:
    if re.fullmatch("[A-Za-z0-9]+", value):
        return None
    name = value.rpartition("://")[2].partition(".")[0]
    if ".azurecr." in value.lower() and re.fullmatch("[A-Za-z0-9]+", name):
        return f"must be only the registry's name: write {name}; the address is REGISTRY_LOGIN_SERVER"
    return f"must be the registry's resource name, letters and digits only; {_shown(value)}"


def _resource_id(kind: str) -> Check:
    """The id of a resource of this kind, in any case of letters."""
    pattern = f"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(kind)}/[^/]+/?"
    example = f"/subscriptions/<subscription>/resourceGroups/<group>/providers/{kind}/<name>"
    return _text(f"(?i){pattern}", f"a resource id, such as {example}")


def _host_name(example: str, domain: str) -> Check:
    """A host name, in Azure of this domain; a port may follow."""

    def check(value: str) -> str | None:
        host, colon, port = value.lower().partition(":")
        has_port = not colon or (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536)
        if not HOST.fullmatch(host) or not has_port:
            return f"must be a host name without scheme or path, such as {example}; {_shown(value)}"
        if _is_foreign(host, (domain,)):
            return f"names another service or another cloud; write a host such as {example}; {_shown(value)}"
        return None

    return check


def _storage(value: str) -> str | None:
    parts = [part.partition("=") for part in value.rstrip(";").split(";")]
    if "://" in parts[0][0]:
        name = "AzureWebJobsStorage"
        return f"must be a connection string; an address belongs in {name}__blobServiceUri or {name}__queueServiceUri"
    if value.rstrip(";") == "UseDevelopmentStorage=true":
        return None
    given = {name.lower(): content for name, _, content in parts if content}
    names = given.keys()
    found = {
        "AccountName": "accountname" in names or {"blobendpoint", "queueendpoint", "sharedaccesssignature"} <= names,
        "AccountKey": bool({"accountkey", "sharedaccesssignature"} & names),
        "a = in every part": all(equals for _, equals, _ in parts),
    }
    missing = " and ".join(name for name, is_there in found.items() if not is_there)
    todo = f"without {missing}; copy it again from the account"
    return f"is not a complete connection string: {todo}" if missing else _storage_value(given)


def _storage_value(given: Mapping[str, str]) -> str | None:
    """What is wrong with a part of a complete connection string."""
    if given.get("endpointsuffix", "core.windows.net") not in ("core.windows.net", "storage.azure.net"):
        return "has the EndpointSuffix of another cloud; it must be core.windows.net"
    if given.get("defaultendpointsprotocol", "https") != "https" and "blobendpoint" not in given:
        return "has another protocol than https; write DefaultEndpointsProtocol=https"
    if not ACCOUNT.fullmatch(given.get("accountname", "none")):
        return "has an AccountName that is not 3 to 24 small letters and digits; copy it again from the account"
    for name in ("BlobEndpoint", "QueueEndpoint"):
        if name.lower().replace("endpoint", "secondaryendpoint") in given and name.lower() not in given:
            return f"has a secondary endpoint without {name}; copy it again from the account"
        if name.lower() in given and not _host(given[name.lower()], "http", "https"):
            return f"has a {name} that is not an address; copy it again from the account"
    return _storage_key(given)


def _storage_key(given: Mapping[str, str]) -> str | None:
    """What is wrong with the key or the signature of a connection string."""
    try:
        base64.b64decode(given.get("accountkey", ""), validate=True)
    except ValueError:
        return "has an AccountKey that is not base64; copy it again from the account"
    # the SDKs take what is not a signature for an account's key, and then ask for a name
    if "sharedaccesssignature" in given and "sig" not in parse_qs(given["sharedaccesssignature"].lstrip("?")):
        return "has a SharedAccessSignature without sig=; copy it again from the account"
    return None


def _credentials(value: str) -> str | None:
    if value.lower() in {name.lower() for name in CREDENTIALS}:
        return None
    short = {name.lower().removesuffix("credential"): name for name in CREDENTIALS}
    near = most_similar(value.lower().replace("-", "").removesuffix("credential"), short)
    meant = did_you_mean(short.get(near), f"it takes {', '.join(CREDENTIALS)}")
    return f"is not a credential that azure-identity knows; {meant} ({_shown(value)})"


def _schedule(value: str) -> str | None:
    try:
        Schedule(value)
    except ScheduleError as error:
        shown = _shown(value)
        return str(error) if repr(value) in shown else f"is not an NCRONTAB schedule of 6 fields: {EXAMPLE}; {shown}"
    return None


def _number(unit: str, least: float, most: float) -> Check:
    def check(value: str) -> str | None:
        if NUMBER.fullmatch(value) and least <= float(value) <= most:
            return None
        return f"must be a number {unit} from {least:g} to {most:g}; {_shown(value)}"

    return check


CHECKS: Mapping[str, Check] = {
    "FOUNDRY_PROJECT_ENDPOINT": _project,
    "AZURE_AI_PROJECT_ENDPOINT": _project,
    "KEY_VAULT_URL": _bare_address("https://<vault>.vault.azure.net", ".vault.azure.net"),
    "KEY_VAULT_ID": _resource_id("Microsoft.KeyVault/vaults"),
    "KEY_VAULT_HOST": _host_name("demo.vault.azure.net", ".vault.azure.net"),
    "REGISTRY_ENDPOINT": _bare_address("https://<registry>.azurecr.io", ".azurecr.io"),
    "REGISTRY_NAME": _registry_name,
    "REGISTRY_ID": _resource_id("Microsoft.ContainerRegistry/registries"),
    "REGISTRY_LOGIN_SERVER": _host_name("demo.azurecr.io", ".azurecr.io"),
    "AGENTS_FILE": lambda _: None,
    "AzureWebJobsStorage": _storage,
    "AzureWebJobsStorage__blobServiceUri": _storage_address("blob"),
    "AzureWebJobsStorage__queueServiceUri": _storage_address("queue"),
    "AzureWebJobsStorage__accountName": _text(
        ACCOUNT.pattern, "only a storage account's name, 3 to 24 small letters and digits"
    ),
    "AZURE_CLIENT_ID": _text(
        "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        "the identity's client id, such as 00000000-1111-2222-3333-444444444444",
    ),
    "AZURE_TOKEN_CREDENTIALS": _credentials,
    "PRUNE_SCHEDULE": _schedule,
    "RESUME_SCHEDULE": _schedule,
    "PRUNE_DRY_RUN": _text("(?i)1|true|yes|on|0|false|no|off", "true or false"),
    "OUTCOME_TOPIC_ENDPOINT": _topic,
    "GITHUB_ENDPOINT": _address("https://api.github.com"),
    "POLL_SECONDS": _number("of seconds", 0.05, 10),
    "FOUNDRY_READS_PER_SECOND": _number("a second", 0.1, 1000),
}
"""A check for each setting; in a free text only quotes around it are a mistake."""
