"""What a plan takes for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.json_documents.reports import Assumption, AssumptionKind

SENTENCES: dict[AssumptionKind, str] = {
    "version_becomes_active": "version {version} becomes active",
    "agent_answers_as_expected": "the agent answers as agents.yaml expects",
    "toolbox_version": "the toolbox {name} is version {version}",
    "secret_exists": "the secret {name} exists, as last released: it cannot be read here",
    "definition_unchanged": "the definition of version {version} is as it was",
    "no_tagged_secret": "no secret is tagged for the agent",
    "secret_tags_unchanged": "the tags of secrets are as at the last release",
    "images_run": "images that the snapshot lacks run on linux/amd64",
}


class Assumptions:
    """Assumptions, each once, in the order in which they were needed."""

    def __init__(self) -> None:
        self._assumed: dict[tuple[AssumptionKind, str | None, str | None], None] = {}

    def add(self, kind: AssumptionKind, name: str | None = None, version: str | None = None) -> None:
        """List an assumption; ``name`` is that of a toolbox or a secret."""
        self._assumed[kind, name, version] = None

    @property
    def fields(self) -> list[Assumption]:
        """Every assumption, as JSON has it."""
        return [{"kind": kind, "name": name, "version": version} for kind, name, version in self._assumed]

    @property
    def sentences(self) -> list[str]:
        """Every assumption, for people."""
        return [SENTENCES[kind].format(name=name, version=version) for kind, name, version in self._assumed]
