"""Key Vault's secrets for the unmodified SecretClient: versions, tags, disabled and expired, paging, the challenge.

Lacks: keys, certificates, soft delete, recovery, and permissions: any token may do everything.
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

VAULTS = "/subscriptions/local/resourceGroups/local/providers/Microsoft.KeyVault/vaults"

NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
PAGE_SIZE = 25
Publish = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass
class SecretVersion:
    """A version of a secret."""

    value: str
    enabled: bool = True
    expires_on: int | None = None
    not_before: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    content_type: str | None = None
    version: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))


class Vault(StandIn):
    """A vault; ``PUT /_local/secrets/<name>`` adds a version without a token.

    Each name below ``/vaults/`` is a vault of its own, which begins empty;
    ``PUT /_local/vaults/<vault>/secrets/<name>`` adds a version there.
    """

    name = "vault"

    def __init__(self, vault: str = "demo-vault", on_event: Publish | None = None) -> None:
        super().__init__()
        self.vault = vault
        self.secrets: dict[str, list[SecretVersion]] = {}
        self.others: dict[str, dict[str, list[SecretVersion]]] = {}
        """Vault below ``/vaults/`` -> its secrets."""
        self._on_event = on_event

    def routes(self) -> list[web.RouteDef]:
        """Return the secret operations that Slipway uses, and the control route."""
        return [route for vault in ("", "/vaults/{vault}") for route in self._routes(vault)]

    def _routes(self, vault: str) -> list[web.RouteDef]:
        return [
            web.put(f"/_local{vault}/secrets/{{name}}", self._set_local),
            web.get(f"{vault}/secrets", self._list),
            web.get(f"{vault}/secrets/{{name}}/versions", self._versions),
            web.get(f"{vault}/secrets/{{name}}/", self._get),
            web.get(f"{vault}/secrets/{{name}}", self._get),
            web.get(f"{vault}/secrets/{{name}}/{{version}}", self._get),
            web.put(f"{vault}/secrets/{{name}}", self._set),
        ]

    def secrets_in(self, vault: str) -> dict[str, list[SecretVersion]]:
        """Return the secrets of a vault below ``/vaults/``; with an empty name, those of the settings' vault."""
        return self.others.setdefault(vault.lower(), {}) if vault else self.secrets

    async def put(self, name: str, secret: SecretVersion, vault: str = "") -> SecretVersion:
        """Add a version and publish its event."""
        self.secrets_in(vault).setdefault(name.lower(), []).append(secret)
        if self._on_event:
            await self._on_event(self._event(name, secret, vault))
        return secret

    def _event(self, name: str, secret: SecretVersion, vault: str) -> dict[str, Any]:
        """Return the event as Azure's schema page shows it, including the space at the end of ``ObjectName ``.

        A secret of a vault below ``/vaults/`` has the address by which agents.yaml names that vault.
        """
        address = f"{self.url}/vaults/{vault}" if vault else f"https://{self.vault}.vault.azure.net"
        return {
            "id": str(uuid.uuid4()),
            "topic": f"{VAULTS}/{vault or self.vault}",
            "subject": name,
            "eventType": "Microsoft.KeyVault.SecretNewVersionCreated",
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z",
            "data": {
                "Id": f"{address}/secrets/{name}/{secret.version}",
                "VaultName": vault or self.vault,
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
        """Answer a request without a token; 0.0.1 is the suffix of 127.0.0.1 that the SDK's check accepts."""
        if request.headers.get("Authorization", "").startswith("Bearer "):
            return None
        port = urlsplit(f"//{request.host}").port
        challenge = f'authorization="https://login.microsoftonline.com/local", resource="https://0.0.1:{port}"'
        response = _error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        response.headers["WWW-Authenticate"] = f"Bearer {challenge}"
        return response

    async def _get(self, request: web.Request) -> web.Response:
        if (challenge := self._challenge(request)) is not None:
            return challenge
        name, version = request.match_info["name"], request.match_info.get("version")
        if not NAME.fullmatch(name):
            return _error(400, "BadParameter", f"the name {name} is not valid")
        versions = self._asked(request).get(name.lower(), [])
        secret = next((secret for secret in reversed(versions) if version in (None, secret.version)), None)
        if secret is None:
            return _error(404, "SecretNotFound", f"a secret with (name/id) {name} was not found in this key vault")
        if not secret.enabled:
            inner = {"code": "SecretDisabled"}
            return _error(403, "Forbidden", "Operation get is not allowed on a disabled secret.", inner)
        return web.json_response({"value": secret.value, **self._properties(name, secret, versioned=True)})

    async def _set(self, request: web.Request) -> web.Response:
        if (challenge := self._challenge(request)) is not None:
            return challenge
        body = await request.json()
        attributes = body.get("attributes") or {}
        secret = SecretVersion(
            value=body["value"],
            enabled=attributes.get("enabled", True),
            expires_on=attributes.get("exp"),
            not_before=attributes.get("nbf"),
            tags=body.get("tags") or {},
            content_type=body.get("contentType"),
        )
        name = request.match_info["name"]
        await self.put(name, secret, request.match_info.get("vault", ""))
        return web.json_response({"value": secret.value, **self._properties(name, secret, versioned=True)})

    def _asked(self, request: web.Request) -> dict[str, list[SecretVersion]]:
        return self.secrets_in(request.match_info.get("vault", ""))

    async def _list(self, request: web.Request) -> web.Response:
        newest = [(name, versions[-1]) for name, versions in sorted(self._asked(request).items())]
        return self._page(request, newest)

    async def _versions(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        versions = self._asked(request).get(name.lower(), [])
        return self._page(request, [(name, secret) for secret in versions], versioned=True)

    def _page(
        self, request: web.Request, items: list[tuple[str, SecretVersion]], *, versioned: bool = False
    ) -> web.Response:
        if (challenge := self._challenge(request)) is not None:
            return challenge
        size = int(request.query.get("maxresults", PAGE_SIZE))
        start = int(request.query.get("$skiptoken", 0))
        more = start + size < len(items)
        query = {**request.query, "$skiptoken": str(start + size), "maxresults": str(size)}
        link = str(request.url.with_query(query)) if more else None
        shown = [self._properties(name, secret, versioned=versioned) for name, secret in items[start : start + size]]
        return web.json_response({"value": shown, "nextLink": link})

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
            # without /vaults/<vault>: the SDK refuses an id with more parts than Azure's
            "id": f"{self.url}/secrets/{name}" + (f"/{secret.version}" if versioned else ""),
            "attributes": {key: value for key, value in attributes.items() if value is not None},
            **({"tags": secret.tags} if secret.tags else {}),
            **({"contentType": secret.content_type} if secret.content_type else {}),
        }

    async def _set_local(self, request: web.Request) -> web.Response:
        try:
            secret = SecretVersion(**await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"secret: {error}"}, status=400)
        await self.put(request.match_info["name"], secret, request.match_info.get("vault", ""))
        return web.json_response({"version": secret.version})


def _error(status: int, code: str, message: str, inner: dict[str, str] | None = None) -> web.Response:
    error = {"code": code, "message": message} | ({"innererror": inner} if inner else {})
    return web.json_response({"error": error}, status=status)
