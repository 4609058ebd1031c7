"""The first event of a process: imports, and tokens beside them."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from handlers.gateways.cold_start import FOUNDRY, STORAGE, prepare


class Credential:
    """Keeps what it was asked for; fails, or never answers, as it was made to."""

    def __init__(self, error: Exception | None = None, *, answers: bool = True) -> None:
        self.scopes: list[str] = []
        self._error, self._answers = error, answers

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        if self._error:
            raise self._error
        if not self._answers:
            await asyncio.Event().wait()
        return AccessToken("token", 0)

    async def close(self) -> None:
        return

    async def __aenter__(self) -> Credential:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


async def test_modules_are_imported_and_tokens_asked_for() -> None:
    credential = Credential()
    await prepare(["json", "colorsys"], credential, [STORAGE, FOUNDRY])
    assert "colorsys" in sys.modules
    assert credential.scopes == ["https://storage.azure.com/.default", "https://ai.azure.com/.default"]


@pytest.mark.parametrize("error", [ClientAuthenticationError("no identity"), None])
async def test_a_token_that_does_not_come_is_left_to_the_calls_that_need_it(error: Exception | None) -> None:
    credential = Credential(error, answers=False)
    await prepare([], credential, [STORAGE], max_token_seconds=0.01)
    assert credential.scopes == ["https://storage.azure.com/.default"]


async def test_an_import_that_fails_fails_the_event() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        await prepare(["no_such_module"], Credential(), [])
