"""A secret is found in every spelling and part that SECURITY.md names; texts without one stay as they are."""

from __future__ import annotations

import base64
import html
import json
import quopri
import re
import string
import time
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.masking.finder import Finder
from handlers.masking.parts import is_everyday, parts_of
from handlers.masking.spellings import JOINS, readings, spellings_of, spellings_of_whole
from handlers.redaction import HIDDEN, redact, register_secret
from tests.support.secrets import forget_secrets


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


VALUE = 'Zq7 "8f3a" <and> more/of=it+é\U0001f680\\n%41'
INNER = "8f3a"
"""Of the value, in the middle; it must not be left over."""


def numbered(text: str, form: str) -> str:
    return "".join(form.format(ord(char)) for char in text)


def utf16_escapes(text: str, form: str) -> str:
    data = text.encode("utf-16-be")
    return "".join(form.format(int.from_bytes(data[at : at + 2])) for at in range(0, len(data), 2))


def lower_percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def named(char: str) -> str:
    name = unicodedata.name(char, "")
    return f"\\N{{{name}}}" if name else char


def wrapped(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


def parted(text: str, sign: str) -> str:
    return text[: len(text) // 2] + sign + text[len(text) // 2 :]


def base64_behind(prefix: str) -> Callable[[str], str]:
    return lambda text: base64.b64encode(prefix.encode() + text.encode()).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "percent, slash kept": quote,
    "percent, all": lambda text: quote(text, safe=""),
    "percent, lower case": lower_percent,
    "percent, plus for space": quote_plus,
    "percent, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON, slash": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON, twice": lambda text: json.dumps(json.dumps(text)),
    "JSON, three times": lambda text: json.dumps(json.dumps(json.dumps({"key": text}, ensure_ascii=False))),
    "JSON, every character": lambda text: utf16_escapes(text, "\\u{:04x}"),
    "JSON, every character, upper case": lambda text: utf16_escapes(text, "\\u{:04X}"),
    "JSON in a query": lambda text: quote_plus(json.dumps({"key": text})),
    "HTML": html.escape,
    "HTML, decimal": lambda text: numbered(text, "&#{};"),
    "HTML, hex": lambda text: numbered(text, "&#x{:x};"),
    "HTML, upper hex": lambda text: numbered(text, "&#X{:X};"),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "base64": base64_behind(""),
    "base64, user:value": base64_behind("user:"),
    "base64, one more": base64_behind("user1:"),
    "base64, two more": base64_behind("user12:"),
    "base64, for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64, no padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64, lines": lambda text: base64.encodebytes(b"x" * 60 + text.encode()).decode(),
    "base64, lines in JSON": lambda text: json.dumps(base64.encodebytes(b"x" * 60 + text.encode()).decode()),
    "base64 in a query": lambda text: quote_plus(base64.b64encode(text.encode()).decode()),
    "base64 in JSON, slash": lambda text: base64.b64encode(text.encode()).decode().replace("/", "\\/"),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex().upper(),
    "hex, spaced": lambda text: text.encode().hex(" "),
    "hex, colons": lambda text: text.encode().hex(":").upper(),
    "hex, in lines": lambda text: "\n".join(text.encode()[at : at + 16].hex(" ") for at in range(0, len(text) * 4, 16)),
    "base64, twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "JSON in base64": lambda text: base64.b64encode(json.dumps({"key": text}).encode()).decode(),
    "JSON in base64, not ASCII": lambda text: base64.b64encode(
        json.dumps([text], ensure_ascii=False).encode()
    ).decode(),
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "code points": lambda text: numbered(text, "\\u{{{:x}}}"),
    "a colour inside": lambda text: parted(text, "\x1b[1;31m"),
    "a character without width inside": lambda text: parted(text, "\u200b"),
    "a zero inside": lambda text: parted(text, "\0"),
    "a soft hyphen inside": lambda text: parted(text, "\u00ad"),
    "a line of a shell": lambda text: parted(text, "\\\n    "),
    "lines of 76": lambda text: "\n".join(wrapped("x" * 70 + text, 76)),
    "base64, lines of 76 behind other data": lambda text: "\n".join(wrapped(base64_behind("x" * 41)(text), 76)),
    "lines in a box": lambda text: parted(text, " \u2502\n\u2502 "),
    "lines of a quotation": lambda text: parted(text, "\n> "),
    "quoted-printable": lambda text: quopri.encodestring(b"key " * 17 + text.encode(), quotetabs=True).decode(),
    "quoted-printable, all": lambda text: "".join(f"={byte:02X}" for byte in text.encode()),
    "full width": lambda text: "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text),
    "names of characters": lambda text: "".join(named(char) for char in text),
    "escape of a script": lambda text: utf16_escapes(text, "%u{:04X}"),
    "HTML, decimal without semicolons": lambda text: numbered(text, "&#{}"),
    "a regular expression": re.escape,
    "Markdown": lambda text: re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text),
    "hex, underscores": lambda text: text.encode().hex("_"),
    "hex, groups of two bytes": lambda text: text.encode().hex(" ", -2),
    "hex, groups of four bytes": lambda text: text.encode().hex(".", -4),
    "hex, a list": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "bytes, a list": lambda text: json.dumps(list(text.encode())),
    "bytes, a buffer": lambda text: json.dumps(list(text.encode()), separators=(",", ":")),
    "bytes, a column": lambda text: "\n".join(map(str, text.encode())),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base32, lower case": lambda text: base64.b32encode(text.encode()).decode().lower().rstrip("="),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "Ascii85": lambda text: base64.a85encode(text.encode()).decode(),
    "base64 of UTF-16, high byte first": lambda text: base64.b64encode(text.encode("utf-16-be")).decode(),
    "capitals": str.upper,
    "small letters": str.lower,
}
MANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
VALUES = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=8, max_size=40)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_is_found_in_every_spelling(spelling: str) -> None:
    register_secret(VALUE)
    spelled = SPELLINGS[spelling](VALUE)
    for before, after in (("", ""), ("key=", "&x=1"), ("it said ", " at the end")):
        safe = redact(before + spelled + after)
        assert HIDDEN in safe
        assert not any(SPELLINGS[name](INNER) in safe for name in ("as it is", "percent, lower case", "hex"))
        assert len(safe) < len(before + spelled + after) - len(VALUE) / 2
        assert redact(safe) == safe


