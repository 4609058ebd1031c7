"""Answers of a service below the real SDKs: any status, headers and bytes, and connections that break."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from hypothesis import strategies as st
from multidict import CIMultiDict

from handlers.gateways.answer_limits import MAX_ANSWER_BYTES, MAX_ANSWER_VALUES, LimitedResponse
from tests.fuzz.values import CODES, VALUES, as_bytes, mutated, pick, serialized

PIECE_BYTES = 65_536
BREAKS: dict[str, type[Exception]] = {
    "reset": aiohttp.ClientOSError,
    "closed": aiohttp.ServerDisconnectedError,
    "half": aiohttp.ClientPayloadError,
    "late": TimeoutError,
    "never": aiohttp.ConnectionTimeoutError,
    "odd": aiohttp.InvalidURL,
}
STATUSES = [*[200] * 4, 201, 202, 204, 206, 301, 304, 400, 401, 403, 404, 404, 405, 409, 412, 416, 424, 429, 429]
STATUSES += [500, 502, 503, 504, 599, 100, 0, 999]
HEADERS = [
    (
        "Content-Type",
        ["text/html", "application/json; charset=utf-16", "application/xml", "x", "", "text/plain;charset=odd"],
    ),
    ("Retry-After", ["0", "7", "-1", "1.5", "99999999999", "9" * 400, "²", "Wed, 21 Oct 2026 07:28:00 GMT", "soon"]),
    ("retry-after-ms", ["1", "x"]),
    ("Content-Length", ["0", "x", "-1", "9" * 30]),
    ("Content-Encoding", ["gzip", "deflate", "br"]),
    ("ETag", ["", '"1"', "\u00e9"]),
    (
        "WWW-Authenticate",
        ["Bearer", "Basic x", 'Bearer authorization="https://x", resource="https://y"', "Bearer realm=x"],
    ),
    ("Location", ["https://elsewhere.example/", "/", "//", "http://[::1"]),
    ("Link", ['</acr/v1/x?last=a>; rel="next"', "<>", "x"]),
    ("Docker-Content-Digest", ["sha256:" + "0" * 64, "x"]),
    ("x-ms-error-code", ["LeaseAlreadyPresent", "ContainerNotFound", "BlobNotFound", "\u00e9"]),
]


@dataclass(frozen=True)
class Answer:
    """An answer, and where its connection breaks: before the headers, or in the body."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    breaks: str = ""


def unauthorized(challenge: str) -> Answer:
    """The answer of a service to a request without a token."""
    return Answer(401, (("WWW-Authenticate", challenge),))


@dataclass
class ScriptedSession:
    """An aiohttp session that returns one scripted answer for each request."""

    answers: list[Answer] = field(default_factory=list)
    requests: int = 0
    then: Answer | None = None
    """The answer after the last one; None closes the connection."""

    async def __aenter__(self) -> ScriptedSession:
        return self

    async def close(self) -> None:
        """Do nothing."""

    async def request(self, method: str, url: str, **_: Any) -> _Response:
        self.requests += 1
        answer = self.answers.pop(0) if self.answers else self.then or Answer(breaks="closed")
        if answer.breaks and answer.breaks != "half":
            raise BREAKS[answer.breaks]()
        return _Response(answer, method, url)

    def transport(self) -> AioHttpTransport:
        """The real transport on this session."""
        session: Any = self
        return AioHttpTransport(session=session, session_owner=False)


class _Response:
    """The part of aiohttp's response that azure-core uses, with the limits of ours."""

    def __init__(self, answer: Answer, method: str, url: str) -> None:
        self.status, self.reason, self.method, self.url = answer.status, "reason", method, url
        self.headers = CIMultiDict({"Content-Type": "application/json", **dict(answer.headers)})
        self._answer, self._left = answer, answer.body
        self.content = self

    content_length = None

    async def iter_any(self) -> AsyncIterator[bytes]:
        """The body, in pieces."""
        for start in range(0, len(self._left), PIECE_BYTES):
            yield self._left[start : start + PIECE_BYTES]

    def at_eof(self) -> bool:
        return True

    async def read(self, size: int = -1) -> bytes:
        if self._answer.breaks == "half":
            raise aiohttp.ClientPayloadError("half of it")
        if size < 0:
            response: Any = self
            return await LimitedResponse.read(response)
        read, self._left = self._left[:size], self._left[size:]
        return read

    def close(self) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


ERRORS = mutated(
    {"error": {"code": "not_found", "message": "no such agent", "innererror": {"code": "SecretDisabled"}}},
    {"error": {"code": "UserError", "message": "Too many valid agent revisions", "details": [{"code": "x"}]}},
    {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "x", "detail": {}}]},
)


KINDS = ["good"] * 5 + ["wrong"] * 7 + ["error", "error", "raw", "break"]
RAW = [b"<html>", b"", b"[", b"\x1f\x8b", b"\xff" * 9, b'<?xml version="1.0"?><a/>', b"\x00", b"null", b"1" * 5_000]
RAW += [b"[" + b"{}," * MAX_ANSWER_VALUES + b"{}]", b'{"data": "' + b"x" * MAX_ANSWER_BYTES + b'"}']


def answer(*bodies: Any) -> st.SearchStrategy[Answer]:
    """An answer with one of these bodies, mutated, an error, or raw bytes."""
    good = serialized(mutated(*bodies)).map(as_bytes)
    wrong = serialized(mutated(*bodies) | VALUES).map(as_bytes)
    error = serialized(ERRORS).map(as_bytes)

    @st.composite
    def value(draw: st.DrawFn) -> Answer:
        code, kind = pick(draw(CODES), KINDS)
        if kind == "break":
            return Answer(breaks=pick(code, list(BREAKS))[1])
        code, raw = pick(code, RAW)
        body = raw if kind == "raw" else draw({"good": good, "wrong": wrong, "error": error}[kind])
        code, plain = pick(code, [True, False])
        if kind == "good" or (kind == "wrong" and plain):
            return Answer(body=body)
        code, status = pick(code, STATUSES)
        return Answer(status, _headers(code), body)

    return value()


def _headers(code: int) -> tuple[tuple[str, str], ...]:
    """Up to two headers."""
    code, count = pick(code, [0, 0, 1, 1, 2])
    found = {}
    for _ in range(count):
        code, (name, values) = pick(code, HEADERS)
        code, found[name] = pick(code, values)
    return tuple(found.items())


def script(*bodies: Any, longest: int = 3) -> st.SearchStrategy[list[Answer]]:
    """A sequence of answers."""
    return st.lists(answer(*bodies), min_size=1, max_size=longest)
