"""Which tags an agent follows, and which of two pushes is newer."""

from __future__ import annotations

from dataclasses import dataclass

import re2

from core.agents_file import versions
from core.agents_file.spec import TagSpec
from core.model import Push
from core.reasons import Reason

HINTS = {
    "semver": "write three numbers, such as 1.2.0, or set tags.extract; for 2025.07.03.1 set tags.order: number",
    "number": "write digits, with dots, hyphens or underscores between them, or set tags.extract",
}
PRERELEASE = "a pre-release: set tags.prereleases: true, or order dates such as 2025.07.03-1 with tags.order: number"


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
    if part is None:
        return Rejection(Reason.TAG_UNREADABLE, f"{tag} does not match tags.extract")
    if not _is_comparable(spec, part):
        return Rejection(Reason.TAG_UNREADABLE, f"{tag} cannot be read as {spec.order}: {HINTS[spec.order]}")
    return _check_version(spec, tag, part)


def _check_version(spec: TagSpec, tag: str, part: str) -> Rejection | None:
    """Why a version is not allowed: pre-releases are, as for npm and Flux, only where the spec asks for them."""
    if spec.range is not None and not versions.is_in_range(part, spec.range, prereleases=spec.prereleases):
        hint = versions.is_in_range(part, spec.range, prereleases=True)
        return Rejection(Reason.TAG_NOT_ALLOWED, f"{tag} is {PRERELEASE if hint else f'outside {spec.range}'}")
    if spec.order == "semver" and spec.range is None and not spec.prereleases and versions.is_prerelease(part):
        return Rejection(Reason.TAG_NOT_ALLOWED, f"{tag} is {PRERELEASE}")
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
        return versions.numbers(part) is not None
    return spec.order != "semver" or versions.is_version(part)


def _compare(spec: TagSpec, push: Push, desired: Push) -> int:
    """Above zero if ``push`` is newer: by the order of the tags, then by time, then by digest and tag."""
    by_tag = _compare_parts(spec, comparable_part(spec, push.tag) or "", comparable_part(spec, desired.tag) or "")
    key, desired_key = (push.pushed_at, push.digest, push.tag), (desired.pushed_at, desired.digest, desired.tag)
    return by_tag or (1 if key > desired_key else -1)


def _compare_parts(spec: TagSpec, part: str, desired: str) -> int:
    if spec.order == "pushed" or part == desired:
        return 0
    if spec.order == "semver":
        return versions.compare(part, desired)
    if spec.order == "number":
        newer, older = versions.numbers(part) or (), versions.numbers(desired) or ()
        return (newer > older) - (newer < older)
    return 1 if part > desired else -1