ONE_LETTER_CASE = {"capitals", "small letters"}
LINE_ENDS = {"a line of a shell", "lines of 76", "lines in a box", "lines of a quotation"}
LOST_AT_A_LINE_END = re.compile(r"[\\|\u2502>]|\s\s|[^\S ]")


def is_hidden_when(value: str, spelling: str) -> bool:
    """Whether SECURITY.md says that a secret of this value is hidden in this spelling."""
    visible_part = JOINS[0].sub("", value).strip()
    read_as = [visible_part] if spelling == "as it is" else [reading.text for reading in readings(visible_part)]
    if set(value) <= {"*"} or min(len(text.strip().rstrip("\\").strip()) for text in read_as) < 8:
        return False
    if spelling in ONE_LETTER_CASE and SPELLINGS[spelling](value) != value:
        digits = sum(char in string.digits for char in visible_part)
        return len(visible_part) >= 12 and digits >= 2 and any(map(str.isalpha, visible_part))
    return spelling not in LINE_ENDS or not LOST_AT_A_LINE_END.search(value)


GROUPED = [("a0Z-9_8q", group) for group in (-7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7)]
GROUPED += [("a0Z-9_8q7r6S5t4u", group) for group in (-15, -9, -8, 8, 9, 15)]


@pytest.mark.parametrize(("value", "group"), GROUPED)
def test_hex_is_found_in_groups_of_any_size(value: str, group: int) -> None:
    register_secret(value)
    for sign in " :;,._-":
        spelled = value.encode().hex(sign, group)
        for before, after in (("", ""), ("it said ", " at last"), ('{"key":"', '"}'), ("(", ")"), ("key=", "\n")):
            assert redact(before + spelled + after) == before + HIDDEN + after


def test_numbers_in_groups_stay_where_they_are_no_secret() -> None:
    register_secret("a0Z-9_8q")
    for text in ("12345678.12345678", "12345678-1234-1234-1234-123456789012", "2026-11-29 22:37:10", "sha256:12345678"):
        assert redact(text) == text


def test_letters_of_any_alphabet_are_found_in_capitals() -> None:
    register_secret(" \u043f\u0430\u0440\u043e\u043b\u044c-\u043a\u043b\u044e\u0447-42 ")
    assert redact("it was \u041f\u0410\u0420\u041e\u041b\u042c-\u041a\u041b\u042e\u0427-42!") == f"it was {HIDDEN}!"


def test_a_backslash_at_the_end_may_be_read_as_the_escape_of_what_follows() -> None:
    register_secret('a0Z-9"8qr\\')
    assert redact("it said a0Z-9&quot;8qr\\ at last").startswith(f"it said {HIDDEN}")


def test_a_value_is_found_where_its_backslash_is_doubled_before_another_escape() -> None:
    register_secret("a0Z-98q\\%30")
    assert redact("it said a0Z-98q\\\\%30 at last") == f"it said {HIDDEN} at last"


def test_a_value_is_found_where_its_escape_reads_as_what_nobody_sees() -> None:
    register_secret("a0%00Z98q7r6S")
    assert redact("it said a0%00Z\\x0098q7r6S at last") == f"it said {HIDDEN} at last"


