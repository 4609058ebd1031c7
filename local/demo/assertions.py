"""Assertions about an agent, checked against what the SDK returns."""

from __future__ import annotations

from collections.abc import Callable

from local.demo.stack_driver import AgentSnapshot

Assertion = Callable[[AgentSnapshot], tuple[str, bool]]
"""Returns what the SDK says, in a few words, and whether that is right."""


def version_is_live(version: str, digest: str | None = None) -> Assertion:
    """Assert that the version selector names the version and, with a digest, that the version runs that image."""

    def check(agent: AgentSnapshot) -> tuple[str, bool]:
        if digest is None:
            return f"version {agent.live}", agent.live == version
        image = agent.live_version.image
        shown = f"version {agent.live}, {image.rpartition('@')[2][:19]}…"
        return shown, agent.live == version and image.endswith(digest)

    return check


def has_versions(count: int) -> Assertion:
    """Assert how many versions the agent has."""

    def check(agent: AgentSnapshot) -> tuple[str, bool]:
        shown = ", ".join(f"{number} {version.status}" for number, version in agent.versions.items())
        return shown or "none", len(agent.versions) == count

    return check


def has_variable(name: str) -> Assertion:
    """Assert that the live version has the environment variable; its value is not read."""
    return lambda agent: (", ".join(agent.live_version.variables), name in agent.live_version.variables)


def lacks_image(digest: str) -> Assertion:
    """Assert that no version of the agent has the image."""

    def check(agent: AgentSnapshot) -> tuple[str, bool]:
        images = [version.image.rpartition("@")[2] for version in agent.versions.values()]
        return f"only {', '.join(f'{image[:19]}…' for image in images)}", digest not in images

    return check


def version_failed(version: str) -> Assertion:
    """Assert that the version has failed."""

    def check(agent: AgentSnapshot) -> tuple[str, bool]:
        status = agent.versions[version].status if version in agent.versions else "is missing"
        return f"{version} {status}", status == "failed"

    return check
