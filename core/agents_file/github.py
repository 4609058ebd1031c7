"""The key ``github`` of agents.yaml: where, and as which GitHub App, releases are shown on the commits of images."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from core.agents_file.fields import SecretName, quote
from core.agents_file.value import Value
from core.source_commit import HOST, NAME, OWNER, SourceCommit

DOT_COM = "https://api.github.com"
APP_ID_PATTERN = r"^[0-9]{1,20}$|^Iv[0-9A-Za-z.]{5,60}$"
REPOSITORY_PATTERN = rf"^{OWNER}/({NAME}|\*)$"
API = re.compile(rf"https://(?P<host>{HOST})(/api/v3)?/?")
LOG_FIELDS = frozenset({"target", "version", "digest", "reason"})


def _text(value: object) -> object:
    """An App's id is a number, a client id is text; both sign the same."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def check_api(text: str) -> str:
    """The address of a REST API, without a slash at its end."""
    if not API.fullmatch(text.lower()):
        raise ValueError(
            f"{quote(text)} is not the address of GitHub's REST API; of a server of yours write https://<host>/api/v3"
        )
    return text.lower().rstrip("/")


def check_allowed(text: str) -> str:
    """A repository of the allow-list, or all of an owner."""
    if not re.fullmatch(REPOSITORY_PATTERN, text):
        raise ValueError(f"{quote(text)} is not a repository; write owner/name, or owner/* for all of an owner")
    return text


def check_any(repositories: tuple[str, ...]) -> tuple[str, ...]:
    """An allow-list that allows something."""
    if not repositories:
        raise ValueError("is empty; write at least one repository as owner/name, or remove github")
    return repositories


def check_log_url(text: str) -> str:
    """An https address whose fields in braces are known."""
    unknown = [name for name in re.findall(r"\{([^{}]*)\}", text) if name not in LOG_FIELDS]
    if unknown or not text.startswith("https://") or not urlsplit(text).hostname or re.search(r"\s", text):
        fields = ", ".join(f"{{{name}}}" for name in sorted(LOG_FIELDS))
        raise ValueError(f"{quote(text)} is not an https address; it may have the fields {fields}")
    return text


AppId = Annotated[
    str,
    BeforeValidator(_text),
    StringConstraints(pattern=APP_ID_PATTERN),
    WithJsonSchema({"type": ["string", "integer"], "pattern": APP_ID_PATTERN}),
]
Allowed = Annotated[
    str, AfterValidator(check_allowed), WithJsonSchema({"type": "string", "pattern": REPOSITORY_PATTERN})
]
AllowList = Annotated[
    tuple[Allowed, ...], AfterValidator(check_any), Field(strict=False, json_schema_extra={"minItems": 1})
]
ApiAddress = Annotated[str, AfterValidator(check_api), WithJsonSchema({"type": "string", "pattern": "^https://"})]
LogAddress = Annotated[str, AfterValidator(check_log_url), WithJsonSchema({"type": "string", "pattern": "^https://"})]


class GitHubSpec(Value):
    """The GitHub App that shows releases as deployments, and the repositories where it may."""

    app_id: AppId = Field(description="the App's id, or its client id")
    private_key: SecretName = Field(description="the secret in Key Vault that holds the App's private key in PEM")
    repositories: AllowList = Field(
        description="repositories whose commits may be marked: `owner/name`, or `owner/*` for all of an owner"
    )
    api: ApiAddress = Field(DOT_COM, description="the REST API; `https://<host>/api/v3` of an Enterprise Server")
    log_url: LogAddress | None = Field(
        None,
        description="where a status links to; `{target}`, `{version}`, `{digest}` and `{reason}` are filled in",
    )

    @property
    def host(self) -> str:
        """The server as labels name it; the API of github.com and of ghe.com has a name of its own."""
        host = urlsplit(self.api).netloc
        return host.removeprefix("api.") if host.endswith((".github.com", ".ghe.com")) else host

    def allows(self, commit: SourceCommit) -> bool:
        """Whether a commit may be shown: its label is the claim of whoever pushed the image."""
        name = commit.repository.lower()
        allowed = {text.lower() for text in self.repositories}
        return commit.host == self.host and (name in allowed or f"{name.partition('/')[0]}/*" in allowed)
