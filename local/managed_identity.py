"""The managed identity endpoint of App Service: a token for whatever resource is asked for.

Lacks: client ids that do not exist, expiry (a token lasts a day), and any signature.
"""

from __future__ import annotations

import base64
import json
import time

from aiohttp import web

from local.stand_in import StandIn

LIFE = 24 * 3600
HEADER = "local"
"""What IDENTITY_HEADER holds, as Azure puts a secret there that only the app knows."""


class Identity(StandIn):
    """``IDENTITY_ENDPOINT``."""

    name = "identity"

    def routes(self) -> list[web.RouteDef]:
        """The one endpoint."""
        return [web.get("/msi/token", self._token)]

    async def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != HEADER:
            return web.json_response({"statusCode": 401, "message": "X-IDENTITY-HEADER is missing"}, status=401)
        resource = request.query.get("resource", "")
        now = int(time.time())
        claims: dict[str, object] = {
            "aud": resource,
            "iss": "https://sts.windows.net/local/",
            "iat": now,
            "nbf": now,
            "exp": now + LIFE,
        }
        token = ".".join((_part({"alg": "none", "typ": "JWT"}), _part(claims), _part({})))
        body = {
            "access_token": token,
            "expires_on": str(now + LIFE),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": request.query.get("client_id", ""),
        }
        return web.json_response(body)


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
