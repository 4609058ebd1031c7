"""A target: an agent in a project, written ``support-agent@prod-eu``; in the settings' project the name alone."""

from __future__ import annotations

from collections.abc import Iterable

DEFAULT_PROJECT = "default"
"""The project of the setting FOUNDRY_PROJECT_ENDPOINT."""
ALL_AGENTS = "all"
"""What commands take for every agent, so that no agent has this name."""


def target_of(agent: str, project: str) -> str:
    """The name of an agent in a project."""
    return agent if project == DEFAULT_PROJECT else f"{agent}@{project}"


def agent_of(target: str) -> str:
    """The agent's name in Foundry."""
    return target.partition("@")[0]


def by_project(targets: Iterable[str]) -> list[list[str]]:
    """The targets of each project, in their order: what is slow in one project holds up no other."""
    groups: dict[str, list[str]] = {}
    for target in targets:
        groups.setdefault(project_of(target), []).append(target)
    return list(groups.values())


def project_of(target: str) -> str:
    """The project that a target is in."""
    return target.partition("@")[2] or DEFAULT_PROJECT
