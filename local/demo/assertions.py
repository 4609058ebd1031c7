"""What must be true of an agent, held against what the SDK says."""

from __future__ import annotations

from collections.abc import Callable

from local.demo.stack_driver import Seen

Judge = Callable[[Seen], tuple[str, bool]]
"""The answer in a few words, and whether it is the one that must be."""


def serves(version: str, digest: str) -> Judge:
    """The selector names the version, and the version is the image."""

    def judge(seen: Seen) -> tuple[str, bool]:
        image = seen.serving.image
        return f"version {seen.live}, {image.rpartition('@')[2][:19]}…", seen.live == version and image.endswith(digest)

    return judge


def holds(count: int) -> Judge:
    """The agent has so many versions."""

    def judge(seen: Seen) -> tuple[str, bool]:
        told = ", ".join(f"{number} {version.status}" for number, version in seen.versions.items())
        return told, len(seen.versions) == count

    return judge


def has(variable: str) -> Judge:
    """The live version has the variable; its value is nobody's business."""
    return lambda seen: (", ".join(seen.serving.variables), variable in seen.serving.variables)


def failed(version: str) -> Judge:
    """The version has failed."""

    def judge(seen: Seen) -> tuple[str, bool]:
        status = seen.versions[version].status if version in seen.versions else "is not there"
        return f"{version} {status}", status == "failed"

    return judge


def live(version: str) -> Judge:
    """The selector names the version."""
    return lambda seen: (f"version {seen.live}", seen.live == version)
