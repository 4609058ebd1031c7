"""How clients reach the network: through a proxy where the environment names one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from handlers.gateways.http import connections


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [one for one in os.environ if one.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    connections.cache_clear()
    yield
    connections.cache_clear()


def test_the_environment_is_left_alone_where_it_names_no_proxy() -> None:
    assert connections() == {"use_env_settings": False}


def test_a_proxy_that_the_environment_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:8080")
    assert connections() == {"use_env_settings": True}
