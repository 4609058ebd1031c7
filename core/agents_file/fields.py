"""The single values of agents.yaml: names, durations, expressions, version ranges, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any

import nodesemver
import re2
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

NAME = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
"""An agent's name, as azure-ai-projects documents it for create_version."""
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
REPOSITORY = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
"""A repository's name in the OCI distribution specification: no registry, no tag, no digest."""
CPU = r"^(0\.[0-9]*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)$"
MEMORY = CPU.replace("$", "Gi$")
PROTOCOL_VERSION = r"^v?[0-9]+(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?$"
SECRET = r"^[0-9a-zA-Z-]{1,127}$"
SECRET_VERSION = r"^[0-9a-f]{32}$"
CONNECTION = r"^[A-Za-z0-9_.-]+\.(credentials\.[A-Za-z0-9_]+|target|metadata\.[A-Za-z0-9_]+)$"
RESERVED = ("FOUNDRY_", "AGENT_", "SLIPWAY_")
PLATFORM = frozenset(
    {"PORT", "HOME", "SSE_KEEPALIVE_INTERVAL", "APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT"}
)
"""What the platform injects itself: https://learn.microsoft.com/azure/foundry/agents (environment variables)."""
DURATION = r"^([0-9]{1,8}d)?([0-9]{1,8}h)?([0-9]{1,8}m)?([0-9]{1,8}s)?$"
MAX_DURATION = timedelta(days=3650)
"""Added to any date of ours it is still a date."""
OWN_DEFINITION = frozenset(
    {"kind", "image", "cpu", "memory", "environment_variables", "container_configuration", "protocol_versions"}
)
PROTOCOLS = ("responses", "invocations", "invocations_ws", "activity", "a2a", "mcp",
             "voice", "voice_conversation_engine")  # fmt: skip
"""Those of AgentEndpointProtocol in azure-ai-projects."""
REGISTRIES = (".azurecr.io", ".azurecr.cn", ".azurecr.us", ".microsoft.com", ".amazonaws.com", ".io", "localhost")
"""How the first part of an image's name ends where it is a registry."""
TOOLS = ("code_interpreter", "file_search", "mcp")


def short(text: str) -> str:
    """So much of a text that a sentence stays one."""
    return text if len(text) <= 80 else f"{text[:80]}…"


def shown(value: object) -> str:
    """A value in a sentence: short, on one line."""
    return short(repr(value))


def parse_duration(value: object) -> timedelta:
    """``1d``, ``90s``, ``1h30m``: days, hours, minutes, seconds, in this order."""
    if isinstance(value, timedelta):
        return value
    found = re2.search(DURATION, value) if isinstance(value, str) and value else None
    if found is None:
        raise ValueError(f"{shown(value)} is no duration; write 30s, 10m, 12h, 7d or 1h30m")
    days, hours, minutes, seconds = (int(part[:-1]) if part else 0 for part in found.groups())
    whole = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if whole > MAX_DURATION:
        raise ValueError(f"{value} is too long; {MAX_DURATION.days}d are the most")
    return whole


QUIET = re2.Options()
QUIET.log_errors = False  # a mistake is ours to tell; the library would also print it


def expression(pattern: str) -> str:
    """An RE2 expression that compiles."""
    try:
        re2.compile(pattern, QUIET)
    except re2.error as error:
        raise ValueError(f"{shown(pattern)} is no RE2 expression: {_text(error)}") from error
    return pattern


