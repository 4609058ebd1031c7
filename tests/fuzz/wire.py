"""What a service may answer below the real SDKs: any status, headers, bytes, and lines that break."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.fuzz.values import CODES, VALUES, as_bytes, bent, pick, written

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
    """What comes over the line, and where it breaks: before the head, or in the body."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    breaks: str = ""


def refused(challenge: str) -> Answer:
    """What a service answers to whoever did not sign in."""
    return Answer(401, (("WWW-Authenticate", challenge),))


@dataclass
class Line:
    """An aiohttp session that plays answers back, one a request; nobody answers once they are used up."""

    answers: list[Answer] = field(default_factory=list)
    requests: int = 0
    then: Answer | None = None
    """What comes once they are used up; None: nobody answers."""

    async def __aenter__(self) -> Line:
        return self

    async def close(self) -> None:
        """Nothing is open."""

    async def request(self, method: str, url: str, **_: Any) -> _Response:
        self.requests += 1
        answer = self.answers.pop(0) if self.answers else self.then or Answer(breaks="closed")
        if answer.breaks and answer.breaks != "half":
            raise BREAKS[answer.breaks]()
        return _Response(answer, method, url)

    def transport(self) -> AioHttpTransport:
        """The real transport on this line."""
        line: Any = self
        return AioHttpTransport(session=line, session_owner=False)


class _Response:
    """As much of aiohttp's response as azure-core reads."""

    def __init__(self, answer: Answer, method: str, url: str) -> None:
        self.status, self.reason, self.method, self.url = answer.status, "reason", method, url
        self.headers = CIMultiDict({"Content-Type": "application/json", **dict(answer.headers)})
        self._answer, self._left = answer, answer.body
        self.content = self

    async def read(self, size: int = -1) -> bytes:
        if self._answer.breaks == "half":
            raise aiohttp.ClientPayloadError("half of it")
        read, self._left = (self._left, b"") if size < 0 else (self._left[:size], self._left[size:])
        return read

    def close(self) -> None:
        """Nothing is open."""

    def release(self) -> None:
        """Nothing is open."""


ERRORS = bent(
    {"error": {"code": "not_found", "message": "no such agent", "innererror": {"code": "SecretDisabled"}}},
    {"error": {"code": "UserError", "message": "Too many valid agent revisions", "details": [{"code": "x"}]}},
    {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "x", "detail": {}}]},
)


HOW = ["good"] * 5 + ["bent"] * 7 + ["error", "error", "raw", "break"]
RAW = [b"<html>", b"", b"[", b"\x1f\x8b", b"\xff" * 9, b'<?xml version="1.0"?><a/>', b"\x00", b"null", b"1" * 5_000]


def answer(*bodies: Any) -> st.SearchStrategy[Answer]:
    """An answer that is nearly one of these, or an error, or neither."""
    good = written(bent(*bodies)).map(as_bytes)
    odd = written(bent(*bodies) | VALUES).map(as_bytes)
    error = written(ERRORS).map(as_bytes)

    @st.composite
    def value(draw: st.DrawFn) -> Answer:
        code, how = pick(draw(CODES), HOW)
        if how == "break":
            return Answer(breaks=pick(code, list(BREAKS))[1])
        code, raw = pick(code, RAW)
        body = raw if how == "raw" else draw({"good": good, "bent": odd, "error": error}[how])
        code, plain = pick(code, [True, False])
        if how == "good" or (how == "bent" and plain):
            return Answer(body=body)
        code, status = pick(code, STATUSES)
        return Answer(status, _headers(code), body)

    return value()


def _headers(code: int) -> tuple[tuple[str, str], ...]:
    """None, one or two."""
    code, count = pick(code, [0, 0, 1, 1, 2])
    found = {}
    for _ in range(count):
        code, (name, values) = pick(code, HEADERS)
        code, found[name] = pick(code, values)
    return tuple(found.items())


def script(*bodies: Any, longest: int = 3) -> st.SearchStrategy[list[Answer]]:
    """Answers one after another."""
    return st.lists(answer(*bodies), min_size=1, max_size=longest)
