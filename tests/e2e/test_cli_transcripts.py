"""Every command of the page of transcripts prints what the page says; every command of the product is on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from azure.keyvault.secrets import SecretClient
from typer.main import get_command

from cli.__main__ import app
from local.credentials import LocalCredential
from local.stack_client import StackClient, stack
from tests.e2e.transcripts import CANARY, PAGE, agrees, blocks, rules, story, stray

pytestmark = pytest.mark.timeout(300)
TEXT = PAGE.read_text()


def test_the_page_is_what_is_printed(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(rules(TEXT))
    with stack(tmp_path, "--agents", str(tmp_path / "agents.yaml")) as running:
        running.put("foundry", "/_local/provisioning", {"seconds": 0.2})
        stray(running)
        told = list(story(running, tmp_path, TEXT))
        secrets = [value_of("shop-key", running), CANARY]
    other = [f"$ {command}\n{printed}" for command, printed, page in told if not agrees(printed, page)]
    assert other == [], "python -m tests.e2e.transcripts writes the page anew"
    said = "".join(printed for _, printed, _ in told) + (tmp_path / "world.json").read_text()
    assert [one for one in secrets if one in said] == []


def value_of(secret: str, running: StackClient) -> str:
    """What the vault holds."""
    client = SecretClient(
        running.endpoints["vault"],
        LocalCredential(),
        connection_verify=running.endpoints["ca"],
        verify_challenge_resource=False,
    )
    with client:
        value = client.get_secret(secret).value
    assert value
    return value


def test_every_command_is_shown() -> None:
    shown = {
        word for block in blocks(TEXT) for line, _ in block.commands for word in re.findall(r"slipway (\w+)", line)
    }
    assert shown == set(getattr(get_command(app), "commands", {}))


def test_a_line_of_dots_stands_for_any_lines_and_nothing_else_does() -> None:
    assert agrees("a\nb\nc", "a\n…\nc")
    assert agrees("now 2026-11-24 12:00 UTC", "now 2026-01-01 00:00 UTC")
    assert not agrees("a\nb", "a")
    assert not agrees("a", "a\nb")
