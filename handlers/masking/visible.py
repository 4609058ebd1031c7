r"""Shows characters that act on a terminal, a log or a page as text: ESC becomes the four characters ``\x1b``."""

from __future__ import annotations

import re

SOFT_HYPHEN = "\u00ad"
MARKS = "\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
"""Bidi marks, embeddings and isolates; zero-width characters; annotations and tags, which nothing shows."""
SEPARATORS = "\u2028\u2029"
SURROGATES = "\ud800-\udfff"
CONTROLS = re.compile(rf"[\x00-\x1f\x7f-\x9f{SOFT_HYPHEN}{MARKS}{SEPARATORS}{SURROGATES}]")
MAX_LINE_CHARS = 2_000
"""Of a line or a cell of a command's output; what is recorded is shorter already."""
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, keep: str = "") -> str:
    """The text in one line, without any character that a terminal, a log or a browser acts on.

    ``keep``: characters that stay, such as the line breaks of a layout of our own.
    """
    if text.isascii() and text.isprintable():
        return text
    return CONTROLS.sub(lambda match: match[0] if match[0] in keep else _name(match[0]), text)


def visible_line(text: str, max_chars: int = MAX_LINE_CHARS) -> str:
    """A text of others as it is shown: in one line, without characters that act on anything, and not endless."""
    line = visible(text)
    return line if len(line) <= max_chars else f"{line[: max_chars - 1]}…"


def visible_json(text: str) -> str:
    """A JSON document with these characters as JSON's own escapes; the document still says the same."""
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return CONTROLS.sub(lambda match: match[0] if match[0] in "\n\r\t" else _json_escape(match[0]), text)


def _name(char: str) -> str:
    code = ord(char)
    if char in SHORT:
        return SHORT[char]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(char: str) -> str:
    code = ord(char)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
