"""Which parts of a secret are secret by themselves: lines, JSON leaves, members of a connection string or URL.

Many secrets are documents: SDKs and agents quote a part of one, never the whole. A part counts from 8 characters on,
and only if it is not an everyday text that would blank out unrelated lines: see ``is_everyday``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote, unquote_plus, urlsplit

MIN_CHARS = 8
"""A shorter value would be found in too many words that have nothing to do with it."""
MAX_PARTS = 200
MAX_DEPTH = 4
"""Of documents in documents: a connection string in a JSON leaf in a line."""
MIN_PATH_CHARS = 16
MIN_DIGITS = 16

Part = tuple[str, str]
"""The name that a part has in its document, and the part."""

SECRET_NAME = re.compile(r"pass|pwd|secret|key|token|sig|credential|auth|cert", re.IGNORECASE)
NOT_SECRET_NAME = re.compile(r"(name|id|type|uri|url|algorithm)$", re.IGNORECASE)
WORD = re.compile(r"[a-z]{1,24}|[A-Z]{1,24}|[A-Z][a-z]{1,23}")
NUMBER = re.compile(r"[\d\s.,:+/TZ-]+")
HOST = re.compile(
    r"([a-z][a-z0-9+.-]*:(//)?)?[\w-]+(\.[\w-]+)*\.(com|net|org|io|dev|ai|cloud|local|internal|us|cn|de|azure)"
    r"([:,]\d+)?/?",
    re.IGNORECASE,
)
ARMOUR = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")
EVERYDAY = frozenset(
    {
        "defaultendpointsprotocol", "endpointsuffix", "rootmanagesharedaccesskey", "service_account",
        "authorization_code", "client_credentials", "application/json", "localhost", "127.0.0.1", "read-only",
        "read-write", "verify-full", "http://", "https://",
    }
)  # fmt: skip
"""Values that stand in thousands of documents."""

MEMBER_NAME = re.compile(r"\??[A-Za-z_][\w .-]{0,63}")
YAML_MEMBER = re.compile(r"\s*[\"']?([A-Za-z_][\w .-]{0,63})[\"']?\s*:\s+(\S.*)")
SCHEME_AND_TOKEN = re.compile(r"(?i:bearer|basic|token|apikey)\s+(\S+)")
USER_AND_PASSWORD = re.compile(r"[^\s:/@]{1,64}:([^\s:/]+)")
NAMED_VALUES = (
    re.compile(r"([A-Za-z_][\w .-]{0,63})=\{([^{}]+)\}"),
    re.compile(r"<([A-Za-z_][\w.:-]{0,63})(?:\s[^<>]*)?>([^<>]+)</"),
    re.compile(r"[\"']([A-Za-z_][\w .-]{0,63})[\"']\s*:\s*[\"']([^\"']+)[\"']"),
)
"""A value in braces, which ODBC needs around ``;``; the text of an XML element; a member of a document like JSON."""
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s\"'<>]+")


def parts_of(value: str) -> tuple[str, ...]:
    """The parts of a value that are secret by themselves, without the value; at most 200."""
    found: dict[str, None] = {}
    _collect(value, found, 0)
    found.pop(value, None)
    return tuple(islice(found, MAX_PARTS))


def is_everyday(part: str, name: str = "") -> bool:
    """True for a part that is no secret by itself: one plain word, a number or date, a host, a known setting.

    What a document calls a password, a key or a token is secret whatever it consists of.
    """
    if name and SECRET_NAME.search(name) and not NOT_SECRET_NAME.search(name):
        return False
    if part.isdecimal() and len(part) >= MIN_DIGITS:
        return False
    patterns = (WORD, NUMBER, HOST, ARMOUR)
    return part.lower() in EVERYDAY or any(pattern.fullmatch(part) for pattern in patterns)


def _collect(text: str, found: dict[str, None], depth: int) -> None:
    if depth > MAX_DEPTH:
        return
    for name, raw in _inner(text):
        part = raw.strip()
        if len(part) < MIN_CHARS or part == text or part in found:
            continue
        if len(found) >= MAX_PARTS:
            return
        if not is_everyday(part, name):
            found[part] = None
        _collect(part, found, depth + 1)


def _inner(text: str) -> Iterator[Part]:
    """The parts of one document; those of a JSON document are its leaves, of any other its lines, members and URLs."""
    leaves = _json_leaves(text)
    if leaves is not None:
        yield from leaves
        return
    lines = text.splitlines()
    if len(lines) > 1:
        yield from (("", line) for line in lines)
        return
    if "=" in text:
        yield from _members(text)
    yield from _urls(text)
    for pattern in NAMED_VALUES:
        yield from ((match[1], match[2]) for match in pattern.finditer(text))
    if match := YAML_MEMBER.fullmatch(text):
        yield match[1], match[2].strip("\"'")
    if match := SCHEME_AND_TOKEN.fullmatch(text):
        yield "token", match[1]
    if (match := USER_AND_PASSWORD.fullmatch(text)) and not HOST.fullmatch(text):
        yield "password", match[1]


def _json_leaves(text: str) -> list[Part] | None:
    """The texts and numbers of a JSON document with the names that they have; None for any other text."""
    if text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "[", '"'):
        return None
    try:
        document = json.loads(text.lstrip("\ufeff"), parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    leaves, waiting = list[Part](), [("", document)]
    while waiting:
        name, node = waiting.pop()
        if isinstance(node, str):
            leaves.append((name, node))
        elif isinstance(node, dict):
            waiting += node.items()
        elif isinstance(node, list):
            waiting += [(name, item) for item in node]
    return leaves


def _members(text: str) -> Iterator[Part]:
    """The members of ``name=value;…``, of a query, of a DSN; a short value with its name."""
    for separator in (";", "&", ",", None):
        for member in text.split(separator):
            name, equals, value = member.partition("=")
            value = value.strip().strip("\"'")
            if not equals or not value or not MEMBER_NAME.fullmatch(name.strip()):
                continue
            yield name.strip(), value
            yield name.strip(), unquote_plus(value)
            if len(value) < MIN_CHARS and not is_everyday(value, name):
                yield name.strip(), member.strip()


def _urls(text: str) -> Iterator[Part]:
    """User, password, query and telling segments of the path of each URL in a text."""
    for match in URL.finditer(text):
        try:
            url = urlsplit(match[0])
        except ValueError:
            continue
        password, user = url.password or "", url.username or ""
        pairs = [("password", password), ("" if password else "token", user)]
        pairs += [(name, value) for name, _, value in (pair.partition("=") for pair in re.split("[&;]", url.query))]
        pairs += [("", part) for part in url.path.split("/") if len(part) >= MIN_PATH_CHARS and not part.isalpha()]
        pairs.append(("", url.fragment))
        for name, value in pairs:
            yield name, value
            yield name, unquote(value)
