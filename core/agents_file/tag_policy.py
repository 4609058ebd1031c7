"""Which tags an agent follows, and which of two pushes is newer."""

from __future__ import annotations

from dataclasses import dataclass

import nodesemver
import re2

from core.agents_file.spec import TagSpec
from core.model import Push
from core.reasons import Reason

MAX_NUMBER_DIGITS = 100


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a push does not become the desired push."""

    reason: Reason
    detail: str = ""


def check_tag(spec: TagSpec, tag: str) -> Rejection | None:
    """Why the agent does not follow the tag, or None."""
    if spec.allow and not any(re2.search(pattern, tag) for pattern in spec.allow):
        return Rejection(Reason.TAG_NOT_ALLOWED, f"{tag} matches no expression of tags.allow")
    ignored = next((pattern for pattern in spec.ignore if re2.search(pattern, tag)), None)
    if ignored is not None:
        return Rejection(Reason.TAG_IGNORED, f"{tag} matches {ignored}")
    part = comparable_part(spec, tag)
    if part is None or not _is_comparable(spec, part):
        return Rejection(Reason.TAG_UNREADABLE, f"{tag} cannot be read as {spec.order}")
    if spec.range is not None and not (_is_semver(part) and nodesemver.satisfies(part, spec.range, loose=False)):
        return Rejection(Reason.TAG_NOT_ALLOWED, f"{tag} is outside {spec.range}")
    return None


def check_newer(spec: TagSpec, push: Push, desired: Push | None) -> Rejection | None:
    """Why an allowed push does not replace the desired push, or None if it does.

    Equal tags are ordered by the time of the push and equal times by the digest, so that redelivered, reordered and
    late events give the same result.
    """
    if desired is None:
        return None
    if push.is_same(desired):
        return Rejection(Reason.SAME_PUSH)
    if push.repository != desired.repository or check_tag(spec, desired.tag) is not None:
        return None  # agents.yaml changed, and the agent does not follow the desired push any more
    if _compare(spec, push, desired) <= 0:
        return Rejection(Reason.NOT_NEWER, f"{push.tag} is not newer than {desired.tag}")
    return None


def comparable_part(spec: TagSpec, tag: str) -> str | None:
    """The part of a tag that is compared: the first group of ``extract``, or the whole tag."""
    if spec.extract is None:
        return tag
    match = re2.search(spec.extract, tag)
    return match.group(1) if match is not None else None


def _is_comparable(spec: TagSpec, part: str) -> bool:
    if spec.order == "number":
        return part.isascii() and part.isdecimal() and len(part) <= MAX_NUMBER_DIGITS
    return spec.order != "semver" or _is_semver(part)


def _is_semver(part: str) -> bool:
    try:
        nodesemver.make_semver(part, loose=False)
    except ValueError:
        return False
    return True


def _compare(spec: TagSpec, push: Push, desired: Push) -> int:
    """Above zero if ``push`` is newer: by the order of the tags, then by time, then by digest and tag."""
    by_tag = _compare_parts(spec, comparable_part(spec, push.tag) or "", comparable_part(spec, desired.tag) or "")
    key, desired_key = (push.pushed_at, push.digest, push.tag), (desired.pushed_at, desired.digest, desired.tag)
    return by_tag or (1 if key > desired_key else -1)


def _compare_parts(spec: TagSpec, part: str, desired: str) -> int:
    if spec.order == "pushed" or part == desired:
        return 0
    if spec.order == "semver":
        return int(nodesemver.compare(part, desired, loose=False))
    if spec.order == "number":
        return (int(part) > int(desired)) - (int(part) < int(desired))
    return 1 if part > desired else -1
