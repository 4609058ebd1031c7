"""Azure Container Registry's additions to the distribution API: sign-in, and the tag list with times.

On the TLS address every request needs a token: the client gets a challenge, exchanges its Entra token, and asks for an
access token for one scope. The HTTP address is for docker and skopeo, which push here without a login.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from local.registry.repository import Repository
from local.stand_in import Handler

MAX_PAGE_SIZE = 100
WITHOUT_TOKEN = ("/oauth2/", "/_local/")


class AcrApi:
    """Issues and checks tokens, which name a scope and no user; lists tags."""

    def __init__(self, repositories: Mapping[str, Repository]) -> None:
        self._repositories = repositories
        self._refresh: set[str] = set()
        self._access: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return the two token routes, the tag list and one tag."""
        return [
            web.post("/oauth2/exchange", self._exchange),
            web.post("/oauth2/token", self._token),
            web.get("/acr/v1/_catalog", self._catalog),
            web.get(r"/acr/v1/{name:.+}/_tags", self._tags),
            web.get(r"/acr/v1/{name:.+}/_tags/{tag}", self._tag),
        ]

    @web.middleware
    async def challenge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Require a token on the TLS address."""
        if not request.secure or request.path.startswith(WITHOUT_TOKEN):
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and token in self._access:
            return await handler(request)
        host, scope = request.host, _scope(request.path)
        bearer = f'Bearer realm="https://{host}/oauth2/token",service="{host}",scope="{scope}"'
        bearer += ',error="invalid_token"' if token else ""
        body = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        return web.json_response(body, status=401, headers={"WWW-Authenticate": bearer})

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

    async def _catalog(self, _: web.Request) -> web.Response:
        return web.json_response({"repositories": sorted(self._repositories)})

    async def _tags(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        repository = self._repositories.get(name)
        if repository is None:
            return _error("NAME_UNKNOWN", "repository name not known to registry")
        names = sorted(repository.tags, key=lambda tag: repository.tagged_at[tag])
        if request.query.get("orderby") == "timedesc":
            names.reverse()
        start = names.index(request.query["last"]) + 1 if request.query.get("last") in names else 0
        limit = min(MAX_PAGE_SIZE, int(request.query.get("n", MAX_PAGE_SIZE)))
        shown = names[start : start + limit]
        tags = [_tag(tag, repository.tags[tag], repository.tagged_at[tag]) for tag in shown]
        headers = {}
        if start + limit < len(names):
            query = f"last={shown[-1]}&n={limit}&orderby={request.query.get('orderby', '')}"
            headers["Link"] = f'</acr/v1/{name}/_tags?{query}>; rel="next"'
        body: dict[str, Any] = {"registry": request.host, "imageName": name, "tags": tags}
        return web.json_response(body, headers=headers)

    async def _tag(self, request: web.Request) -> web.Response:
        name, tag = request.match_info["name"], request.match_info["tag"]
        repository = self._repositories.get(name)
        if repository is None or tag not in repository.tags:
            return _error("TAG_UNKNOWN", "the specified tag does not exist")
        shown = _tag(tag, repository.tags[tag], repository.tagged_at[tag])
        return web.json_response({"registry": request.host, "imageName": name, "tag": shown})


def _error(code: str, message: str) -> web.Response:
    return web.json_response({"errors": [{"code": code, "message": message}]}, status=404)


def _scope(path: str) -> str:
    parts = path.strip("/").split("/")
    if parts[-1] == "_catalog":
        return "registry:catalog:*"
    if parts[:2] == ["acr", "v1"]:
        return f"repository:{'/'.join(parts[2 : parts.index('_tags')])}:metadata_read"
    return f"repository:{'/'.join(parts[1:-2])}:pull"


def _claims() -> str:
    """Return the payload of a token; the client reads its expiry."""
    return base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 3600}).encode()).decode().rstrip("=")


def _tag(name: str, digest: str, at: float) -> dict[str, Any]:
    time_text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    allowed = dict.fromkeys(("deleteEnabled", "writeEnabled", "readEnabled", "listEnabled"), True)
    return {
        "name": name,
        "digest": digest,
        "createdTime": time_text,
        "lastUpdateTime": time_text,
        "signed": False,
        "changeableAttributes": allowed,
    }
