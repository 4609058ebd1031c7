"""Finds the newest push of a repository in the registry, for pushes whose event never came."""

from __future__ import annotations

from collections.abc import Iterable

from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import check_newer, check_tag
from core.events import ARTIFACT_TAG
from core.image_manifest import RegistryTag
from core.model import Push

EVENT_ID = "registry-check"
"""The event id of a push whose event never came."""


def newest_allowed_push(spec: AgentSpec, tags: Iterable[RegistryTag]) -> Push | None:
    """The push that the agent would run if every event had come; None if no tag is allowed."""
    newest: Push | None = None
    for tag in tags:
        push = Push(spec.repository, tag.digest, tag.tag, tag.pushed_at, EVENT_ID)
        is_image = ARTIFACT_TAG.fullmatch(tag.tag) is None
        if is_image and check_tag(spec.tags, tag.tag) is None and check_newer(spec.tags, push, newest) is None:
            newest = push
    return newest