def is_left(value: str, text: str) -> bool:
    """Whether a reader finds the value in a text by one of the readings, or by its base64 or hex."""
    spellings = spellings_of([value], 8) | spellings_of_whole(value, 8)
    return any(spelled in reading.text for reading in readings(text) for spelled in spellings)


@given(VALUES, st.sampled_from(sorted(SPELLINGS)), MANY, MANY)
@settings(max_examples=150, deadline=None)
def test_any_value_is_found_in_every_spelling(value: str, spelling: str, before: str, after: str) -> None:
    if not is_hidden_when(value, spelling):
        return
    forget_secrets()
    register_secret(value)
    text = f"{before} {SPELLINGS[spelling](value)} {after}"
    safe = redact(text)
    assert not is_left(value, safe)
    assert redact(safe) == safe


@given(MANY)
@settings(deadline=None)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    register_secret(VALUE)
    assert redact(f"nothing to hide: {text} \\u0041 %41 &amp; aGVsbG8gd29ybGQ=") == (
        f"nothing to hide: {text} \\u0041 %41 &amp; aGVsbG8gd29ybGQ="
    )


@pytest.mark.parametrize("cut", ["…", "...", "***", "[truncated]"])
def test_what_a_service_cut_off_is_found_where_an_ellipsis_stands(cut: str) -> None:
    register_secret("kW9-bX2-the-whole-of-it-5501")
    assert redact(f"the key kW9-bX2-the-who{cut} is wrong; ask for another one") == (
        f"the key {HIDDEN}{cut} is wrong; ask for another one"
    )
    assert redact(f"the key kW9-bX2{cut} is wrong") == f"the key kW9-bX2{cut} is wrong"


@pytest.mark.parametrize("line_break", ["\n", "\r\n  ", "\\n"])
def test_a_value_of_words_is_found_where_a_line_ends_between_two(line_break: str) -> None:
    register_secret("correct horse battery staple")
    assert redact(f"it said: correct horse{line_break}battery staple!") == f"it said: {HIDDEN}!"


def test_what_a_service_cut_off_is_found_at_the_end() -> None:
    register_secret("kW9-bX2-the-whole-of-it-5501")
    for mark in ("", "…", "...", '"', '..."}', " … "):
        for length in range(8, 28):
            text = f"the value {'kW9-bX2-the-whole-of-it-5501'[:length]}{mark}"
            assert redact(text).startswith("the value ***"), text
    assert redact("the value kW9-bX2") == "the value kW9-bX2"
    assert redact("kW9-bX2-the is in the middle") == "kW9-bX2-the is in the middle"


def test_a_whole_tag_is_not_taken_for_a_cut_secret() -> None:
    register_secret("penguins-of-the-south-7781")
    assert redact("penguins") == "penguins"
    assert redact("penguins-of") == "penguins-of"


DOCUMENTS = [
    ('{"user": "u", "inner": {"deep": ["leaf-8f3a-of-json"]}}', "leaf-8f3a-of-json"),
    (json.dumps({"nested": json.dumps({"password": "hunterhunter"})}), "hunterhunter"),
    ('{"pin": 1234567890123456}', "1234567890123456"),
    ("AccountName=demo;AccountKey=Zm9vYmFyYmF6cXV4;EndpointSuffix=core.windows.net", "Zm9vYmFyYmF6cXV4"),
    ("Server=tcp:demo.database.windows.net,1433;User ID=administrator;Password='p@ss word 1';", "p@ss word 1"),
    ("host=db.example.com user=app password=correcthorse dbname=production", "correcthorse"),
    ("demo.redis.cache.windows.net:6380,password=aB3dE5fG7h=,ssl=True", "aB3dE5fG7h="),
    ("postgres://app:p%40ssw0rd-1@db.example.com:5432/production", "p@ssw0rd-1"),
    ("postgres://app:p%40ssw0rd-1@db.example.com:5432/production", "p%40ssw0rd-1"),
    ("https://demo.blob.core.windows.net/c?sv=2024-11-04&sig=aB%2FcD%3DeF9h", "aB/cD=eF9h"),
    ("https://ghp_16C7e42F292c6912E7@github.com/org/repo", "ghp_16C7e42F292c6912E7"),
    ("https://hooks.example.com/services/T00000000/XXXX16C7e42F292c", "XXXX16C7e42F292c"),
    ("admin:s3cr3t-8f3a", "s3cr3t-8f3a"),
    ("Bearer eyJ0eXAiOiJKV1QifQ", "eyJ0eXAiOiJKV1QifQ"),
    ("-----BEGIN KEY-----\r\nMIIEvQIBADANBgkqhkiG\r\nyq8f3aQAAAAB\r\n-----END KEY-----\r\n", "MIIEvQIBADANBgkqhkiG"),
    ("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nyq8f3aQAAAAB\n-----END KEY-----\n", "yq8f3aQAAAAB"),
    ("apiVersion: v1\ntoken: 'abcdefgh8f3a'\n", "abcdefgh8f3a"),
    ("export A=b\nexport API_KEY=abc\nPASSWORD=hunter2!", "hunter2!"),
    ("Server=demo;Pwd=abc12;", "Pwd=abc12"),
    ("Driver={ODBC};Server=x;Uid=u;Pwd={pa55;wordXY};", "pa55;wordXY"),
    ("<cfg><user>ann</user><Password a='b'>xml-pa55word</Password></cfg>", "xml-pa55word"),
    ("{'user': 'ann', 'password': 'quoted-pa55'}", "quoted-pa55"),
]


