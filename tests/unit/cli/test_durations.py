"""Durations on the command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cli.durations import parse_duration
from cli.exit_codes import UsageError


def test_a_duration_is_written_as_in_agents_yaml() -> None:
    assert parse_duration("7d") == timedelta(days=7)
    with pytest.raises(UsageError, match="write 30s"):
        parse_duration("a week")
