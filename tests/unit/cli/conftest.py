"""The fixture of the command line's unit tests."""

from __future__ import annotations

import pytest

from tests.support.app import App


@pytest.fixture
def app() -> App:
    return App()
