"""Who runs a command, as the platform says: from the claims of the access token, with the user's own note beside it.

The token's signature is not verified: the token came from Entra over TLS, and storage verifies it at each write. A
changed program can record any author; the logs of the storage account then show the real one (SECURITY.md).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

NO_TOKEN = "a key of the storage account"
UNREADABLE = "somebody whose access token has no readable claims"
NAME_CLAIMS = ("upn", "unique_name", "preferred_username", "email")
"""The claims that name a person, by preference."""
APP_CLAIMS = ("appid", "azp")
WORD = re.compile(r"[\w.@#+'!$%&*=?^{|}~/-]{1,200}")
"""What a name or an id consists of; another text could pretend to be a name with a note."""


def identity_of(token: str) -> str:
    """Return who an access token names: ``ada@contoso.com (<object id>)``, or ``app <id> (<object id>)``."""
    claims = _claims(token)
    object_id = _first(claims, ("oid",))
    person, app = _first(claims, NAME_CLAIMS), _first(claims, APP_CLAIMS)
    name = person or (f"app {app}" if app else "")
    if name and object_id:
        return f"{name} ({object_id})"
    return name or object_id or UNREADABLE


def author(identity: str, note: str | None) -> str:
    """Return the author to record: the identity comes first, and the note cannot stand before it."""
    return f"{identity}, note: {note}" if note else identity


def _claims(token: str) -> Mapping[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _first(claims: Mapping[str, Any], names: tuple[str, ...]) -> str:
    values = (claims.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and WORD.fullmatch(value)), "")
