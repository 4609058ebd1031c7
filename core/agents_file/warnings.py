"""Finds values of agents.yaml that are valid and probably not what is meant; each has its position."""

from __future__ import annotations

import re
from collections.abc import Iterator

from core.agents_file.copied_text import copied_character, foreign_character
from core.agents_file.fields import quote
from core.agents_file.signers import IdentitySigner, accepts_anybody
from core.agents_file.spec import Agents, AgentSpec, SecretRef
from core.agents_file.yaml_positions import Issue, KeyPath
from core.target import project_of

DOCUMENTED_SIZES = {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}
REFERENCES = (
    re.compile(r"@Microsoft\.(KeyVault|AppConfiguration)\([^)]*\)?", re.IGNORECASE),
    re.compile(r"^\s*(secretref|keyvaultref|keyvault|azurekeyvault|akv|akvs|kv|vault):\S+", re.IGNORECASE),
    re.compile(r"\{\{[^{}]*\b(secrets?|vault|env|vars?|values?)\b[^{}]*\}\}", re.IGNORECASE),
    re.compile(r"\$\{[^{}]+\}"),
    re.compile(r"\$\([A-Za-z_][A-Za-z0-9_.-]*\)"),
    re.compile(r"^\s*(\$(env:)?[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%|\$\[[^\[\]]+\]|#\{[^{}]+\}#|\{\{[^{}]+\}\})\s*$"),
    re.compile(r"^\s*(https://[\w.-]+\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)/secrets/|op://)\S+"),
)
"""How App Service, Container Apps, pipelines, Helm and Kubernetes write a value that they fill in. Foundry fills in
only ``${{connections.…}}``, which Slipway writes for ``{connection: …}``."""
SECRET_NAME = re.compile(r"(?:secretname=|/secrets/|secretref:)([0-9a-zA-Z-]{1,127})", re.IGNORECASE)
BLOCKED_PROTOCOLS = ("responses", "invocations")
BLOCKED_VERSION = re.compile(r"v?1(\.0){0,2}")
"""Blocked since 2026-07-31: https://learn.microsoft.com/azure/foundry/agents (isolate sessions per user)."""


def find_warnings(agents: Agents) -> list[Issue]:
    """Every warning, in the order of the file; a value of the defaults counts once."""
    found = {
        Issue(_place(agents, spec.name, about), agents.lines.get(_place(agents, spec.name, keys), 1), message)
        for spec in agents.agents.values()
        for about, keys, message in (*_of_agent(spec), *_of_stage(spec, agents))
    }
    used = {project_of(target) for target in agents.agents}
    for project in sorted(set(agents.projects) - used):
        keys = ("projects", project)
        message = "is the project of no stage, so that no agent runs in it; name it in a stage, or remove it"
        found.add(Issue(keys, agents.lines.get(keys, 1), message))
    return sorted(found, key=lambda issue: (issue.line, issue.path, issue.message))


def _place(agents: Agents, name: str, keys: KeyPath) -> KeyPath:
    """Where the value is: in the stage, the agent or the defaults, or in none, if it is a default; then the agent."""
    homes = agents.homes[name]
    single = keys[:2] + keys[3:] if keys[0:1] == ("release",) else keys  # a single probe has no list around it
    places = [(*home, *path) for home in homes for path in (keys, single)]
    return next((place for place in places if place in agents.lines), homes[-2])


def is_blocked(protocol: str, version: str) -> bool:
    """Whether Foundry refuses requests to a container that speaks this version of a protocol."""
    return protocol in BLOCKED_PROTOCOLS and BLOCKED_VERSION.fullmatch(version) is not None


def _of_agent(spec: AgentSpec) -> Iterator[tuple[KeyPath, KeyPath, str]]:
    """What each warning is about, the key whose line it names, and its text."""
    if (spec.cpu, spec.memory) not in DOCUMENTED_SIZES:
        message = f"cpu {spec.cpu} with memory {spec.memory} is not a documented size"
        yield (), ("cpu",), f"{message}; use 0.5 with 1Gi, 1 with 2Gi or 2 with 4Gi"
    for key, message in _of_keys(spec):
        yield key, key, message


