"""Checks settings: each mistake is a sentence that names the setting and shows no value that may hold a secret."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

TRUE = frozenset({"1", "true", "yes", "on"})
CREDENTIALS = (
    "dev", "prod", "EnvironmentCredential", "WorkloadIdentityCredential", "ManagedIdentityCredential",
    "VisualStudioCodeCredential", "AzureCliCredential", "AzurePowerShellCredential", "AzureDeveloperCliCredential",
)  # fmt: skip
"""The values that azure-identity's DefaultAzureCredential takes, in any case of letters."""
QUOTES = "\"'`\u2018\u2019\u201c\u201d"
PROJECT = "https://<resource>.services.ai.azure.com/api/projects/<project>"
SCHEDULE_FIELD = re.compile(r"[0-9A-Za-z*/,-]+")
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


def _address(example: str) -> Check:
    def check(value: str) -> str | None:
        try:
            url = urlsplit(value)
            has_host = bool(url.hostname) and (url.port is None or url.port > 0)
        except ValueError:
            has_host = False
        if not has_host or url.scheme != "https" or "@" in url.netloc or re.search(r"\s", value):
            return f"must be an https address, such as {example}; {_shown(value)}"
        return f"must be an address without ? or #, such as {example}" if url.query or url.fragment else None

    return check


def _bare_address(example: str) -> Check:
    def check(value: str) -> str | None:
        if mistake := _address(example)(value):
            return mistake
        path = urlsplit(value).path
        return f"must be only the address, such as {example}, without {path!r}" if path.strip("/") else None

    return check


def _project(value: str) -> str | None:
    if mistake := _address(PROJECT)(value):
        return mistake
    if re.fullmatch(r"/api/projects/[^/]+", urlsplit(value).path.rstrip("/")):
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


def _storage(value: str) -> str | None:
    parts = [part.partition("=") for part in value.rstrip(";").split(";")]
    if "://" in parts[0][0]:
        name = "AzureWebJobsStorage"
        return f"must be a connection string; an address belongs in {name}__blobServiceUri or {name}__queueServiceUri"
    if value.rstrip(";") == "UseDevelopmentStorage=true":
        return None
    names = {name.lower() for name, _, content in parts if content}
    found = {
        "AccountName": "accountname" in names or {"blobendpoint", "queueendpoint", "sharedaccesssignature"} <= names,
        "AccountKey": bool({"accountkey", "sharedaccesssignature"} & names),
        "a = in every part": all(equals for _, equals, _ in parts),
    }
    missing = " and ".join(name for name, is_there in found.items() if not is_there)
    todo = f"without {missing}; copy it again from the account"
    return f"is not a complete connection string: {todo}" if missing else None


def _credentials(value: str) -> str | None:
    if value.lower() in {name.lower() for name in CREDENTIALS}:
        return None
    short = {name.lower().removesuffix("credential"): name for name in CREDENTIALS}
    near = difflib.get_close_matches(value.lower().replace("-", "").removesuffix("credential"), short, n=1)
    meant = f"did you mean {short[near[0]]}?" if near else f"it takes {', '.join(CREDENTIALS)}"
    return f"is not a credential that azure-identity knows; {meant} ({_shown(value)})"


def _schedule(value: str) -> str | None:
    fields = value.split()
    if len(fields) == 5:
        return f"has 5 fields; NCRONTAB has 6, seconds first: write '0 {value}'"
    if len(fields) == 6 and all(SCHEDULE_FIELD.fullmatch(field) for field in fields):
        return None
    example = "second minute hour day month weekday, as in '0 */5 * * * *'"
    return f"is not an NCRONTAB schedule of 6 fields: {example}; {_shown(value)}"


def _number(unit: str, least: float, most: float) -> Check:
    def check(value: str) -> str | None:
        try:
            fits = least <= float(value) <= most
        except ValueError:
            fits = False
        return None if fits else f"must be a number {unit} from {least:g} to {most:g}; {_shown(value)}"

    return check


CHECKS: Mapping[str, Check] = {
    "FOUNDRY_PROJECT_ENDPOINT": _project,
    "AZURE_AI_PROJECT_ENDPOINT": _project,
    "KEY_VAULT_URL": _bare_address("https://<vault>.vault.azure.net"),
    "REGISTRY_ENDPOINT": _bare_address("https://<registry>.azurecr.io"),
    "REGISTRY_NAME": _registry_name,
    "REGISTRY_LOGIN_SERVER": _text(
        r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?",
        "a host name without scheme or path, such as demo.azurecr.io",
    ),
    "AGENTS_FILE": lambda _: None,
    "AzureWebJobsStorage": _storage,
    "AzureWebJobsStorage__blobServiceUri": _address("https://<account>.blob.core.windows.net"),
    "AzureWebJobsStorage__queueServiceUri": _address("https://<account>.queue.core.windows.net"),
    "AzureWebJobsStorage__accountName": _text(
        "[a-z0-9]{3,24}", "only a storage account's name, 3 to 24 small letters and digits"
    ),
    "AZURE_CLIENT_ID": lambda _: None,
    "AZURE_TOKEN_CREDENTIALS": _credentials,
    "PRUNE_SCHEDULE": _schedule,
    "RESUME_SCHEDULE": _schedule,
    "PRUNE_DRY_RUN": _text("(?i)1|true|yes|on|0|false|no|off", "true or false"),
    "OUTCOME_TOPIC_ENDPOINT": _address("https://<topic>.<region>.eventgrid.azure.net/api/events"),
    "POLL_SECONDS": _number("of seconds", 0.05, 10),
    "FOUNDRY_READS_PER_SECOND": _number("a second", 0.1, 1000),
}
"""A check for each setting; in a free text only quotes around it are a mistake."""
