"""The fixture of the command line's unit tests."""

from __future__ import annotations

import pytest

from tests.unit.handlers.test_handlers import House


@pytest.fixture
def app() -> House:
    return House()