@pytest.mark.parametrize(("document", "part"), DOCUMENTS)
def test_a_part_of_a_secret_is_a_secret(document: str, part: str) -> None:
    register_secret(document)
    for spelling in ("as it is", "JSON, twice", "percent, all", "base64, user:value"):
        spelled = SPELLINGS[spelling](part)
        assert redact(f"login failed for {spelled}; try again") != f"login failed for {spelled}; try again"
        assert part not in redact(f"login failed for {spelled}; try again")


def test_everyday_parts_hide_nothing() -> None:
    register_secret("Server=tcp:demo.database.windows.net,1433;Database=warehouse;User ID=reporter;Password=aB3dE5fG7h")
    register_secret(
        '{"type": "service_account", "host": "demo.example.com", "on": true, "port": 5432, "at": "2026-11-28"}'
    )
    text = "warehouse of reporter at demo.database.windows.net since 2026-11-28, service_account, demo.example.com"
    assert redact(text) == text
    assert is_everyday("Production")
    assert not is_everyday("Production", "password")
    assert is_everyday("RootManageSharedAccessKey", "SharedAccessKeyName")
    assert not is_everyday("12345678901234567")


def test_a_value_with_many_parts_has_a_limit() -> None:
    assert len(parts_of(json.dumps([f"leaf-{number:08}-x" for number in range(1000)]))) == 200
    assert parts_of("[" * 100_000) == ()
    assert parts_of("http://[broken") == ()


def test_a_value_on_several_lines_is_found_in_one() -> None:
    register_secret("ab12\ncd34\nef56")
    assert redact("it was ab12cd34ef56, or ab12 cd34 ef56") == "it was ***, or ***"


def test_known_short_values_are_hidden_where_they_are_given() -> None:
    assert redact("the pin 4711 is wrong: NDcxMQ== or 34373131", ["4711"]) == "the pin *** is wrong: ***== or ***"
    assert redact("abc", ["", "***"]) == "abc"


def test_the_finder_finds_the_longest_and_forgets() -> None:
    finder = Finder()
    finder.add(["password", "password-1", "password-1-long", "zebra-crossing"])
    finder.add(["password-1"])
    assert list(finder.spans("a password-1-lot here, zebra-crossing here")) == [(2, 12), (23, 37)]
    finder.remove(["password-1"])
    assert list(finder.spans("a password-1-lot here")) == [(2, 12)]
    finder.remove(["password-1"])
    assert list(finder.spans("a password-1-lot here")) == [(2, 10)]
    finder.remove(["password", "password-1-long", "zebra-crossing"])
    assert list(finder.spans("password-1-long zebra-crossing")) == []


@pytest.mark.parametrize("value", ["k" * 25_000, f"{'k' * 12_500}1{'k' * 12_499}"])
def test_the_longest_value_of_a_vault_costs_little_where_it_has_hardly_a_digit(value: str) -> None:
    began = time.process_time()
    assert value in spellings_of([value], 8)
    assert time.process_time() - began < 1.0  # a hundredth; a search from each character takes several seconds


def test_many_spaces_in_a_row_cost_little() -> None:
    text = f"{' ' * 20_000}x\n"
    began = time.process_time()
    assert any(reading.text != text for reading in readings(text))
    assert time.process_time() - began < 1.0  # a hundredth; an end of a line from each space takes ten seconds


def test_many_secrets_cost_little() -> None:
    finder = Finder()
    documents = [";".join(f"Key{part}={number:06}{part:04}aBcDeFgHiJkL" for part in range(35)) for number in range(100)]
    for document in documents:
        finder.add(spellings_of((document, *parts_of(document)), 8))
    text = 'the agent answered 500 at https://demo.example.com/Key1=000 {\\"json\\"} ' * 230
    began = time.process_time()
    assert list(finder.spans(text)) == []
    assert time.process_time() - began < 0.2  # some milliseconds; a scan by alternatives takes seconds
