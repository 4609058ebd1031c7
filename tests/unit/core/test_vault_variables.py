"""Which variables stay when the tags of their secrets are gone."""

from __future__ import annotations

import pytest

from core.agents_file.loader import load_agents
from core.model import TaggedSecret
from core.reasons import Reason
from core.vault_variables import vault_variables, without_tags

OLD, NEW = "a" * 32, "b" * 32
REMEMBERED = {"API_KEY": TaggedSecret("api-key", OLD)}
YAML = b"agents: {hello: {repository: a/b, env_from_vault: true, env: {WORD: x}}}"
SPEC = load_agents(YAML).agents["hello"]


@pytest.mark.parametrize(
    ("tagged", "remembered"),
    [
        ({"API_KEY": "api-key"}, REMEMBERED),
        ({"API_KEY": "another"}, REMEMBERED),
        ({"NEW_NAME": "Api-Key"}, REMEMBERED),
        ({}, {"WORD": TaggedSecret("api-key", OLD)}),
        ({}, {}),
    ],
    ids=["tagged", "another secret gives it", "renamed", "env gives it", "nothing before"],
)
def test_no_tags_are_gone(tagged: dict[str, str], remembered: dict[str, TaggedSecret]) -> None:
    assert without_tags(SPEC, tagged, remembered) == {}


def test_a_new_version_without_tags_keeps_its_variable_and_gives_the_command() -> None:
    assert without_tags(SPEC, {}, REMEMBERED) == REMEMBERED
    found = vault_variables(SPEC, {"ONE": "one"}, REMEMBERED, {"api-key": NEW})
    assert found.secrets == {"ONE": "one", "API_KEY": "api-key"}
    (note,) = found.notes
    assert note.reason is Reason.VARIABLE_TAGS_LOST
    assert note.detail.endswith("--name api-key --tags agent=hello env=API_KEY")
    remembered = found.to_remember({"one": NEW, "api-key": NEW})
    assert remembered == {"ONE": TaggedSecret("one", NEW), **REMEMBERED}, "the version that had the tags"


def test_tags_that_were_removed_from_the_same_version_remove_the_variable() -> None:
    found = vault_variables(SPEC, {}, REMEMBERED, {"api-key": OLD})
    assert found.secrets == {}
    assert found.to_remember({}) == {}


def test_a_secret_that_cannot_be_read_keeps_its_variable() -> None:
    variables = vault_variables(SPEC, {}, REMEMBERED, {"api-key": None})
    assert variables.secrets == {"API_KEY": "api-key"}
    assert variables.notes == ()
