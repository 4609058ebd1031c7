"""Values that break programs, and good ones bent until they might."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from hypothesis import strategies as st

DEEP = "[" * 200 + "]" * 200
ODD: list[Any] = [
    None,
    True,
    False,
    "",
    " ",
    "\x00",
    "\n",
    "\ud800",
    "a\udfffb",
    "\u202e",
    "²",
    "٣",
    "%s%n{0}{x}",
    "../../etc/passwd",
    "${{connections.x}}",
    "sha256:",
    "sha256:" + "A" * 64,
    "x" * 2_000,
    "1" * 5_000,
    "null",
    0,
    -1,
    1,
    2**31,
    2**63,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("inf"),
    float("nan"),
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    {"\ud800": "\ud800"},
    json.loads(DEEP),
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-02-30T25:61:61Z",
]
"""Each has broken some program: halves of characters, digits that are none, numbers without end, nests."""
ODDITIES = st.integers(0, len(ODD) - 1).map(lambda number: deepcopy(ODD[number]))
LEAVES = ODDITIES | st.text(max_size=12) | st.integers() | st.floats()
VALUES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=6), below, max_size=3)
)
"""Any JSON value, and what Python's reader takes besides."""
NOISE = ["", "\x00", '"', "}", "]", ",", "\\", "\\ud800", "\ufeff", "é", "\u2028", "NaN", "1e999", "9" * 5_000, DEEP]


CODES = st.integers(0, 2**48 - 1)
"""Many small choices in one: a draw costs Hypothesis far more than what is chosen by it costs the product."""
BENDS = ["odd", "odd", "odd", "any", "remove", "rename", "wrap", "swap"]
HURTS = ["whole", "whole", "whole", "whole", "cut", "noise", "unescaped"]
T = TypeVar("T")


def pick(code: int, options: Sequence[T]) -> tuple[int, T]:
    """One of the options, and what is left of the code."""
    left, number = divmod(code, len(options))
    return left, options[number]


def bent(*wholes: Any) -> st.SearchStrategy[Any]:
    """One of the values, with up to four of its places replaced, removed, renamed or wrapped."""
    texts = [json.dumps(whole) for whole in wholes]

    @st.composite
    def value(draw: st.DrawFn) -> Any:
        code, text = pick(draw(CODES), texts)
        code, bends = pick(code, [0, 1, 1, 1, 2, 4])
        whole = json.loads(text)
        for _ in range(bends):
            _bend(draw, whole)
        return whole

    return value()


def _bend(draw: st.DrawFn, whole: Any) -> None:
    if not (places := list(_places(whole))):
        return
    code, (container, key) = pick(draw(CODES), places)
    code, how = pick(code, BENDS)
    before = container.pop(key)
    if how == "rename" and isinstance(container, dict):
        container[pick(code, ["", "\ud800", "name", "version", "agents"])[1]] = before
    elif how != "remove":
        after = draw(VALUES) if how == "any" else _other(how, before, code)
        container.update({key: after}) if isinstance(container, dict) else container.insert(key, after)


def _other(how: str, before: Any, code: int) -> Any:
    if how == "odd":
        return deepcopy(pick(code, ODD)[1])
    return [before] if how == "wrap" else str(before)[:3_000]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


@st.composite
def written(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> str:
    """A value as JSON, now and then damaged on its way: cut off, or with something in its middle."""
    text = json.dumps(draw(values))
    code, how = pick(draw(CODES), HURTS)
    if how == "whole":
        return text
    if how == "unescaped":
        return utf8(json.dumps(json.loads(text), ensure_ascii=False))
    code, at = pick(code, range(len(text) + 1))
    return text[:at] if how == "cut" else text[:at] + pick(code, NOISE)[1] + text[at:]


def utf8(text: str) -> str:
    """Text as the host hands it over, which is always UTF-8: half characters come as escapes of JSON alone."""
    return text.encode("utf-8", "replace").decode()


def as_bytes(text: str) -> bytes:
    """What a socket may bring: half characters are bytes there that are no UTF-8."""
    return text.encode("utf-8", "surrogatepass")
