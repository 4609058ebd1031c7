"""The newest push of a repository, as its tags tell it: for pushes whose event never came."""

from __future__ import annotations

from collections.abc import Iterable

from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import check_newer, check_tag
from core.events import ARTIFACT_TAG
from core.image_manifest import RegistryTag
from core.model import Push

EVENT = "catch-up"
"""What stands in for the id of the event that never came."""


def newest_allowed_push(spec: AgentSpec, tags: Iterable[RegistryTag]) -> Push | None:
    """The push that the rule would have ended at, had every event come; None where it allows no tag."""
    best: Push | None = None
    for one in tags:
        push = Push(spec.repository, one.digest, one.tag, one.pushed_at, EVENT)
        if _is_image(one.tag) and check_tag(spec.tags, one.tag) is None and check_newer(spec.tags, push, best) is None:
            best = push
    return best


def _is_image(tag: str) -> bool:
    return ARTIFACT_TAG.fullmatch(tag) is None
