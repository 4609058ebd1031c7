"""A dataset is read line by line; a message names lines and keys, and never quotes a row."""

from __future__ import annotations

import json

import pytest

from core.agents_file.dataset import MAX_BYTES, MAX_ROWS, parse_dataset

ROW = b'{"ask": "ping", "expect": "pong"}'


def test_rows_are_read_with_their_lines() -> None:
    other = b'{"post": {"a": 1}, "contains": "b", "schema": {"type": "object"}, "reference": "c"}'
    rows, problems = parse_dataset(b"\xef\xbb\xbf" + ROW + b"\r\n\n" + other + b"\n")
    assert problems == ()
    first, second = rows
    assert (first.line, first.ask, first.expect, first.question) == (1, "ping", "pong", "ping")
    assert (second.line, second.contains, second.question) == (3, ("b",), '{"a": 1}')
    assert [second.has(key) for key in ("ask", "post", "expect", "contains", "schema", "reference")] == [
        False,
        True,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty; write a row such as"),
        (b"\n \n", "is empty; write a row such as"),
        (b"a" * 10_000_000, f"has 10,000,000 bytes; the maximum is {MAX_BYTES:,}"),
        (ROW + b"\n" * 6 + b'{"ask": canary', "line 7: is not JSON: Expecting value in column 9"),
        (b'{"expect": "canary"}', "line 1: has no question; write either ask (responses protocol) or post"),
        (b'{"ask": "canary", "post": 1}', "line 1: has both ask and post; keep either ask"),
        (ROW + b"\n" + ROW, "line 2: repeats line 1"),
        (b'{"ask": "canary", "expct": "a"}', "line 1: has the unknown key 'expct'; did you mean expect?"),
        (b'{"ask": "canary", "zz": "a"}', "line 1: has the unknown key 'zz'; valid keys are ask, post"),
        (b'["canary"]', "line 1: is not an object such as"),
        (b'{"ask": ["canary"]}', "line 1: has a value of ask that is not text"),
        (b'{"ask": "canary", "reference": ""}', "line 1: has a value of reference that is not text"),
        (b'{"ask": "canary", "expect": "(canary"}', "line 1: has a value of expect that is not an RE2 expression"),
        (b'{"ask": "canary", "contains": []}', "line 1: has a value of contains that is neither text"),
        (b'{"ask": "canary", "contains": [1]}', "line 1: has a value of contains that is neither text"),
        (b'{"ask": "canary", "contains": null}', "line 1: has a value of contains that is neither text"),
        (b'{"ask": "canary", "schema": {"foo": 1}}', "line 1: has a schema that has the keyword 'foo'"),
        (b'{"ask": "canary", "ask": "b"}', "line 1: has a key twice"),
        (b'{"post": NaN}', "line 1: has NaN, which is not JSON"),
        (ROW + b'\n{"ask": "canary \xff"}\n\xff', "line 2: is not UTF-8 text"),
        ('{"ask": "canary"}\n{"ask": "b"}'.encode("utf-16"), "line 1: is not UTF-8 text"),
        *(('{"ask": "canary"}'.encode(name), "line 1: is not UTF-8 text; save") for name in ("utf-16-le", "utf-16-be")),
        (b"\0canary", "line 1: is not JSON: Expecting value in column 1"),
        (b'{"ask": "  "}', "line 1: has a value of ask that is not text"),
        (b'{"post": ' + b"[" * 100_000, "line 1: is nested too deeply; the maximum is 100 levels"),
        (b'{"post": ' + b"[" * 500 + b"]" * 500 + b"}", "line 1: is nested too deeply; the maximum is 100 levels"),
        (b'{"post": 1e999}', "line 1: has a number of 5 characters that is too large"),
        (b'{"post": [' + b"7" * 5_000 + b"]}", "line 1: has a number of 5,000 characters that is too large"),
        (b'{"ask": "canary \\ud83d"}', "line 1: has half of a surrogate pair"),
        (b'{"post": {"canary \\ude00": 1}}', "line 1: has half of a surrogate pair"),
        (b'{"ask": "canary", "schema": {"type": "text"}}', "line 1: has a schema that has a value at 'type' that JSON"),
    ],
)
def test_a_wrong_row_has_one_message_that_does_not_quote_it(data: bytes, problem: str) -> None:
    (found,) = parse_dataset(data)[1]
    assert found.startswith(problem)
    assert "canary" not in found


def test_numbers_text_and_depth_of_ordinary_rows_are_kept() -> None:
    body = {"whole": 2**70, "real": 1.5e3, "face": "\U0001f600", "nul": "\0", "deep": json.loads("[" * 90 + "]" * 90)}
    rows, problems = parse_dataset(json.dumps({"post": body}).encode())
    assert (rows[0].post, problems) == (body, ())
    assert isinstance(rows[0].post["whole"], int)


def test_many_wrong_rows_are_counted() -> None:
    problems = parse_dataset(b"{\n" * 12)[1]
    assert (len(problems), problems[-1]) == (11, "2 more lines are wrong")


def test_the_number_of_rows_has_a_limit() -> None:
    rows = b"\n".join(json.dumps({"ask": f"question {number}"}).encode() for number in range(MAX_ROWS + 1))
    assert parse_dataset(rows)[1] == ("has 1,001 rows; the maximum is 1,000",)
