"""How a value is spelled: the texts to search for, and the ways in which a text is read to find them.

Base64 and hex are the same wherever the value stands, so they are searched for. In URLs, JSON, ``repr`` and HTML every
program escapes the characters that it likes, and often more than once; so there the text's escapes are undone.
"""

from __future__ import annotations

import json
import re
import unicodedata
from base64 import a85encode, b32encode, b64encode, b85encode
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator

MAX_ROUNDS = 4
"""How often escapes are undone: JSON in JSON in JSON, and once more."""
MIN_ENCODED_CHARS = 6
"""Of a base64 or hex spelling; shorter ones are found by chance."""

HEX = "[0-9a-fA-F]"
ESCAPE = re.compile(
    rf"""(?=[\\%&\uff01-\uff5e\u3000])(?:(?P<pair>[\\%]u[dD][89abAB]{HEX}{{2}}[\\%]u[dD][c-fC-F]{HEX}{{2}})
    |(?P<code>[\\%]u{HEX}{{4}}|\\u\{{(?:0?{HEX}|10)?{HEX}{{1,4}}\}}|\\U00(?:0{HEX}|10){HEX}{{4}}|\\x{HEX}{{2}})
    |(?P<octal>\\[0-3][0-7]{{2}})
    |(?P<named>\\N\{{[A-Z0-9][A-Z0-9 -]{{1,80}}\}})
    |(?P<char>\\[abfnrtv0!-/:-@\[-`{{-~\ \t\v\f])
    |(?P<percent>%[0-7]{HEX}|%[cCdD]{HEX}%[89abAB]{HEX}
        |%[eE]{HEX}(?:%[89abAB]{HEX}){{2}}|%[fF][0-4](?:%[89abAB]{HEX}){{3}}
        |%[89a-fA-F]{HEX})
    |(?P<wide>[\uff01-\uff5e\u3000])
    |(?P<entity>&(?:\#[0-9]{{1,7}};?|\#[xX]{HEX}{{1,6}};?|[A-Za-z][A-Za-z0-9]{{1,31}};)))""",
    re.VERBOSE,
)
ESCAPE_SIGNS = re.compile(r"[\\%&\uff01-\uff5e\u3000]")
BREAK = r"(?<![ \t])[ \t]*[\\|\u2502]?(?:\r\n|[\r\n])(?:[ \t]*[|\u2502>])?[ \t]*"
"""The end of a line, also in a box, a quotation or the output of a service of Compose.

It begins where its spaces begin: tried from each of them, many in a row would take seconds.
"""
UNSEEN = r"\x1b\[[0-9;]*[A-Za-z]|[\0-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
"""Colours of a terminal, control characters, and characters without width."""
JOINS = (re.compile(f"{UNSEEN}|{BREAK}"), re.compile(f"(?P<space>{BREAK})"))
"""What may part a value: what nobody sees, and the end of a line, also in place of a space."""
JOIN_SIGNS = re.compile(r"[\0-\x08\n-\x1f\x7f\u00ad\u200b-\u2064\ufeff]")
BETWEEN = "[ :;,._-]"
HEX_DUMP = re.compile(rf"(?<={HEX}{{2}})[ :;,._\n-]{{1,2}}(?:0[xX])?(?={HEX}{{2}})")
HEX_DUMP_SIGNS = re.compile(
    rf"""{BETWEEN}(?:(?:0[xX])?(?:{HEX}{{2}}){{1,4}}(?:{BETWEEN}{{1,2}}(?:0[xX])?(?:{HEX}{{2}}){{1,4}}){{2}}(?![0-9A-Za-z])
    |(?<={HEX}{{2}}{BETWEEN})(?<!sha256:){BETWEEN}?(?:0[xX])?{HEX}{{8}}
    |(?<={HEX}{{6}}{BETWEEN}){BETWEEN}?(?:0[xX])?{HEX}{{6}}
    |(?<={HEX}{{8}}{BETWEEN}){BETWEEN}?(?:0[xX])?{HEX}{{2}})""",
    re.VERBOSE,
)
"""Bytes, or groups of them, with something between: as a dump, an address of hardware or a list of a program.

Three groups in a row, or two that together may be 8 bytes; a digest behind ``sha256:`` is in one.
"""
QUOTED = re.compile(r"=(?:(?P<quoted>[0-9A-F]{2})|\r?\n)")
"""Quoted-printable, as mail is sent: no escape among others, since ``key=4f…`` is none."""
QUOTED_SIGNS = re.compile(r"=(?:\r?\n|[0-9A-F]{2})")
NUMBERS = re.compile(r"(?<=[0-9])(?P<comma>\s+|,\s+)(?=[0-9]{1,3}\b)")
NUMBERS_SIGNS = re.compile(r"[0-9](?:,\s*|\s+)(?:[0-9]{1,3}(?:,\s*|\s+)){6}")
REWRITES = ((HEX_DUMP_SIGNS, HEX_DUMP), (QUOTED_SIGNS, QUOTED), (NUMBERS_SIGNS, NUMBERS))
"""What a text must have to be read in another way, and what is replaced then."""
CHARS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
CASE_INSENSITIVE = re.compile(r"(?s)(?=.{12})(?=.*[^\W\d_])(?=(?:.*[0-9]){2})")
"""What is no word or name even in other letters; to match at the start: a search would try each character anew."""
HEX_VALUE = re.compile(rf"{HEX}[0-9a-fA-F-]{{14,}}{HEX}")


