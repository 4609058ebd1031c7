"""Reads ``projects:``: the Foundry projects beside that of the settings, with their endpoints and vaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from core.agents_file import messages
from core.agents_file.spec import Agents, AgentSpec
from core.agents_file.yaml_positions import KeyPath
from core.target import DEFAULT_PROJECT
from core.vault_address import vault_address

PROJECT_NAME = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
ENDPOINT = "https://<resource>.services.ai.azure.com/api/projects/<project>"
VAULT = "https://<vault>.vault.azure.net"
PROJECT_PATH = re.compile(r"/api/projects/[A-Za-z0-9._~%-]+/?")
AZURE = (".azure.com", ".azure.net", ".azure.cn", ".azure.us", ".windows.net", ".usgovcloudapi.net")
VAULTS = (".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net")

Problem = tuple[KeyPath, str]
"""The keys that lead to a value, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Projects:
    """What the file says about its projects."""

    endpoints: dict[str, str] = field(default_factory=dict)
    vaults: dict[str, str] = field(default_factory=dict)
    """Of the projects that have a vault of their own."""


def read_projects(value: Any) -> tuple[Projects, list[Problem]]:
    """The projects, and what is wrong."""
    found, problems = Projects(), list[Problem]()
    if not isinstance(value, dict) or not value:
        problem = f"expected a map such as {{staging: {{endpoint: …}}}}, found {messages.kind_of(value)}"
        return found, [((), "has no project; name one, or remove the key" if value == {} else problem)]
    for name, body in value.items():
        problems += [*_name_problems(name), *_body_problems(name, body)]
        if not isinstance(body, dict):
            continue
        if isinstance(endpoint := body.get("endpoint"), str):
            endpoint = endpoint.rstrip("/")
            problems += _endpoint_problems(name, endpoint, found.endpoints)
            found.endpoints[name] = endpoint
        if "vault" in body:
            problems += _vault_problems(name, body["vault"])
            found.vaults[name] = vault_address(str(body["vault"]))
    return found, problems


def by_vault(agents: Agents) -> list[list[AgentSpec]]:
    """The targets whose secrets are in the same vault."""
    groups: dict[str, list[AgentSpec]] = {}
    for spec in agents.agents.values():
        groups.setdefault(agents.vault_of(spec.name), []).append(spec)
    return list(groups.values())


def is_same_project(endpoint: str, other: str) -> bool:
    """Whether two endpoints are of one project, however they are written: two names of it would be two writers."""
    return _comparable(endpoint) == _comparable(other)


def _comparable(endpoint: str) -> tuple[str, str]:
    url = _split(endpoint)
    if url is None:
        return "", endpoint
    host = url.netloc.lower().removesuffix(":443").rstrip(".")
    return host, unquote(url.path).lower().rstrip("/")


def _name_problems(name: str) -> Iterator[Problem]:
    if name == DEFAULT_PROJECT:
        yield (name,), "is the project of FOUNDRY_PROJECT_ENDPOINT; use another name"
    elif not re.fullmatch(PROJECT_NAME, name):
        yield (name,), "a project's name has only small letters, digits and hyphens between them, at most 32 characters"


def _body_problems(name: str, body: Any) -> Iterator[Problem]:
    if not isinstance(body, dict):
        yield (name,), f"expected a map such as {{endpoint: …}}, found {messages.kind_of(body)}"
        return
    for key in body:
        if key not in messages.PROJECT_KEYS:
            yield (name, key), messages.unknown_key(key, messages.PROJECT_KEYS)
    if not isinstance(body.get("endpoint"), str):
        yield (name,), f"needs an endpoint, such as {ENDPOINT}"


def _endpoint_problems(name: str, endpoint: str, others: Mapping[str, str]) -> Iterator[Problem]:
    url = _split(endpoint)
    if url is None or not PROJECT_PATH.fullmatch(url.path):
        yield (name, "endpoint"), f"is not the address of a project; write one such as {ENDPOINT}"
    elif _is_of_another_service(url, (".services.ai.azure.com",)):
        yield (name, "endpoint"), f"names another service; write an address such as {ENDPOINT}"
    same = next((other for other, address in others.items() if is_same_project(address, endpoint)), None)
    if same:
        yield (name, "endpoint"), f"is the endpoint of {same} too; each project has one name"


def _vault_problems(name: str, vault: Any) -> Iterator[Problem]:
    url = _split(vault) if isinstance(vault, str) else None
    if url is None or ("/secrets" in url.path) or (str(url.hostname).endswith(VAULTS) and url.path.strip("/")):
        yield (name, "vault"), f"is not the address of a vault; write one such as {VAULT}"
    elif _is_of_another_service(url, VAULTS):
        yield (name, "vault"), f"names another service; write an address such as {VAULT}"


def _split(address: str) -> SplitResult | None:
    """The parts of an address, None where it is not that of a service."""
    try:
        url = urlsplit(address)
        is_one = url.scheme == "https" and bool(url.hostname) and not re.search(r"[\s@?#]", address)
    except ValueError:
        return None
    return url if is_one else None


def _is_of_another_service(url: SplitResult, domains: tuple[str, ...]) -> bool:
    """Whether the host is one of Azure's, and not of these."""
    host = str(url.hostname)
    return host.endswith(AZURE) and not host.endswith(domains)
