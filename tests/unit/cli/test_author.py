"""The author of a command is whom the platform names; what the user writes is a note behind it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from cli.author import UNREADABLE, author, identity_of

OID = "11111111-2222-3333-4444-555555555555"
APP = "99999999-8888-7777-6666-555555555555"


def token(claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("claims", "identity"),
    [
        ({"oid": OID, "upn": "ada@contoso.com", "appid": APP}, f"ada@contoso.com ({OID})"),
        ({"oid": OID, "unique_name": "live.com#ada@outlook.com", "appid": APP}, f"live.com#ada@outlook.com ({OID})"),
        ({"oid": OID, "preferred_username": "ada@contoso.com", "azp": APP}, f"ada@contoso.com ({OID})"),
        ({"oid": OID, "appid": APP, "idtyp": "app"}, f"app {APP} ({OID})"),
        ({"oid": OID, "azp": APP}, f"app {APP} ({OID})"),
        ({"oid": OID}, OID),
        ({"appid": APP}, f"app {APP}"),
        ({}, UNREADABLE),
        ({"oid": OID, "upn": "ciso@contoso.com (0), note: x"}, OID),
        ({"oid": OID, "upn": "ciso\x1b[2J@contoso.com"}, OID),
        ({"oid": OID, "upn": "x" * 5000}, OID),
        ({"oid": OID, "upn": ["ada@contoso.com"]}, OID),
        ({"oid": 7, "upn": None}, UNREADABLE),
        (["oid"], UNREADABLE),
        ("oid", UNREADABLE),
        (None, UNREADABLE),
    ],
)
def test_the_identity_is_that_of_the_claims(claims: Any, identity: str) -> None:
    assert identity_of(token(claims)) == identity


@pytest.mark.parametrize("text", ["", "local", "a.b", "a.b.c", "a.%%%.c", "a.e.c", "..", "a.8J-YgA.c", "é.é.é"])
def test_a_token_without_claims_names_nobody(text: str) -> None:
    assert identity_of(text) == UNREADABLE


def test_a_deeply_nested_token_names_nobody() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    assert identity_of(f"a.{deep}.c") == UNREADABLE


@pytest.mark.parametrize(
    ("note", "recorded"),
    [
        (None, f"ada@contoso.com ({OID})"),
        ("", f"ada@contoso.com ({OID})"),
        ("change 4711", f"ada@contoso.com ({OID}), note: change 4711"),
        ("ciso@contoso.com (0)", f"ada@contoso.com ({OID}), note: ciso@contoso.com (0)"),
    ],
)
def test_a_note_stands_behind_the_identity_and_never_for_it(note: str | None, recorded: str) -> None:
    assert author(f"ada@contoso.com ({OID})", note) == recorded