def _text(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode() if isinstance(told, bytes) else str(told)


def npm_range(text: str) -> str:
    """A version range in npm's grammar."""
    try:
        nodesemver.make_range(text, loose=False)
    except ValueError as error:
        raise ValueError(f'{shown(text)} is no version range; write ">=1.0.0 <2.0.0" or "^1.2.0"') from error
    return text


def group(pattern: str) -> str:
    """An expression with the group that cuts the version or number out."""
    if re2.compile(expression(pattern), QUIET).groups < 1:
        raise ValueError(f"{shown(pattern)} has no group; put parentheses around the part to compare")
    return pattern


def variable(name: str) -> str:
    """The name of an environment variable that is ours to set."""
    if name.startswith(RESERVED) or name in PLATFORM:
        raise ValueError(f"{name} is reserved: the platform sets it, or Slipway does")
    if not re2.search(VARIABLE, name):
        raise ValueError(f"{shown(name)} is no variable name; use letters, digits and underscores, not a digit first")
    return name


def repository(text: str) -> str:
    """A repository alone: what registry it is in is a setting, and which image of it runs is what pushes decide."""
    if re2.search(REPOSITORY, text) and not _registry(text):
        return text
    bare = text.rpartition("://")[2].partition("@")[0]
    registry = _registry(bare)
    bare = bare.removeprefix(f"{registry}/").split(":")[0].strip("/").lower()
    fits = len(bare) <= 80 and re2.search(REPOSITORY, bare)
    instead = f"write the repository alone: {bare if fits else 'agents/hello'}"
    if registry:
        raise ValueError(f"{shown(registry)} is a registry, which REGISTRY_LOGIN_SERVER says; {instead}")
    if "@" in text or ":" in text:
        raise ValueError(f"a {'digest' if '@' in text else 'tag'} is what a push brings; {instead}")
    if text != text.lower():
        raise ValueError(f"a repository has no upper case letters; {instead}")
    raise ValueError(f"{shown(text)} is no repository; {instead}")


def _registry(text: str) -> str:
    """A registry that stands before the repository; a dot alone makes none: ``my.team/hello`` is a repository."""
    first, slash, _ = text.partition("/")
    return first if slash and (":" in first or first.endswith(REGISTRIES)) else ""


def protocol(name: str) -> str:
    """A protocol's name; one that Foundry has learned since is as good, one that is nearly a known one is a slip."""
    meant = get_close_matches(name, PROTOCOLS, n=1, cutoff=0.75)
    if name not in PROTOCOLS and (meant or not re2.search(r"^[a-z][a-z0-9_]*$", name)):
        hint = f"did you mean {meant[0]}?" if meant else f"Foundry knows {', '.join(PROTOCOLS)}"
        raise ValueError(f"{shown(name)} is no protocol; {hint}")
    return name


def tool(value: Map) -> Map:
    """A tool of the seed document, with what its type needs."""
    kind = value.get("type")
    if kind not in TOOLS:
        named = "has no type" if kind is None else f"unknown tool {shown(kind)}"
        raise ValueError(f"{named}; Slipway knows {', '.join(TOOLS)}")
    if kind == "mcp" and not (value.get("server_label") and str(value.get("server_url", "")).startswith("https://")):
        raise ValueError("an mcp tool needs server_label and an https server_url")
    return value


def more(key: str) -> str:
    """A key of the definition that no other key of the rule sets."""
    if key in OWN_DEFINITION:
        raise ValueError(f"more_definition must not set {key}: the rule does")
    return key


def _in_editors(kind: str | list[str], **limits: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **limits})


Map = Mapping[str, Any]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Repository = Annotated[str, AfterValidator(repository), _in_editors("string", pattern=REPOSITORY)]
Cpu = Annotated[str, StringConstraints(pattern=CPU), _in_editors(["string", "number"], pattern=CPU)]
Memory = Annotated[str, StringConstraints(pattern=MEMORY)]
ProtocolVersion = Annotated[
    str, StringConstraints(pattern=PROTOCOL_VERSION), _in_editors(["string", "number"], pattern=PROTOCOL_VERSION)
]
Protocols = Annotated[
    Mapping[Annotated[str, AfterValidator(protocol), _in_editors("string", examples=PROTOCOLS)], ProtocolVersion],
    Field(min_length=1),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    _in_editors("string", pattern=DURATION.replace("^", "^(?=.)", 1)),
]
Expression = Annotated[str, AfterValidator(expression)]
Group = Annotated[str, AfterValidator(group)]
Range = Annotated[str, AfterValidator(npm_range)]
Variable = Annotated[str, AfterValidator(variable), _in_editors("string", pattern=VARIABLE)]
SecretName = Annotated[str, StringConstraints(pattern=SECRET)]
SecretVersion = Annotated[str, StringConstraints(pattern=SECRET_VERSION)]
ConnectionField = Annotated[str, StringConstraints(pattern=CONNECTION)]
Tool = Annotated[
    Map, AfterValidator(tool), _in_editors("object", properties={"type": {"enum": TOOLS}}, required=["type"])
]
Text = Annotated[str, _in_editors(["string", "number", "boolean"])]
MoreDefinition = Mapping[
    Annotated[str, AfterValidator(more), _in_editors("string", **{"not": {"enum": sorted(OWN_DEFINITION)}})], Any
]
