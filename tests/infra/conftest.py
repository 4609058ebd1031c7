"""A cloud for each test, on stand-ins in a thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.background import Background
from local.rehearsal import azd_token
from local.tls import Authority
from tests.infra.cloud import Cloud


@pytest.fixture(scope="module")
def background() -> Iterator[Background]:
    with Background() as running:
        yield running


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def cloud(background: Background, tls: Authority, tmp_path: Path) -> Iterator[Cloud]:
    running = Cloud(background, tls, azd_token.install(tmp_path / "bin"))
    running.start()
    yield running
    running.stop()
