"""The newest push of a repository, as its tags tell it: for pushes whose event never came."""

from __future__ import annotations

from collections.abc import Iterable

from core.agents_file.spec import AgentRule
from core.agents_file.tag_policy import judge, newer
from core.events import ARTIFACT_TAG
from core.image_manifest import Tagged
from core.model import Push

EVENT = "catch-up"
"""What stands in for the id of the event that never came."""


def newest(rule: AgentRule, tags: Iterable[Tagged]) -> Push | None:
    """The push that the rule would have ended at, had every event come; None where it allows no tag."""
    best: Push | None = None
    for one in tags:
        push = Push(rule.repository, one.digest, one.tag, one.pushed_at, EVENT)
        if _is_image(one.tag) and judge(rule.tags, one.tag) is None and newer(rule.tags, push, best) is None:
            best = push
    return best


def _is_image(tag: str) -> bool:
    return ARTIFACT_TAG.fullmatch(tag) is None
