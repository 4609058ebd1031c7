"""Decodes text of files that people write: UTF-8, and UTF-16 or UTF-32, which Windows tools write."""

from __future__ import annotations

import codecs

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose BOM begins it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode_text(data: bytes) -> str:
    """The text without its BOM; raises UnicodeDecodeError.

    Without a BOM, a NUL in the first character shows UTF-16: JSON and YAML begin with an ASCII character.
    """
    for bom, encoding in BOMS:
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding)
    if b"\0" in data[:2]:
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le")
    return data.decode()


def repair_text(text: str) -> str:
    """The text of a message without a BOM, and without what UTF-16 looks like where it was decoded as UTF-8."""
    text = text.lstrip("\ufeff")
    return text.replace("\0", "").lstrip("\ufffd") if "\0" in text else text
