"""Which tags an agent follows, and which of two pushes is newer."""

from __future__ import annotations

from dataclasses import dataclass

import nodesemver
import re2

from core.agents_file.spec import TagSpec
from core.model import Push
from core.reasons import Reason


@dataclass(frozen=True, slots=True)
class Rejection:
    """The tag is not one to follow."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class NotNewer:
    """The push does not replace what is wanted."""

    reason: Reason
    detail: str = ""


def check_tag(spec: TagSpec, tag: str) -> Rejection | None:
    """Why the rule does not follow the tag, or None."""
    if spec.allow and not any(re2.search(pattern, tag) for pattern in spec.allow):
        return Rejection(Reason.TAG_NOT_ALLOWED, f"{tag} matches none of tags.allow")
    ignored = next((pattern for pattern in spec.ignore if re2.search(pattern, tag)), None)
    if ignored is not None:
        return Rejection(Reason.TAG_IGNORED, f"{tag} matches {ignored}")
    part = comparable_part(spec, tag)
    if part is None or not _readable(spec, part):
        return Rejection(Reason.TAG_UNREADABLE, f"{tag} cannot be read as {spec.order}")
    if spec.range is not None and not _in_range(part, spec.range):
        return Rejection(Reason.TAG_NOT_ALLOWED, f"{tag} is outside {spec.range}")
    return None


def check_newer(spec: TagSpec, push: Push, desired: Push | None) -> NotNewer | None:
    """Why a push that the rule follows does not replace what is wanted, or None where it does.

    Equal tags are told apart by the time of the push, equal times by the digest: redelivered, reordered and late events
    always come to the same end.
    """
    if desired is None:
        return None
    if (push.repository, push.digest, push.tag) == (desired.repository, desired.digest, desired.tag):
        return NotNewer(Reason.SAME_PUSH)
    if push.repository != desired.repository or check_tag(spec, desired.tag) is not None:
        return None  # agents.yaml changed: what was wanted is none of the rule's any more
    if _compare(spec, push, desired) <= 0:
        return NotNewer(Reason.NOT_NEWER, f"{push.tag} is not newer than {desired.tag}")
    return None


def comparable_part(spec: TagSpec, tag: str) -> str | None:
    """The part of a tag that is compared: the first group of ``extract``, or all of it."""
    if spec.extract is None:
        return tag
    found = re2.search(spec.extract, tag)
    return found.group(1) if found is not None else None


def _readable(spec: TagSpec, part: str) -> bool:
    if spec.order == "number":
        return part.isascii() and part.isdecimal() and len(part) <= 100
    return spec.order != "semver" or _is_version(part)


def _is_version(part: str) -> bool:
    try:
        nodesemver.make_semver(part, loose=False)
    except ValueError:
        return False
    return True


def _in_range(part: str, range_: str) -> bool:
    return _is_version(part) and bool(nodesemver.satisfies(part, range_, loose=False))


def _compare(spec: TagSpec, one: Push, other: Push) -> int:
    """Above zero where ``one`` is newer: by the rule's order, then by time, then by digest and tag."""
    by_tag = _by_order(spec, comparable_part(spec, one.tag) or "", comparable_part(spec, other.tag) or "")
    return by_tag or _sign((one.pushed_at, one.digest, one.tag) > (other.pushed_at, other.digest, other.tag))


def _by_order(spec: TagSpec, one: str, other: str) -> int:
    if spec.order == "pushed" or one == other:
        return 0
    if spec.order == "semver":
        return int(nodesemver.compare(one, other, loose=False))
    if spec.order == "number":
        return (int(one) > int(other)) - (int(one) < int(other))
    return _sign(one > other)


def _sign(above: bool) -> int:
    return 1 if above else -1
