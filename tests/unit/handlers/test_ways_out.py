"""Every way out of the process: no secret in any spelling, no control character, one line; other texts unchanged."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cli.output import columns, join_lines, print_error, print_json, print_text
from cli.runner import CommandResult, print_result
from core.model import Push
from core.reasons import Reason
from core.state.release import ReleaseState
from handlers import outcome_events
from handlers.gateways.errors import PermanentError
from handlers.gateways.foundry.mapping import version_of
from handlers.gateways.in_memory.clock import ManualClock
from handlers.gateways.in_memory.journal import InMemoryJournal
from handlers.gateways.storage.journal import encode_line
from handlers.masking.visible import CONTROLS, visible, visible_json
from handlers.redaction import (
    HiddenError,
    RedactedErrors,
    open_words,
    redact,
    redact_data,
    redact_fields,
    register_secret,
)
from handlers.telemetry.decision_log import DecisionLog
from local.demo.output import Output, as_text
from local.demo.output import console as demo_console
from local.visible import visible as local_visible
from tests.support.secrets import forget_secrets
from tests.unit.handlers.masking.test_spellings import SPELLINGS, VALUES, is_hidden_when, is_left

HOSTILE = "a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\nLIVE\rd\x7fe\x9bf\u202eg\u2066h\u200bi\u2028j\ud800k[link=https://evil]l[/][red]m\ufeff"
LOG = logging.getLogger("slipway")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.fields.append({key: value for key, value in vars(record).items() if key.startswith("slipway.")})


def decision(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A decision about the text in every field that others fill, as telemetry and as the journal get it."""
    records, journal = Records(), InMemoryJournal()
    LOG.addHandler(records)
    try:
        log = DecisionLog(journal, ManualClock(), {})
        fields = dict.fromkeys(
            ("agent", "repository", "tag", "digest", "event", "version", "fingerprint", "secret", "step"), text
        )
        log.record(Reason.ACCEPTED, text, journal_only={"message": text}, **fields)
    finally:
        LOG.removeHandler(records)
    return records.fields[0], dict(log._lines[0])


def logged(text: str) -> str:
    return " | ".join(map(str, decision(text)[0].values()))


def journalled(text: str) -> str:
    return encode_line(decision(text)[1]).decode().rstrip("\n")


def gateway_error(text: str) -> str:
    error = PermanentError("Foundry", text, text)
    return f"{error} | {error.code} | {error.message}"


def hidden_error(text: str) -> str:
    try:
        with RedactedErrors():
            raise KeyError("a key", text)  # noqa: TRY301
    except (HiddenError, KeyError) as error:
        return str(error)


def failed_version(text: str) -> str:
    failure = version_of({"version": "1", "error": {"code": text, "message": text}}).failure
    if failure is None:
        return ""
    shown = open_words(failure)
    return f"{shown.code}: {shown.message}"


def outcome(text: str) -> str:
    push = Push(text, text, text, datetime(2026, 11, 28, tzinfo=UTC), text)
    event = outcome_events.release_event("hello", Reason.LIVE, ReleaseState(push=push, fingerprint=text), text)
    return " | ".join(map(str, event.data.values())) if event else ""


def printed(result: CommandResult, *, as_json: bool) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        print_result(result, as_json)
    return output.getvalue().rstrip("\n")


def command_json(text: str) -> str:
    return printed(CommandResult("", [{"detail": text, "more": [text, {"deep": text}]}]), as_json=True)


def command_text(text: str) -> str:
    return printed(CommandResult(columns([("hello", text)]) + "\n" + join_lines(text), None), as_json=False)


WAYS_OUT: dict[str, Callable[[str], str]] = {
    "telemetry": logged,
    "journal": journalled,
    "gateway error": gateway_error,
    "hidden error": hidden_error,
    "failed version": failed_version,
    "outcome event": outcome,
    "command, JSON": command_json,
    "command, text": command_text,
}


