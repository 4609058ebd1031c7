"""The command of a reason, filled in; a name that a shell may read as more than a word is not filled in."""

from __future__ import annotations

import pytest

from core.reasons import BUILD, RETRY, Reason


def test_the_names_that_are_known_stand_in_the_command() -> None:
    image, agent = "agents/hello:v1", "hello-agent"
    assert Reason.FORBIDDEN.remedy_for(agent) == "slipway retry hello-agent"
    assert Reason.NOT_NEWER.remedy_for(agent, image=image) == "slipway release hello-agent --image agents/hello:v1"
    assert Reason.APPROVAL_WAITING.remedy_for(agent, version="3") == "slipway approve hello-agent --version 3"
    assert "--tag REGISTRY/agents/hello:v1 ." in Reason.WRONG_PLATFORM.help_for(agent, image=image)
    assert Reason.LIVE.remedy_for(agent) == ""


def test_a_name_that_is_not_known_keeps_its_place() -> None:
    assert Reason.NOT_NEWER.remedy_for(None) == "slipway release AGENT --image REPOSITORY:TAG"


@pytest.mark.parametrize("tag", ["v1;reboot", "$(reboot)", "v1 --why x", "--force", "v1\n", "***"])
def test_a_name_that_is_more_than_a_word_is_not_filled_in(tag: str) -> None:
    image = f"agents/hello:{tag}" if not tag.startswith("-") else tag
    assert Reason.NOT_NEWER.remedy_for("hello-agent", image=image) == (
        "slipway release hello-agent --image REPOSITORY:TAG"
    )


@pytest.mark.parametrize(
    ("detail", "command"),
    [("exec format error", BUILD), ("pull denied", RETRY), ("exited with code 1", RETRY), ("", RETRY)],
)
def test_the_detail_chooses_the_command(detail: str, command: str) -> None:
    assert Reason.IMAGE_ERROR.remedy_for(None, detail) == command
