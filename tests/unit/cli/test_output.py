"""What commands print of others: on a terminal, in a file, as JSON; and what they compare is not masked."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cli.commands.digests import list_digests
from cli.commands.replay import EventSource, show_and_send
from cli.commands.status import show_status
from cli.commands.why import explain
from cli.plan.snapshot import take_snapshot
from core.model import Failure
from handlers.poison import handle_poison_message
from handlers.redaction import redact, register_secret
from tests.simulation.virtual_time import in_virtual_time
from tests.support.app import AGENT, App, app_with, push_and_release
from tests.support.builders import push_data, push_event
from tests.support.secrets import forget_secrets
from tests.unit.cli.support import DRY_RUN, context_of, make_live

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60.0
HOSTILE = "v1\x1b]52;c;ZXZpbA==\x07\x1b]8;;https://evil\x1b\\x\u202e\x9b2J[link=https://evil]l[/link][red]r[/red]"
FILE = f"""agents:
  hello:
    repository: agents/hello
    tags: {{allow: {json.dumps(["[" + HOSTILE])}}}
"""


@pytest.fixture(autouse=True, scope="module")
def forgotten() -> object:
    yield
    forget_secrets()


def on_a_terminal(*arguments: str, code: str = "") -> bytes:
    """What a command writes to a real terminal."""
    main, terminal = pty.openpty()
    command = [sys.executable, *(["-c", code] if code else ["-m", "cli"]), *arguments]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, env=environment)
    os.close(terminal)
    written, ends = b"", time.monotonic() + SECONDS
    while time.monotonic() < ends:
        has_exited = process.poll() is not None  # asked before reading, so that all that it wrote is there
        if not select.select([main], [], [], 0.1)[0]:
            if has_exited:
                break
            continue
        try:
            data = os.read(main, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not data:
            break
        written += data
    process.wait(timeout=SECONDS)
    os.close(main)
    return written


def without_colours(written: bytes) -> str:
    """The text without the colours, which are the only sequences that Slipway writes."""
    for sequence in (b"\x1b[0m", b"\x1b[31m", b"\x1b[32m", b"\x1b[33m", b"\r\n"):
        written = written.replace(sequence, b"\n" if sequence == b"\r\n" else b"")
    return written.decode()


def assert_harmless(written: bytes) -> None:
    shown = without_colours(written)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 or char == "\u202e" for char in shown.replace("\n", ""))
    assert "[link=https://e" in shown  # a long value is cut
    assert "]52;c;" in shown


def test_a_hostile_file_is_harmless_on_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(FILE)
    assert_harmless(on_a_terminal("validate", str(file)))


def test_a_hostile_event_is_harmless_on_a_terminal(tmp_path: Path) -> None:
    file, agents = tmp_path / "event.json", tmp_path / "agents.yaml"
    file.write_text(json.dumps(push_event(id=HOSTILE, subject=HOSTILE, data=push_data(tag=HOSTILE))))
    agents.write_text("agents: {hello: {repository: agents/hello, tags: {allow: ['^x$']}}}")
    (tmp_path / "snapshot.json").write_text('{"registry": "demo", "login_server": "demo.azurecr.io"}')
    snapshot = str(tmp_path / "snapshot.json")
    assert_harmless(on_a_terminal("plan", str(file), "--agents", str(agents), "--snapshot", snapshot))


def test_results_and_progress_are_harmless_on_a_terminal() -> None:
    code = (
        "import sys, asyncio; from cli.output import *; from cli.runner import *\n"
        f"hostile = {HOSTILE!r}\n"
        "print_result(CommandResult(columns([('LIVE', hostile), ('x', 'y')]), None), False)\n"
        "UsageError(hostile).show()\n"
        "async def wait():\n"
        "    progress = Progress(); progress.activity = hostile\n"
        "    async with progress.shown(): await asyncio.sleep(1.6)\n"
        "asyncio.run(wait())\n"
    )
    written = on_a_terminal(code=code)
    assert b"\x1b]" not in written
    assert b"\x9b" not in written.replace("…".encode(), b"").replace("⠛".encode(), b"")
    assert b"\xe2\x80\xae" not in written
    assert written.count(b"[link=https://evil]l[/link]") >= 3


@in_virtual_time
async def test_a_line_break_in_a_detail_forges_no_line() -> None:
    app = app_with()
    await push_and_release(app, "v1", "a")
    release = app.state_store.releases[AGENT].state
    object.__setattr__(release, "reason", "LIVE\nhello-agent: version 9 live")
    status = await show_status(context_of(app), AGENT)
    assert "\nhello-agent: version 9" not in status.text


@in_virtual_time
async def test_why_finds_a_push_whose_tag_the_journal_masks() -> None:
    register_secret("woodpecker-7")
    app = app_with()
    await push_and_release(app, "woodpecker-7.1", "a")
    result = await explain(context_of(app), "woodpecker-7.1", timedelta(days=1))
    assert {decision["reason"] for decision in result.data["decisions"]} >= {"ACCEPTED", "LIVE"}
    assert (await explain(context_of(app), "woodpecker-7.2", timedelta(days=1))).exit_code == 4


async def test_a_poisoned_message_that_held_a_secret_is_not_sent_changed() -> None:
    register_secret("nightingale-3")
    app = App()
    for tag in ("v1", "nightingale-3"):
        await handle_poison_message("events", json.dumps(push_event(id=tag, data=push_data(tag=tag))), app.gateways)
    result = await show_and_send(context_of(app), EventSource(back=timedelta(days=1)), DRY_RUN)
    assert [row["id"] for row in result.data] == ["v1"]
    assert "send it from its source" in result.text
    assert "nightingale" not in json.dumps(app.journal.lines)


async def test_a_snapshot_keeps_tags_and_leaves_out_what_services_said() -> None:
    app = App()
    await make_live(app, "a")
    app.key_vault.put("hello-key", "kookaburra-5")
    register_secret("kookaburra")
    versions = app.foundry.agents[AGENT].versions
    for number, version in versions.items():
        metadata = {**version.metadata, "slipway.tag": "kookaburra-5"}
        versions[number] = replace(version, metadata=metadata, failure=Failure("ImageError", "1: an older secret"))
    release = app.state_store.releases[AGENT].state
    object.__setattr__(release, "detail", "it said kookaburra-5")
    result = await take_snapshot(context_of(app), None)
    text = json.dumps(result.data)
    assert result.is_exact
    assert "older secret" not in text
    assert "it said ***" in text
    assert result.data["agents"][AGENT]["versions"][0]["metadata"]["slipway.tag"] == "kookaburra-5"


async def test_the_images_that_a_purge_must_keep_are_not_masked() -> None:
    app = App()
    await make_live(app, "a")
    register_secret("agents/hello")
    result = await list_digests(context_of(app))
    assert result.is_exact
    assert redact(result.text) != result.text
