"""Finds values of agents.yaml that are valid and probably not what is meant; each is a sentence with its position."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.agents_file.fields import quote
from core.agents_file.spec import Agents, AgentSpec
from core.agents_file.yaml_positions import KeyPath

DOCUMENTED_SIZES = {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}
REFERENCES = (
    re.compile(r"@Microsoft\.(KeyVault|AppConfiguration)\([^)]*\)?", re.IGNORECASE),
    re.compile(r"^\s*(secretref|keyvaultref|keyvault|azurekeyvault|akv|akvs|kv|vault):\S+", re.IGNORECASE),
    re.compile(r"\{\{[^{}]*\b(secrets?|vault|env|vars?|values?)\b[^{}]*\}\}", re.IGNORECASE),
    re.compile(r"\$\{[^{}]+\}"),
    re.compile(r"\$\([A-Za-z_][A-Za-z0-9_.-]*\)"),
)
"""How App Service, Container Apps, pipelines, Helm and Kubernetes write a value that they fill in. Foundry fills in
only ``${{connections.…}}``, which Slipway writes for ``{connection: …}``."""
SECRET_NAME = re.compile(r"(?:secretname=|/secrets/|secretref:)([0-9a-zA-Z-]{1,127})", re.IGNORECASE)
BLOCKED_PROTOCOLS = ("responses", "invocations")
BLOCKED_VERSION = re.compile(r"v?1(\.0){0,2}")
"""Blocked since 2026-07-31: https://learn.microsoft.com/azure/foundry/agents (isolate sessions per user)."""


def find_warnings(agents: Agents) -> tuple[str, ...]:
    """Every warning, in the order of the file; a value of the defaults counts once."""
    found = {
        (agents.lines.get(_place(agents, spec.name, keys), 1), ".".join(_place(agents, spec.name, about)), message)
        for spec in agents.agents.values()
        for about, keys, message in _of_agent(spec)
    }
    return tuple(f"{path}: {message} (line {line})" for line, path, message in sorted(found))


def _place(agents: Agents, name: str, keys: KeyPath) -> KeyPath:
    """Where the value is: in the agent, in the defaults, or in neither, if it is a default; then the agent."""
    places: tuple[KeyPath, ...] = (("agents", name, *keys), ("defaults", *keys))
    return next((place for place in places if place in agents.lines), ("agents", name))


def _of_agent(spec: AgentSpec) -> Iterator[tuple[KeyPath, KeyPath, str]]:
    """What each warning is about, the key whose line it names, and its text."""
    if (spec.cpu, spec.memory) not in DOCUMENTED_SIZES:
        message = f"cpu {spec.cpu} with memory {spec.memory} is not a documented size"
        yield (), ("cpu",), f"{message}; use 0.5 with 1Gi, 1 with 2Gi or 2 with 4Gi"
    for key, message in _of_keys(spec):
        yield key, key, message


def _of_keys(spec: AgentSpec) -> Iterator[tuple[KeyPath, str]]:
    first, slash, rest = spec.repository.partition("/")
    if slash and "." in first:
        message = f"Docker reads {quote(first)} as a registry; if it is one, write only the repository: {rest}"
        yield ("repository",), message
    for protocol in BLOCKED_PROTOCOLS:
        if BLOCKED_VERSION.fullmatch(spec.protocols.get(protocol, "")):
            message = "Foundry blocks requests to version 1.0.0 since 2026-07-31; write 2.0.0 and update the library"
            yield ("protocols", protocol), message
    if spec.tags.prereleases and spec.tags.order != "semver" and spec.tags.range is None:
        yield ("tags", "prereleases"), "has no effect without `order: semver` or a range; add one, or remove the key"
    yield from _of_variables(spec)


def _of_variables(spec: AgentSpec) -> Iterator[tuple[KeyPath, str]]:
    earlier: dict[str, str] = {}
    for name, value in spec.env.items():
        if isinstance(value, str) and (found := _reference(value)):
            secret = SECRET_NAME.search(found)
            instead = f"{{secret: {secret[1] if secret else 'name-in-key-vault'}}}"
            yield ("env", name), f"the container gets {quote(found)} as it stands; for a secret write {instead}"
        same = earlier.setdefault(name.lower(), name)
        if same != name and not name.lower().endswith("_proxy"):
            yield ("env", name), f"differs from {same} only in case: the container gets both; remove one"


def _reference(text: str) -> str:
    return next((match[0] for pattern in REFERENCES if (match := pattern.search(text))), "")
