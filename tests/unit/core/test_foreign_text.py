"""Words of others compare as they came, and show nothing by themselves."""

from __future__ import annotations

import copy
import json

import pytest

from core.foreign_text import LEFT_OUT, ForeignText, as_came
from core.service_codes import is_public, is_service_code

SECRET = "WHOLE-secret-51b2"


def test_words_of_others_compare_as_they_came() -> None:
    text = ForeignText(f"Key={SECRET}")
    assert text == f"Key={SECRET}" == text
    assert text != "Key="
    assert text == ForeignText(text)
    assert hash(text) == hash(f"Key={SECRET}")
    assert "secret" in text
    assert not text.__contains__(5)
    assert text.casefold() == f"key={SECRET.casefold()}"
    assert as_came(text) == f"Key={SECRET}"
    assert as_came("own words") == "own words"


@pytest.mark.parametrize(
    "shown",
    [
        lambda text: f"{text}",
        str,
        repr,
        lambda text: "code: " + text,
        lambda text: " ".join([text]),
        lambda text: text[:30],
        lambda text: text.lower(),
        lambda text: text.replace("x", "y"),
        lambda text: "%s" % text,  # noqa: UP031 - one of the ways
        lambda text: text.encode().decode(),
        lambda text: json.dumps({"text": text}),
        lambda text: repr([text]),
        lambda text: f"{copy.deepcopy(text)}",
        lambda text: str(ValueError(text)),
    ],
)
def test_no_way_to_make_a_text_of_them_shows_them(shown: object) -> None:
    assert callable(shown)
    assert SECRET not in str(shown(ForeignText(SECRET)))


def test_no_words_are_no_words() -> None:
    assert not ForeignText("")
    assert f"{ForeignText('x')}" == LEFT_OUT


@pytest.mark.parametrize(
    "code", ["404", "ImageError", "image_pull_failed", "AgentVersionNotReady", "Resource-Not-Found"]
)
def test_a_code_that_everybody_knows_is_public(code: str) -> None:
    assert is_public(code)


@pytest.mark.parametrize("code", ["", SECRET, "1234567", "²", "hunter", "ImageError2", "ImageErrorhunter"])
def test_any_other_code_is_not(code: str) -> None:
    assert not is_public(code)


def test_codes_of_the_service_are_those_that_no_agent_gives() -> None:
    assert is_service_code("agent_version_not_ready")
    assert not is_service_code("ImageError")
