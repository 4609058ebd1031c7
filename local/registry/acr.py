"""What Azure Container Registry has beside the distribution API: signing in, and lists with times.

On the TLS address every request needs a token, got as the client gets it: a challenge, an exchange of the Entra token,
an access token for one scope. The http address is for docker and skopeo, which here push without a login.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from local.stand_in import Handler

if TYPE_CHECKING:
    from local.registry.server import Registry

PAGE = 100
OPEN = ("/oauth2/", "/_local/")


class SignIn:
    """Tokens of this process; they say what they are for and nothing about who."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._refresh: set[str] = set()
        self._access: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """The two steps to a token, and the lists."""
        return [
            web.post("/oauth2/exchange", self._exchange),
            web.post("/oauth2/token", self._token),
            web.get(r"/acr/v1/{name:.+}/_tags", self._tags),
        ]

    @web.middleware
    async def challenge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask for a token on the TLS address."""
        if not request.secure or request.path.startswith(OPEN):
            return await handler(request)
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer" and token in self._access:
            return await handler(request)
        host, scope = request.host, _scope(request.path)
        told = f'Bearer realm="https://{host}/oauth2/token",service="{host}",scope="{scope}",error="invalid_token"'
        body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        return web.json_response(body, status=401, headers={"WWW-Authenticate": told})

    async def _exchange(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != "access_token" or not form.get("access_token"):
            return web.json_response({"errors": [{"code": "UNAUTHORIZED", "message": "no token"}]}, status=401)
        token = f"header.{_claims()}.{uuid.uuid4().hex}"
        self._refresh.add(token)
        return web.json_response({"refresh_token": token})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("refresh_token") not in self._refresh:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED", "message": "no token"}]}, status=401)
        token = uuid.uuid4().hex
        self._access[token] = str(form.get("scope", ""))
        return web.json_response({"access_token": token})

    async def _tags(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        repository = self._registry.repositories.get(name)
        if repository is None:
            body = {"errors": [{"code": "NAME_UNKNOWN", "message": "repository name not known to registry"}]}
            return web.json_response(body, status=404)
        names = sorted(repository.tags, key=lambda tag: repository.tagged_at[tag])
        if request.query.get("orderby") == "timedesc":
            names.reverse()
        start = names.index(request.query["last"]) + 1 if request.query.get("last") in names else 0
        limit = min(PAGE, int(request.query.get("n", PAGE)))
        shown = names[start : start + limit]
        tags = [_tag(tag, repository.tags[tag], repository.tagged_at[tag]) for tag in shown]
        headers = {}
        if start + limit < len(names):
            query = f"last={shown[-1]}&n={limit}&orderby={request.query.get('orderby', '')}"
            headers["Link"] = f'</acr/v1/{name}/_tags?{query}>; rel="next"'
        listed: dict[str, Any] = {"registry": request.host, "imageName": name, "tags": tags}
        return web.json_response(listed, headers=headers)


def _scope(path: str) -> str:
    parts = path.strip("/").split("/")
    if parts[:2] == ["acr", "v1"]:
        return f"repository:{'/'.join(parts[2:-1])}:metadata_read"
    return f"repository:{'/'.join(parts[1:-2])}:pull"


def _claims() -> str:
    """The middle of a token: the client reads when it ends."""
    return base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 3600}).encode()).decode().rstrip("=")


def _tag(name: str, digest: str, at: float) -> dict[str, Any]:
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    allowed = dict.fromkeys(("deleteEnabled", "writeEnabled", "readEnabled", "listEnabled"), True)
    return {
        "name": name,
        "digest": digest,
        "createdTime": when,
        "lastUpdateTime": when,
        "signed": False,
        "changeableAttributes": allowed,
    }
