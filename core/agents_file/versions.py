"""Reads versions and numbers in tags: semantic versions as npm reads them, and numbers with separators."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

VERSION = re.compile(r"v?0*([0-9]+)\.0*([0-9]+)\.0*([0-9]+)([-_].*)?", re.ASCII)
MAX_NUMBER_CHARS = 128
"""A tag is not longer."""
NUMBERS = re.compile(r"v?[0-9]+([._-][0-9]+)*", re.ASCII)
RANGE_NUMBERS = re.compile(r"(?<![0-9A-Za-z.+-])v?[0-9]+(\.[0-9]+){0,2}", re.ASCII)
"""The numbers of each version in a range, without its pre-release."""
ALL_PRERELEASES = re.compile(r"-0(?![0-9A-Za-z.-])")
"""``>=1.0.0-0``: the usual way to say, in Flux and Helm, that a range includes all its pre-releases."""


@cache
def semver() -> Any:
    """The package nodesemver; imported here, since only tag policies of versions need it, and it compiles grammars."""
    import nodesemver

    return nodesemver


def is_version(text: str) -> bool:
    """True for three numbers, with or without ``v``, pre-release and build metadata."""
    try:
        semver().make_semver(_plain(text), loose=False)
    except ValueError:
        return False
    return True


def is_prerelease(version: str) -> bool:
    """True for a version such as ``2.0.0-rc.1``."""
    return bool(semver().make_semver(_plain(version), loose=False).prerelease)


def is_in_range(text: str, version_range: str, *, prereleases: bool) -> bool:
    """True for a version in a range of npm's grammar.

    A pre-release is in a range that names a pre-release of the same version, as in npm; and in one that names the
    lowest pre-release (``>=1.0.0-0``), or where ``prereleases`` is set: then ``<2.0.0`` still excludes ``2.0.0-rc.1``.
    """
    if not is_version(text):
        return False
    version, version_range = _plain(text), without_leading_zeros(version_range)
    if semver().satisfies(version, version_range, loose=False):
        return True
    if not (prereleases or ALL_PRERELEASES.search(version_range)) or not is_prerelease(version):
        return False
    alternatives = semver().to_comparators(version_range, loose=False)
    return any(all(_fulfils(version, comparator) for comparator in filter(None, each)) for each in alternatives)


def without_leading_zeros(version_range: str) -> str:
    """``>=2025.07.01`` as npm's grammar has it, which knows ``2025.7.1`` alone."""
    return RANGE_NUMBERS.sub(lambda match: re.sub(r"(?<![0-9])0+(?=[0-9])", "", match[0]), version_range)


def _fulfils(prerelease: str, comparator: str) -> bool:
    """True if a pre-release fulfils ``>=1.0.0`` and the like.

    Not by nodesemver 0.9, which finds 1.0.0-rc.1 in ``>=1.0.0`` where pre-releases are to be included.
    """
    bound = comparator.lstrip("<>=")
    sign = comparator.removesuffix(bound)
    order = semver().compare(prerelease, bound, loose=False)
    if sign == "<" and prerelease.partition("-")[0] == bound:
        return False
    return bool({">=": order >= 0, "<=": order <= 0, ">": order > 0, "<": order < 0}.get(sign, order == 0))


def compare(version: str, other: str) -> int:
    """Above zero if the version is the higher one; build metadata does not count."""
    return int(semver().compare(_plain(version), _plain(other), loose=False))


def numbers(text: str) -> tuple[int, ...] | None:
    """The numbers of ``42``, ``2025.07.03.1``, ``20250703-1`` or ``v3_2``; None for other texts."""
    if len(text) > MAX_NUMBER_CHARS or NUMBERS.fullmatch(text) is None:
        return None
    return tuple(int(part) for part in re.split("[._-]", text.removeprefix("v")))


def _plain(text: str) -> str:
    """The version as npm's grammar has it: no leading zeros, and ``+`` before build metadata.

    A tag cannot hold ``+``, so Helm and others write ``_`` for it.
    """
    match = VERSION.fullmatch(text)
    if match is None:
        return ""
    major, minor, patch, rest = match.groups()
    return f"{major}.{minor}.{patch}{(rest or '').replace('_', '+', 1)}"
