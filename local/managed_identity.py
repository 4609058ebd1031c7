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
IDENTITY_HEADER, PERSON_HEADER = "local", "local-person"
"""Values of the setting IDENTITY_HEADER: that of the app, which in Azure only the app knows, and that of commands."""
CLAIMS = {
    IDENTITY_HEADER: {"appid": CLIENT, "oid": APP},
    PERSON_HEADER: {"upn": "you@laptop", "oid": "your-object-id"},
}
"""Who a token names: the app's identity, or the person at the laptop, as after ``az login``."""


class ManagedIdentity(StandIn):
    """Serves ``IDENTITY_ENDPOINT``."""

    name = "identity"

    def routes(self) -> list[web.RouteDef]:
        """Return the token route."""
        return [web.get("/msi/token", self._token)]

    async def _token(self, request: web.Request) -> web.Response:
        named = CLAIMS.get(request.headers.get("X-IDENTITY-HEADER", ""))
        if named is None:
            return web.json_response({"statusCode": 401, "message": "X-IDENTITY-HEADER is missing"}, status=401)
        resource = request.query.get("resource", "")
        now = int(time.time())
        claims: dict[str, object] = {
            "aud": resource,
            "iss": "https://sts.windows.net/local/",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            **named,
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
