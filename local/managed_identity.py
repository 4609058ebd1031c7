"""The managed identity endpoint of App Service: a token for any resource.

Lacks: unknown client ids, expiry (a token lasts a day), and signatures.
"""

from __future__ import annotations

import base64
import json
import time

from aiohttp import web

from local.arm import APP, CLIENT
from local.stand_in import StandIn

LIFETIME = 24 * 3600
IDENTITY_HEADER = "local"
"""Value of the app's setting IDENTITY_HEADER; in Azure it is a secret that only the app knows."""


class ManagedIdentity(StandIn):
    """Serves ``IDENTITY_ENDPOINT``."""

    name = "identity"

    def routes(self) -> list[web.RouteDef]:
        """Return the token route."""
        return [web.get("/msi/token", self._token)]

    async def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER:
            return web.json_response({"statusCode": 401, "message": "X-IDENTITY-HEADER is missing"}, status=401)
        resource = request.query.get("resource", "")
        now = int(time.time())
        claims: dict[str, object] = {
            "aud": resource,
            "iss": "https://sts.windows.net/local/",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "appid": CLIENT,
            "oid": APP,
        }
        token = ".".join((_encode({"alg": "none", "typ": "JWT"}), _encode(claims), _encode({})))
        body = {
            "access_token": token,
            "expires_on": str(now + LIFETIME),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": request.query.get("client_id", ""),
        }
        return web.json_response(body)


def _encode(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