@pytest.mark.parametrize("way", WAYS_OUT)
@given(value=VALUES, spelling=st.sampled_from(sorted(SPELLINGS)))
@settings(max_examples=25, deadline=None)
def test_no_spelling_of_a_secret_leaves(way: str, value: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](value)
    if not is_hidden_when(value, spelling) or (way == "command, text" and "\\" in value and CONTROLS.search(spelled)):
        return
    forget_secrets()
    if is_left(value, WAYS_OUT[way]("it said at last")):
        return  # a word of ours
    register_secret(value)
    out = WAYS_OUT[way](f"it said {spelled} at last")
    assert not is_left(value, out)
    assert "***" in out


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_control_character_leaves(way: str) -> None:
    out = WAYS_OUT[way](HOSTILE)
    assert not CONTROLS.search(out.replace("\n", "") if way.startswith("command") else out)
    if way != "hidden error":
        assert "\nLIVE" not in out
    assert "[link=https://evil]l[/][red]m" in out


@pytest.mark.parametrize("way", ["journal", "command, JSON"])
@given(text=st.text(max_size=40))
@settings(deadline=None)
def test_json_stays_json_and_says_the_same(way: str, text: str) -> None:
    assume(redact(text) == text)  # not a part of the secrets of this file
    body = json.loads(WAYS_OUT[way](text))
    assert text in (body["message"] if way == "journal" else body[0]["detail"])


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=60))
@settings(deadline=None)
def test_a_text_without_secrets_or_controls_leaves_as_it_is(text: str) -> None:
    text = "plain: " + text.replace("\u115f", "")
    assert redact_fields({"detail": text, "took_s": 1.5, "dry_run": True}, 1000) == {
        "detail": text, "took_s": 1.5, "dry_run": True,
    }  # fmt: skip
    assert redact_data({"detail": [text, 12345678, None]}) == {"detail": [text, 12345678, None]}
    assert PermanentError("Foundry", "400", text).message == visible(text)


@given(st.text(max_size=60))
def test_visible_texts_have_one_line_and_stay_as_they_are(text: str) -> None:
    shown = visible(text)
    assert not CONTROLS.search(shown)
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown
    assert local_visible(text) == shown
    assert json.loads(visible_json(json.dumps(text, ensure_ascii=False))) == text


def test_the_laptop_shows_every_character_as_the_app_does() -> None:
    every = "".join(map(chr, range(0x110000)))
    assert local_visible(every) == visible(every)
    assert visible("\x1b[2J \u202e \U000e0041 \n", keep="\n") == "\\x1b[2J \\u202e \\U000e0041 \n"


def test_the_telemetry_page_shows_the_same_characters() -> None:
    from local.telemetry import page_files

    script = (page_files.FILES / "dom.js").read_text()
    classes = re.search(r"const CONTROLS = /(\[.*\])/gu;", script)
    assert classes is not None
    pattern = re.sub(r"\\u\{([0-9a-f]+)\}", lambda match: f"\\U{match[1]:>08}", classes[1])
    every = "".join(map(chr, range(0x110000)))
    assert set(re.findall(pattern, every)) == set(CONTROLS.findall(every))


def test_errors_and_json_lines_of_commands_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(HOSTILE)
    print_json({"detail": HOSTILE})
    print_text(HOSTILE)
    out, err = capsys.readouterr()
    for text in (out, err):
        assert not CONTROLS.search(text.replace("\n", ""))
    assert json.loads(out.splitlines()[0]) == {"detail": HOSTILE}


def test_the_demo_shows_markup_and_controls_as_text() -> None:
    output = io.StringIO()
    console = demo_console()
    console.file = output
    screen = Output(console)
    line = {"at": f"2026-11-28T{HOSTILE}", "reason": HOSTILE, "severity": "info", "detail": HOSTILE, "agent": HOSTILE}
    screen.decision(line)
    screen.scene(HOSTILE)
    screen.assertion(HOSTILE, HOSTILE, HOSTILE, holds=False)
    screen.closing(1.0, HOSTILE)
    assert not CONTROLS.search(output.getvalue().replace("\n", ""))
    assert "[red]m" in output.getvalue()
    assert as_text("[b]\\") == "\\[b]\\\\"


def test_a_secret_is_hidden_in_a_text_that_was_made_visible() -> None:
    value = "first\x1bline\nsecond\u202eline"
    register_secret(value)
    assert redact(f"it is {visible(value)}") == "it is ***"
