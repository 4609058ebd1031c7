"""Key Vault's secrets: versions, tags, disabled, expired, paging and the challenge, for the unmodified SecretClient.

Lacks: keys, certificates, soft delete, recovery, and every right but "is signed in".
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from local.stand_in import StandIn

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
PAGE = 25
Publish = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class SecretVersion:
    """One version of a secret."""

    value: str
    enabled: bool = True
    expires_on: int | None = None
    not_before: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))


class Vault(StandIn):
    """One vault; ``PUT /_local/secrets/<name>`` makes a version without any right."""

    name = "vault"

    def __init__(self, vault: str = "demo-vault", on_event: Publish | None = None) -> None:
        super().__init__()
        self.vault = vault
        self.secrets: dict[str, list[SecretVersion]] = {}
        self._on_event = on_event

    def routes(self) -> list[web.RouteDef]:
        """The secret operations that are used, and the control route."""
        return [
            web.put("/_local/secrets/{name}", self._set_local),
            web.get("/secrets", self._list),
            web.get("/secrets/{name}/versions", self._versions),
            web.get("/secrets/{name}/", self._get),
            web.get("/secrets/{name}", self._get),
            web.get("/secrets/{name}/{version}", self._get),
            web.put("/secrets/{name}", self._set),
        ]

    async def put(self, name: str, secret: SecretVersion) -> SecretVersion:
        """Make a version and tell Event Grid."""
        self.secrets.setdefault(name.lower(), []).append(secret)
        if self._on_event:
            await self._on_event(self._event(name, secret))
        return secret

    def _event(self, name: str, secret: SecretVersion) -> dict[str, Any]:
        """The event as Azure's schema page shows it, stray space in ``ObjectName `` and all."""
        vault_id = f"/subscriptions/local/resourceGroups/local/providers/Microsoft.KeyVault/vaults/{self.vault}"
        return {
            "id": str(uuid.uuid4()),
            "topic": vault_id,
            "subject": name,
            "eventType": "Microsoft.KeyVault.SecretNewVersionCreated",
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z",
            "data": {
                "Id": f"https://{self.vault}.vault.azure.net/secrets/{name}/{secret.version}",
                "VaultName": self.vault,
                "ObjectType": "Secret",
                "ObjectName ": name,
                "Version": secret.version,
                "NBF": secret.not_before,
                "EXP": secret.expires_on,
            },
            "dataVersion": "1",
            "metadataVersion": "1",
        }

    def _challenge(self, request: web.Request) -> web.Response | None:
        """The SDK sends its first request without a token; 0.0.1 is the suffix of 127.0.0.1 that its check accepts."""
        if request.headers.get("Authorization", "").startswith("Bearer "):
            return None
        port = urlsplit(f"//{request.host}").port
        where = f'authorization="https://login.microsoftonline.com/local", resource="https://0.0.1:{port}"'
        response = _error(401, "Unauthorized", "a bearer token is needed")
        response.headers["WWW-Authenticate"] = f"Bearer {where}"
        return response

    async def _get(self, request: web.Request) -> web.Response:
        if (challenge := self._challenge(request)) is not None:
            return challenge
        name, version = request.match_info["name"], request.match_info.get("version")
        if not NAME.fullmatch(name):
            return _error(400, "BadParameter", f"the name {name} is not valid")
        versions = self.secrets.get(name.lower(), [])
        found = next((one for one in reversed(versions) if version in (None, one.version)), None)
        if found is None:
            return _error(404, "SecretNotFound", f"a secret with (name/id) {name} was not found in this key vault")
        if not found.enabled:
            inner = {"code": "SecretDisabled"}
            return _error(403, "Forbidden", "operation get is not allowed on a disabled secret", inner)
        return web.json_response({"value": found.value, **self._properties(name, found, versioned=True)})

    async def _set(self, request: web.Request) -> web.Response:
        if (challenge := self._challenge(request)) is not None:
            return challenge
        body = await request.json()
        attributes = body.get("attributes") or {}
        made = SecretVersion(
            value=body["value"],
            enabled=attributes.get("enabled", True),
            expires_on=attributes.get("exp"),
            not_before=attributes.get("nbf"),
            tags=body.get("tags") or {},
            content_type=body.get("contentType"),
        )
        name = request.match_info["name"]
        await self.put(name, made)
        return web.json_response({"value": made.value, **self._properties(name, made, versioned=True)})

    async def _list(self, request: web.Request) -> web.Response:
        newest = [(name, versions[-1]) for name, versions in sorted(self.secrets.items())]
        return self._page(request, [self._properties(name, one) for name, one in newest])

    async def _versions(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        versions = self.secrets.get(name.lower(), [])
        return self._page(request, [self._properties(name, one, versioned=True) for one in versions])

    def _page(self, request: web.Request, items: list[dict[str, Any]]) -> web.Response:
        if (challenge := self._challenge(request)) is not None:
            return challenge
        size = int(request.query.get("maxresults", PAGE))
        start = int(request.query.get("$skiptoken", 0))
        more = start + size < len(items)
        query = {**request.query, "$skiptoken": str(start + size), "maxresults": str(size)}
        link = str(request.url.with_query(query)) if more else None
        return web.json_response({"value": items[start : start + size], "nextLink": link})

    def _properties(self, name: str, secret: SecretVersion, *, versioned: bool = False) -> dict[str, Any]:
        attributes = {
            "enabled": secret.enabled,
            "nbf": secret.not_before,
            "exp": secret.expires_on,
            "created": secret.created,
            "updated": secret.created,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": 90,
        }
        return {
            "id": f"{self.url}/secrets/{name}" + (f"/{secret.version}" if versioned else ""),
            "attributes": {key: value for key, value in attributes.items() if value is not None},
            "tags": secret.tags,
            "contentType": secret.content_type,
        }

    async def _set_local(self, request: web.Request) -> web.Response:
        try:
            made = SecretVersion(**await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"secret: {error}"}, status=400)
        await self.put(request.match_info["name"], made)
        return web.json_response({"version": made.version})


def _error(status: int, code: str, message: str, inner: dict[str, str] | None = None) -> web.Response:
    error = {"code": code, "message": message} | ({"innererror": inner} if inner else {})
    return web.json_response({"error": error}, status=status)
