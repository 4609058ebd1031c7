"""Numbers of agents.yaml: what is read is what the text says, and JSON can write it."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.agents_file.loader import AgentsFileError, load_agents

SCALARS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.integers(0, 2**70).map(hex),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(alphabet="0123456789abefx.+-_:eEo", min_size=1, max_size=12),
    st.sampled_from(["yes", "off", "~", "null", "=", "<<", "2026-13-45", ".inf", "-.INF", ".NaN", "1e999", "0" * 5000]),
)


def value_of(scalar: str) -> Any:
    data = f"agents: {{a: {{repository: a, more_definition: {{x: {scalar}}}}}}}"
    return load_agents(data.encode()).agents["a"].more_definition["x"]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [("5", 5), ("-5", -5), ("0x1F4", 500), ("1.5", 1.5), ("1.", 1.0), (".5", 0.5), ("+1.0e+3", 1000.0),
     (str(2**63 - 1), 2**63 - 1), (f"-{2**63}", -(2**63)), ("!!float 5", 5.0), ('"1e3"', "1e3"), ("v1e3", "v1e3"),
     ("2026-13-45", "2026-13-45"), ("=", "="), ("1.2.3", "1.2.3")],
)  # fmt: skip
def test_plain_numbers_and_text_are_read_as_they_are_written(scalar: str, value: object) -> None:
    assert (value_of(scalar), type(value_of(scalar))) == (value, type(value))


@settings(deadline=None)
@given(SCALARS)
@example("1:30")
@example("0x" + "f" * 6000)
def test_a_scalar_is_what_json_can_write_or_one_issue_in_its_line(scalar: str) -> None:
    try:
        value = value_of(scalar)
    except AgentsFileError as error:
        lines = str(error).splitlines()
        assert_is_one_issue(lines)
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    if isinstance(value, int | float) and not isinstance(value, bool) and not scalar.lower().startswith(("0x", "-0x")):
        assert value == float(Fraction(scalar)) or value == Fraction(scalar)


def assert_is_one_issue(lines: list[str]) -> None:
    assert len(lines) == 1
    assert "line 1: " in lines[0]
    assert len(lines[0]) < 400
