"""The few routes of GitHub's REST API that show releases: sign-in as a GitHub App, deployments, their statuses.

``GET /_local/deployments`` shows what was made; ``PUT /_local/github`` names repositories without the App or its right,
and commits that were never pushed. Lacks: everything else of GitHub, and its rate limits. Every repository exists.
Shapes: https://docs.github.com/en/rest/deployments and https://docs.github.com/en/rest/apps/apps
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.stand_in import StandIn

Json = dict[str, Any]
MAX_APP_TOKEN_SECONDS = 600
PAGE_SIZE = 30
REPOSITORY = "/repos/{owner}/{name}"
STATES = frozenset({"error", "failure", "inactive", "in_progress", "queued", "pending", "success"})


@dataclass
class Switches:
    """What ``PUT /_local/github`` changes."""

    not_installed: list[str] = field(default_factory=list)
    unknown_commits: list[str] = field(default_factory=list)
    without_right: list[str] = field(default_factory=list)


def new_private_key() -> str:
    """Return a private key of an App, in PEM as GitHub makes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


class GitHub(StandIn):
    """GitHub's REST API; only the App whose key it trusts may sign in."""

    name = "github"

    def __init__(self) -> None:
        super().__init__()
        self.switches = Switches()
        self.deployments: dict[str, list[Json]] = {}
        """By repository, oldest first; each with its ``statuses``, oldest first."""
        self._tokens: dict[str, str] = {}
        """Token -> its repository."""
        self._key: Any = None
        self._ids = count(1)

    def trust(self, private_key: str) -> None:
        """Accept what this private key signs."""
        self._key = serialization.load_pem_private_key(private_key.encode(), None).public_key()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of GitHub, and the control routes."""
        deployments = f"{REPOSITORY}/deployments"
        return [
            web.get("/_local/deployments", self._all),
            web.put("/_local/github", self._set_switches),
            web.get(f"{REPOSITORY}/installation", self._installation),
            web.post("/app/installations/{id}/access_tokens", self._token),
            web.get(deployments, self._list),
            web.post(deployments, self._create),
            web.get(deployments + "/{id}/statuses", self._statuses),
            web.post(deployments + "/{id}/statuses", self._add_status),
        ]

    async def _all(self, _: web.Request) -> web.Response:
        return web.json_response(self.deployments)

    async def _set_switches(self, request: web.Request) -> web.Response:
        try:
            self.switches = Switches(**await request.json())
        except (TypeError, ValueError) as error:
            return web.json_response({"error": f"github: {error}"}, status=400)
        return web.json_response({})

    def _is_app(self, request: web.Request) -> bool:
        """Whether a request is signed with the App's key, for at most ten minutes."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            options: Any = {"require": ["iat", "exp", "iss"]}
            claims = jwt.decode(token, self._key, algorithms=["RS256"], options=options) if self._key else {}
        except jwt.PyJWTError:
            return False
        return kind.lower() == "bearer" and 0 < claims.get("exp", 0) - claims.get("iat", 0) <= MAX_APP_TOKEN_SECONDS

    async def _installation(self, request: web.Request) -> web.Response:
        if not self._is_app(request):
            return _error(401, "A JSON web token could not be decoded")
        if _repository(request) in self.switches.not_installed:
            return _error(404, "Not Found")
        return web.json_response({"id": 4711, "app_id": 1, "permissions": {"deployments": "write"}})

    async def _token(self, request: web.Request) -> web.Response:
        if not self._is_app(request):
            return _error(401, "A JSON web token could not be decoded")
        (name,) = (await request.json())["repositories"]
        if any(repository.endswith(f"/{name}".lower()) for repository in self.switches.without_right):
            return _error(422, "The permissions requested are not granted to this installation.")
        token = f"ghs_{secrets.token_hex(18)}"
        self._tokens[token] = name.lower()
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"token": token, "expires_at": until, "permissions": {"deployments": "write"}}
        return web.json_response(body, status=201)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Answer a request without a token of its repository."""
        token = request.headers.get("Authorization", "").partition(" ")[2]
        if token not in self._tokens:
            return _error(401, "Bad credentials")
        return None if self._tokens[token] == request.match_info["name"].lower() else _error(404, "Not Found")

    async def _list(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        wanted = {key: value for key, value in request.query.items() if key in ("sha", "ref", "task", "environment")}
        found = [
            _without_statuses(deployment)
            for deployment in reversed(self.deployments.get(_repository(request), []))
            if all(deployment[key] == value for key, value in wanted.items())
        ]
        return web.json_response(found[: int(request.query.get("per_page", PAGE_SIZE))])

    async def _create(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        body = await request.json()
        if body["ref"] in self.switches.unknown_commits:
            return _error(422, f"No ref found for: {body['ref']}")
        deployment: Json = {
            "id": next(self._ids),
            "sha": body["ref"],
            "ref": body["ref"],
            "task": body.get("task", "deploy"),
            "payload": body.get("payload", ""),
            "environment": (environment := body.get("environment", "production")),
            "production_environment": body.get("production_environment", environment == "production"),
            "description": body.get("description"),
            "created_at": _now(),
            "statuses": [],
        }
        self.deployments.setdefault(_repository(request), []).append(deployment)
        return web.json_response(_without_statuses(deployment), status=201)

    def _find(self, request: web.Request) -> Json | None:
        known = self.deployments.get(_repository(request), [])
        return next((item for item in known if str(item["id"]) == request.match_info["id"]), None)

    async def _statuses(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        found = self._find(request)
        if found is None:
            return _error(404, "Not Found")
        return web.json_response(found["statuses"][::-1][: int(request.query.get("per_page", PAGE_SIZE))])

    async def _add_status(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        found, body = self._find(request), await request.json()
        if found is None:
            return _error(404, "Not Found")
        if body.get("state") not in STATES or len(body.get("description", "")) > 140:
            return _error(422, "Validation Failed")
        if body["state"] == "success" and body.get("auto_inactive", True):
            self._deactivate_others(request, found)
        status = self._status(body["state"], body.get("description", ""), body.get("log_url", ""))
        found["statuses"].append(status)
        return web.json_response(status, status=201)

    def _deactivate_others(self, request: web.Request, kept: Json) -> None:
        """Give the environment's other successful deployments the status that ``auto_inactive`` promises."""
        for other in self.deployments[_repository(request)]:
            is_active = other["statuses"] and other["statuses"][-1]["state"] == "success"
            is_active = is_active and not other["production_environment"]
            if other is not kept and other["environment"] == kept["environment"] and is_active:
                other["statuses"].append(self._status("inactive", "", ""))

    def _status(self, state: str, description: str, log_url: str) -> Json:
        return {
            "id": next(self._ids),
            "state": state,
            "description": description,
            "log_url": log_url,
            "target_url": log_url,
            "created_at": _now(),
        }


def _repository(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}".lower()


def _without_statuses(deployment: Json) -> Json:
    return {key: value for key, value in deployment.items() if key != "statuses"}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(status: int, message: str) -> web.Response:
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")