def _of_stage(spec: AgentSpec, agents: Agents) -> Iterator[tuple[KeyPath, KeyPath, str]]:
    """What keeps images from a later stage, or lets them reach it unproved."""
    modes = {agents.agents[name].release.mode for name in spec.place.upstream}
    if "notify" in modes:
        yield (), (), "gets no image: the stage before is in mode notify, which releases none; set its release.mode"
    if not spec.place.soak and modes == {"manual"} and spec.release.mode == "manual":
        message = "waits for an approval as soon as the image has one in the stage before, where it then proves nothing"
        yield (), (), f"{message}; add soak: 1h"


def _of_keys(spec: AgentSpec) -> Iterator[tuple[KeyPath, str]]:
    first, slash, rest = spec.repository.partition("/")
    if slash and "." in first:
        message = f"Docker reads {quote(first)} as a registry; if it is one, write only the repository: {rest}"
        yield ("repository",), message
    for protocol, version in spec.protocols.items():
        if is_blocked(protocol, version):
            message = "Foundry has blocked version 1.0.0 since 2026-07-31; write 2.0.0 and update the library"
            yield ("protocols", protocol), message
    if spec.image == "amd64" and spec.inspect == "never":
        yield ("inspect",), "makes Slipway deploy the index: only the manifest names what `image: amd64` asks for"
    if spec.tags.prereleases and spec.tags.order != "semver" and spec.tags.range is None:
        yield ("tags", "prereleases"), "has no effect without `order: semver` or a range; add one, or remove the key"
    for number, signer in enumerate(spec.release.signed_by):
        if isinstance(signer, IdentitySigner) and accepts_anybody(signer):
            message = "accepts a signature of anybody; name whose, such as https://github\\.com/contoso/.*"
            yield ("release", "signed_by", str(number), "identity"), message
    yield from _of_expressions(spec)
    yield from _of_variables(spec)


def _of_expressions(spec: AgentSpec) -> Iterator[tuple[KeyPath, str]]:
    """Characters that a copy from a web page brought into an expression, or that no tag can have."""
    lists = {("tags", "allow"): spec.tags.allow, ("tags", "ignore"): spec.tags.ignore, ("keep", "tags"): spec.keep.tags}
    tags: dict[KeyPath, str] = {("tags", "extract"): spec.tags.extract or ""}
    tags |= {(*keys, str(index)): text for keys, texts in lists.items() for index, text in enumerate(texts)}
    for keys, text in tags.items():
        if found := copied_character(text) or foreign_character(text):
            yield keys, f"no tag has {found}"
    for probes in ("verify", "check"):
        for index, probe in enumerate(getattr(spec.release, probes)):
            if found := copied_character(probe.expect or ""):
                yield ("release", probes, str(index), "expect"), f"an answer must have {found}, unless that is meant"


def _of_variables(spec: AgentSpec) -> Iterator[tuple[KeyPath, str]]:
    names: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for name, value in spec.env.items():
        if isinstance(value, str):
            yield from ((("env", name), message) for message in _of_text(value))
        same = names.setdefault(name.lower(), name)
        if same != name and not name.lower().endswith("_proxy"):
            yield ("env", name), f"differs from {same} only in case: the container gets both; remove one"
        if isinstance(value, SecretRef):
            spelled = secrets.setdefault(value.secret.lower(), value.secret)
            if spelled != value.secret:
                message = f"{value.secret} and {spelled} are the same secret, since Key Vault ignores case"
                yield ("env", name), f"{message}; write {spelled}"


def _of_text(text: str) -> Iterator[str]:
    if found := _reference(text):
        secret = SECRET_NAME.search(found)
        instead = f"{{secret: {secret[1] if secret else 'name-in-key-vault'}}}"
        yield f"the container gets {quote(found)} as it stands; for a secret write {instead}"
    if "\0" in text:
        yield "no variable can hold U+0000, so that no version can start; remove it"
    if copied := copied_character(text[:1]):
        yield f"the container gets the value with {copied} at its start, unless that is meant"


def _reference(text: str) -> str:
    return next((match[0] for pattern in REFERENCES if (match := pattern.search(text))), "")