class Reading:
    """A text as it reads without escapes or line breaks, and the way back to the text that came."""

    def __init__(self, text: str, before: Reading | None = None, pattern: re.Pattern[str] = ESCAPE) -> None:
        self.text = text
        self._before = before
        self._pattern = pattern
        self._starts = list[int]()
        """Where each piece of ``text`` begins; filled once it is asked for."""
        self._pieces = list[tuple[int, int, bool]]()
        """For each its begin and end in the text before, and whether it is an escape as a whole."""

    def rewritten(self, pattern: re.Pattern[str]) -> Reading | None:
        """The reading with each match replaced; None where nothing changes."""
        text = pattern.sub(_replacement, self.text)
        return Reading(text, self, pattern) if text != self.text else None

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The part of the text that came which reads as ``text[start:end]``."""
        if self._before is None:
            return start, end
        if not self._pieces:
            self._find_pieces(self._before.text)
        first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, end - 1) - 1
        begin, _, is_escape = self._pieces[first]
        begin += 0 if is_escape else start - self._starts[first]
        last_begin, finish, is_escape = self._pieces[last]
        finish = finish if is_escape else last_begin + end - self._starts[last]
        return self._before.source(begin, finish)

    def _find_pieces(self, text: str) -> None:
        length = done = 0
        for match in (*self._pattern.finditer(text), None):
            begin, end = match.span() if match else (len(text), len(text))
            for piece, size in (((done, begin, False), begin - done), ((begin, end, True), len(_new(match)))):
                if size:
                    self._starts.append(length)
                    self._pieces.append(piece)
                    length += size
            done = end


def readings(text: str) -> Iterator[Reading]:
    """The text as it came, then with its escapes undone, again and again; each also with its pieces joined."""
    reading: Reading | None = Reading(text)
    for _ in range(MAX_ROUNDS + 1):
        if reading is None:
            return
        yield reading
        if JOIN_SIGNS.search(reading.text):
            yield from filter(None, map(reading.rewritten, JOINS))
        for signs, pattern in REWRITES:
            if signs.search(reading.text) and (other := reading.rewritten(pattern)) is not None:
                yield other
        reading = reading.rewritten(ESCAPE) if ESCAPE_SIGNS.search(reading.text) else None


def spellings_of(values: Collection[str], min_chars: int) -> frozenset[str]:
    """What to search for in the readings of a text, to find any of the values."""
    plain = frozenset(form for value in values for form in _forms(value))
    found = {form for form in plain if len(form) >= min_chars}
    found |= {form for form in _unescaped_forms(plain) if len(form) >= min_chars}
    found |= {other for form in plain if CASE_INSENSITIVE.match(form) for other in (form.lower(), form.upper())}
    encoded = (code for form in plain for code in _encoded(form.encode("utf-8", "surrogatepass")))
    return frozenset(found | {code for code in encoded if len(code) >= max(min_chars, MIN_ENCODED_CHARS)})


def spellings_of_whole(value: str, min_chars: int) -> frozenset[str]:
    """What a value reads as in base64 of JSON, of base64, and of UTF-16, which PowerShell encodes, and in rarer codes.

    Of a value as a whole alone: for each part of a document it would take too much memory.
    """
    in_json = {json.dumps(value, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)} - {value}
    texts = (
        *(value.encode(name, "surrogatepass") for name in ("utf-16-le", "utf-16-be")),
        *(text.encode("utf-8", "surrogatepass") for text in in_json),
    )
    wrapped = (b64encode(value.encode("utf-8", "surrogatepass")), *texts)
    codes = [code for item in wrapped for code in _encoded(item)] + list(_rare_codes(value))
    return frozenset(code for code in codes if len(code) >= max(min_chars, MIN_ENCODED_CHARS))


def _rare_codes(value: str) -> Iterator[str]:
    """Base32, base85, and the list of a buffer's bytes."""
    data = value.encode("utf-8", "surrogatepass")
    in_32 = b32encode(data).decode().rstrip("=")
    in_32 = in_32 if len(data) % 5 == 0 else in_32[:-1]  # the bits at the end belong to what follows
    yield from (in_32, in_32.lower(), b85encode(data).decode(), a85encode(data).decode())
    yield ",".join(map(str, data))


