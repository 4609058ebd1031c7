"""The dataset of ``release.evaluate``: JSON lines beside agents.yaml, each a question and what its answer must have.

Messages name lines and keys and never quote a row: they may end in logs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core import answer_schema
from core.agents_file.fields import check_expression
from core.similar_names import did_you_mean, most_similar

MAX_BYTES = 1_000_000
"""Foundry gives the rows of a run back with their answers, and an answer of Foundry has a limit."""
MAX_ROWS = 1_000
MAX_PROBLEMS = 10
"""More are counted, not listed."""
TOO_DEEP = f"is nested too deeply; the maximum is {answer_schema.MAX_DEPTH} levels"
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
EXAMPLE = '{"ask": "ping", "expect": "pong"}'
KEYS = ("ask", "post", "expect", "contains", "schema", "reference")


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """A question, and what is known of its answer."""

    line: int
    ask: str | None = None
    post: Any = None
    expect: str | None = None
    contains: tuple[str, ...] = ()
    schema: Mapping[str, Any] | bool | None = None
    reference: str | None = None

    def has(self, key: str) -> bool:
        """Whether the row has a value of that key."""
        return getattr(self, key) not in (None, ())

    @property
    def question(self) -> str:
        """The question as text."""
        return self.ask if self.ask is not None else json.dumps(self.post, ensure_ascii=False)


@lru_cache(maxsize=4)  # agents and their stages often share a dataset
def parse_dataset(data: bytes) -> tuple[tuple[EvaluationRow, ...], tuple[str, ...]]:
    """The rows of a dataset, and everything that is wrong with it."""
    if len(data) > MAX_BYTES:
        return (), (f"has {len(data):,} bytes; the maximum is {MAX_BYTES:,}",)
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        return (), (_not_utf_8(data[: error.start].count(b"\n") + 1),)
    if data[:2] in (b"{\0", b"\0{"):  # UTF-16 without a BOM, which decodes as UTF-8
        return (), (_not_utf_8(1),)
    rows: list[EvaluationRow] = []
    problems: list[str] = []
    first_lines: dict[str, int] = {}
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = _parse(line, text)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        first = first_lines.setdefault(json.dumps(_values(row), sort_keys=True), line)
        problems += [f"line {line}: repeats line {first}"] if first != line else []
        rows.append(row)
    return tuple(rows), tuple(_few(problems) or _of_all(rows))


def _not_utf_8(line: int) -> str:
    return f"line {line}: is not UTF-8 text; save the file as UTF-8"


def _of_all(rows: list[EvaluationRow]) -> Iterator[str]:
    if not rows:
        yield f"is empty; write a row such as {EXAMPLE} on each line"
    if len(rows) > MAX_ROWS:
        yield f"has {len(rows):,} rows; the maximum is {MAX_ROWS:,}"


def _few(problems: list[str]) -> list[str]:
    left_out = len(problems) - MAX_PROBLEMS
    return problems if left_out <= 0 else [*problems[:MAX_PROBLEMS], f"{left_out} more lines are wrong"]


def _values(row: EvaluationRow) -> dict[str, Any]:
    return {key: getattr(row, key) for key in KEYS}


def _parse(line: int, text: str) -> EvaluationRow:
    """A row; raises ValueError."""
    try:
        values = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} in column {error.colno}") from error
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    if answer_schema.is_too_deep(values):
        raise ValueError(TOO_DEEP)
    if LONE_SURROGATE.search(json.dumps(values, ensure_ascii=False)):
        raise ValueError("has half of a surrogate pair, such as \\ud83d alone, which is not text")
    problems = _problems(values) if isinstance(values, dict) else iter([f"is not an object such as {EXAMPLE}"])
    if problem := next(problems, ""):
        raise ValueError(problem)
    contains = values.get("contains") or ()
    values["contains"] = (contains,) if isinstance(contains, str) else tuple(contains)
    return EvaluationRow(line, **values)


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("has a key twice")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"has {name}, which is not JSON")


def _number(text: str) -> float:
    """A number that other readers of JSON can read too."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"has a number of {len(text):,} characters that is too large; the maximum is about 1.8e308")
    return number if set(text) & set(".eE") else int(text)


DECODER = json.JSONDecoder(
    object_pairs_hook=_without_repeated_keys, parse_constant=_no_constant, parse_float=_number, parse_int=_number
)


def _problems(values: Mapping[str, Any]) -> Iterator[str]:
    for key in (key for key in values if key not in KEYS):
        hint = did_you_mean(most_similar(key.lower(), KEYS), f"valid keys are {', '.join(KEYS)}")
        yield f"has the unknown key {key[:40]!r}; {hint}"
    has_ask, has_post = (values.get(key) is not None for key in ("ask", "post"))
    if has_ask == has_post:
        found = "both ask and post; keep" if has_ask else "no question; write"
        yield f"has {found} either ask (responses protocol) or post (invocations protocol)"
    for key in ("ask", "expect", "reference"):
        if values.get(key) is not None and (not isinstance(values[key], str) or not values[key].strip()):
            yield f"has a value of {key} that is not text"
    yield from _content_problems(values)


def _content_problems(values: Mapping[str, Any]) -> Iterator[str]:
    contains = values.get("contains", "any")
    texts = [contains] if isinstance(contains, str) else contains
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        yield "has a value of contains that is neither text nor a list of texts"
    try:
        check_expression(values.get("expect") or "")
    except ValueError:
        yield "has a value of expect that is not an RE2 expression of at most 1,000 characters"
    if values.get("schema") is not None and (problem := answer_schema.schema_problem(values["schema"])):
        yield f"has a schema that {problem}"
