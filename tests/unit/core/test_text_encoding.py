"""Text as Windows tools write it."""

from __future__ import annotations

import codecs

import pytest

from core.text_encoding import decode_text, repair_text

TEXT = '{"a": "ä"}'


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(TEXT.encode(), id="UTF-8"),
        pytest.param(TEXT.encode("utf-8-sig"), id="UTF-8 with a BOM"),
        pytest.param(TEXT.encode("utf-16"), id="UTF-16"),
        pytest.param(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), id="UTF-16, the other order"),
        pytest.param(TEXT.encode("utf-16-le"), id="UTF-16 without a BOM"),
        pytest.param(TEXT.encode("utf-16-be"), id="UTF-16 without a BOM, the other order"),
        pytest.param(TEXT.encode("utf-32"), id="UTF-32"),
        pytest.param(codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"), id="UTF-32, the other order"),
    ],
)
def test_text_is_decoded(data: bytes) -> None:
    assert decode_text(data) == TEXT


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\xff", b"\xff\xfe\x00\xd8"])
def test_other_bytes_are_not_text(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_text(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_message_that_was_decoded_as_utf_8_is_repaired(encoding: str) -> None:
    assert repair_text('{"a": 1}'.encode(encoding).decode("utf-8", "replace")) == '{"a": 1}'