def _forms(value: str) -> Iterator[str]:
    """The value, trimmed, in its lines joined differently, and as other programs write its letters."""
    yield value
    yield value.strip()
    yield from (JOINS[0].sub("", text) for text in (value, value.strip()))
    if value.strip().endswith("\\"):
        yield value.strip().rstrip("\\")  # it reads as the escape of what follows
    if " " in value.strip():
        yield value.strip().replace(" ", "+")  # in a query
    lines = value.strip().splitlines()
    if len(lines) > 1:
        yield from (separator.join(lines) for separator in ("", " ", "\n", "\r\n"))
    if not value.isascii():
        yield from (unicodedata.normalize(form, value) for form in ("NFC", "NFD"))
        yield value.encode("utf-8", "surrogatepass").decode("latin-1")  # repr(bytes), and texts decoded wrongly
    if HEX_VALUE.fullmatch(value.strip()):
        yield from (value.strip().lower(), value.strip().upper())  # a hash or a UUID


def _unescaped_forms(values: Collection[str]) -> Iterator[str]:
    """Values that hold what reads as an escape read differently where a text's escapes are undone.

    So do those with a backslash that JSON or ``repr`` doubled, before another escape.
    """
    doubled = [value.replace("\\", "\\\\") for value in values if "\\" in value]
    for value in (*values, *doubled):
        reading = Reading(value).rewritten(ESCAPE) if ESCAPE_SIGNS.search(value) else None
        for _ in range(MAX_ROUNDS):
            if reading is not None:
                yield from (reading.text, JOINS[0].sub("", reading.text))
                reading = reading.rewritten(ESCAPE)


def _encoded(data: bytes) -> Iterator[str]:
    """Hex, and base64 of the data behind any other data (``user:value``): by the three ways in which it may be aligned.

    The characters at both ends that the data around decides are left out.
    """
    yield data.hex()
    yield data.hex().upper()
    for shift, unknown in ((0, 0), (1, 2), (2, 3)):
        known = (shift + len(data)) * 8 // 6
        code = b64encode(bytes(shift) + data).decode()
        for spelled in {code[unknown:known], *([code.rstrip("=")] if shift == 0 else ())}:
            yield spelled
            yield spelled.replace("+", "-").replace("/", "_")


def _new(match: re.Match[str] | None) -> str:
    return _replacement(match) if match else ""


def _replacement(match: re.Match[str]) -> str:
    """What a match reads as; what joins pieces reads as nothing."""
    return DECODERS.get(match.lastgroup or "", _nothing)(match[0])


def _nothing(text: str) -> str:
    return ""


def _percent(text: str) -> str:
    data = bytes.fromhex(text.replace("%", ""))
    return data.decode("latin-1" if len(data) == 1 else "utf-8", "replace")


def _pair(text: str) -> str:
    return chr(0x10000 + ((int(text[2:6], 16) - 0xD800) << 10) + int(text[8:12], 16) - 0xDC00)


def _named(text: str) -> str:
    r"""The character of Python's ``\N{…}``."""
    try:
        return unicodedata.lookup(text[3:-1])
    except KeyError:
        return text


def _entity(text: str) -> str:
    """The character of an entity; a browser drops control characters, so ``unescape`` does, but a number names them."""
    if text[1] == "#":
        number = text[2:].rstrip(";")
        code = int(number[1:], 16) if text[2] in "xX" else int(number)
        return chr(code) if code < 0x110000 else text
    from html import unescape

    return unescape(text)


DECODERS: dict[str, Callable[[str], str]] = {
    "pair": _pair,
    "code": lambda text: chr(int(text[2:].strip("{}"), 16)),
    "octal": lambda text: chr(int(text[1:], 8)),
    "named": _named,
    "char": lambda text: CHARS.get(text[1], text[1]),
    "percent": _percent,
    "wide": lambda text: " " if text == "\u3000" else chr(ord(text) - 0xFEE0),
    "entity": _entity,
    "quoted": lambda text: chr(int(text[1:], 16)),
    "space": lambda text: " ",
    "comma": lambda text: ",",
}
"""How each kind of match reads."""
