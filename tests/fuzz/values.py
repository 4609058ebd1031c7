"""Values that often break programs, and mutations of valid values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from hypothesis import strategies as st

DEEP = "[" * 200 + "]" * 200
STRANGE_VALUES: list[Any] = [
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
"""Each has broken some program: lone surrogates, digits outside ASCII, huge numbers, deep nesting."""
STRANGE = st.integers(0, len(STRANGE_VALUES) - 1).map(lambda number: deepcopy(STRANGE_VALUES[number]))
LEAVES = STRANGE | st.text(max_size=12) | st.integers() | st.floats()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
"""Any value that Python's JSON parser can return."""
NOISE = ["", "\x00", '"', "}", "]", ",", "\\", "\\ud800", "\ufeff", "é", "\u2028", "NaN", "1e999", "9" * 5_000, DEEP]


CODES = st.integers(0, 2**48 - 1)
"""One draw for many small choices: a draw of Hypothesis takes much longer than a run of the product."""
MUTATIONS = ["strange", "strange", "strange", "any", "remove", "rename", "wrap", "swap"]
DAMAGES = ["none", "none", "none", "none", "cut", "noise", "unescaped"]
T = TypeVar("T")


def pick(code: int, options: Sequence[T]) -> tuple[int, T]:
    """Choose an option, and return the rest of the code with it."""
    left, number = divmod(code, len(options))
    return left, options[number]


def mutated(*values: Any) -> st.SearchStrategy[Any]:
    """One of the values, with up to four of its parts replaced, removed, renamed or wrapped."""
    texts = [json.dumps(value) for value in values]

    @st.composite
    def mutated_value(draw: st.DrawFn) -> Any:
        code, text = pick(draw(CODES), texts)
        code, mutations = pick(code, [0, 1, 1, 1, 2, 4])
        value = json.loads(text)
        for _ in range(mutations):
            _mutate(draw, value)
        return value

    return mutated_value()


def _mutate(draw: st.DrawFn, value: Any) -> None:
    if not (parts := list(_parts(value))):
        return
    code, (container, key) = pick(draw(CODES), parts)
    code, mutation = pick(code, MUTATIONS)
    before = container.pop(key)
    if mutation == "rename" and isinstance(container, dict):
        container[pick(code, ["", "\ud800", "name", "version", "agents"])[1]] = before
    elif mutation != "remove":
        after = draw(VALUES) if mutation == "any" else _replacement(mutation, before, code)
        container.update({key: after}) if isinstance(container, dict) else container.insert(key, after)


def _replacement(mutation: str, before: Any, code: int) -> Any:
    if mutation == "strange":
        return deepcopy(pick(code, STRANGE_VALUES)[1])
    return [before] if mutation == "wrap" else str(before)[:3_000]


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Container and key of each value inside."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _parts(value[key])


@st.composite
def serialized(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> str:
    """A value as JSON, sometimes damaged: cut off, or with text inserted."""
    text = json.dumps(draw(values))
    code, damage = pick(draw(CODES), DAMAGES)
    if damage == "none":
        return text
    if damage == "unescaped":
        return utf8(json.dumps(json.loads(text), ensure_ascii=False))
    code, at = pick(code, range(len(text) + 1))
    return text[:at] if damage == "cut" else text[:at] + pick(code, NOISE)[1] + text[at:]


def utf8(text: str) -> str:
    """Text as the host delivers it, always UTF-8: lone surrogates are possible only as JSON escapes."""
    return text.encode("utf-8", "replace").decode()


def as_bytes(text: str) -> bytes:
    """Bytes as a socket may deliver them: lone surrogates are bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogatepass")
