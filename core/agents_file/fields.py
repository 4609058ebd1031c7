"""Types and checks of single values in agents.yaml: names, durations, expressions, version ranges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from core.agents_file.copied_text import copied_character
from core.agents_file.versions import semver, without_leading_zeros
from core.image_reference import (
    MAX_REPOSITORY_CHARS,
    REGISTRY_ALONE,
    REPOSITORY_PATTERN,
    is_repository,
    registry_of,
    repository_of,
)
from core.similar_names import did_you_mean, most_similar

NAME_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
"""An agent name, as azure-ai-projects documents it for create_version."""
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
MAX_VARIABLE_CHARS = 255
"""Longer names are mistakes; no limit is documented."""
CPU_PATTERN = r"^(0\.[0-9]{0,2}[1-9][0-9]{0,2}|[1-9][0-9]{0,2}(\.[0-9]{1,3})?)$"
PROTOCOL_VERSION_PATTERN = r"^v?[0-9]{1,9}(\.[0-9]{1,9}){0,2}(-[0-9A-Za-z.-]{1,64})?$"
CONNECTION_PATTERN = r"^[A-Za-z0-9_.-]+\.(credentials\.[A-Za-z0-9_]+|target|metadata\.[A-Za-z0-9_]+)$"
MAX_EXPRESSION_CHARS = 1_000
MAX_RANGE_CHARS = 200
"""The grammar of ranges backtracks: 16,000 spaces take seconds."""
MAX_DURATION_DIGITS = 8
DURATION_DIGITS = f"{{1,{MAX_DURATION_DIGITS}}}"
DURATION_PATTERN = "^" + "".join(f"([0-9]{DURATION_DIGITS}{unit})?" for unit in "dhms") + "$"
WRITTEN_DURATION = DURATION_PATTERN.replace("^", "^(?=.)", 1)
"""The same, with a unit at least; RE2 has no such expression."""
MAX_DURATION = timedelta(days=3650)
"""Short enough that adding it to a date never overflows."""
MAX_QUOTED_CHARS = 80
RESERVED_PREFIXES = ("FOUNDRY_", "AGENT_", "SLIPWAY_")
PLATFORM_VARIABLES = frozenset(
    {"PORT", "HOME", "SSE_KEEPALIVE_INTERVAL", "APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT"}
)
"""Variables that the platform sets: https://learn.microsoft.com/azure/foundry/agents (environment variables)."""
SLIPWAY_DEFINITION_KEYS = frozenset(
    {"kind", "image", "cpu", "memory", "environment_variables", "container_configuration", "protocol_versions"}
)
"""Keys of Foundry's definition that Slipway sets from other keys of agents.yaml."""
PROTOCOLS = ("responses", "invocations", "invocations_ws", "activity", "a2a", "mcp",
             "voice", "voice_conversation_engine")  # fmt: skip
"""AgentEndpointProtocol of azure-ai-projects."""
TOOLS = ("code_interpreter", "file_search", "mcp")
QUIET = re2.Options()
QUIET.log_errors = False  # the library would print the error that Slipway reports


def truncate(text: str) -> str:
    """Text cut to a length that fits in a message."""
    return text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}…"


def quote(value: object) -> str:
    """A value for a message: quoted, cut, on one line; true and false as the file writes them."""
    return truncate(str(value).lower() if isinstance(value, bool) else repr(value))


def parse_duration(value: object) -> timedelta:
    """``1d``, ``90s``, ``1h30m``: days, hours, minutes, seconds, in this order."""
    if isinstance(value, timedelta):
        return value
    match = (
        re2.search(DURATION_PATTERN.replace(DURATION_DIGITS, "+"), value) if isinstance(value, str) and value else None
    )
    if match is None:
        raise ValueError(f"{quote(value)} is not a duration; write 30s, 10m, 12h, 7d or 1h30m")
    digits = [(part or "0s")[:-1].lstrip("0") for part in match.groups()]
    if max(map(len, digits)) <= MAX_DURATION_DIGITS:
        days, hours, minutes, seconds = (int(number or 0) for number in digits)
        duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if duration <= MAX_DURATION:
            return duration
    raise ValueError(f"{truncate(str(value))} is too long; the maximum is {MAX_DURATION.days}d")


def check_positive(duration: timedelta) -> timedelta:
    """A limit that leaves time for something to happen."""
    if not duration:
        raise ValueError("is no time at all, so that it always fails; write 1s or more")
    return duration


def check_length(text: str, maximum: int) -> None:
    """A text that somebody wrote by hand."""
    if len(text) > maximum:
        raise ValueError(f"{quote(text)} is too long; the maximum is {maximum:,} characters, and it has {len(text):,}")


def check_expression(pattern: str) -> str:
    """An RE2 expression that compiles."""
    check_length(pattern, MAX_EXPRESSION_CHARS)
    try:
        re2.compile(pattern, QUIET)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{quote(pattern)} is not an RE2 expression: {text}") from error
    return pattern


def check_group(pattern: str) -> str:
    """An expression with a group around the version or number."""
    if re2.compile(check_expression(pattern), QUIET).groups < 1:
        raise ValueError(f"{quote(pattern)} has no group; put parentheses around the part to compare")
    return pattern


def check_range(text: str) -> str:
    """A version range in npm's grammar."""
    check_length(text, MAX_RANGE_CHARS)
    try:
        semver().make_range(without_leading_zeros(text), loose=False)
    except ValueError as error:
        found = copied_character(text)
        instead = f"it has {found}" if found else 'write ">=1.0.0 <2.0.0" or "^1.2.0"'
        raise ValueError(f"{quote(text)} is not a version range; {instead}") from error
    return text


def check_variable(name: str) -> str:
    """The name of an environment variable that a user may set: under ``env``, or by the tag of a secret."""
    if not name:
        raise ValueError("a variable's name is empty; use letters, digits and underscores, no digit first")
    if name.startswith(RESERVED_PREFIXES) or name in PLATFORM_VARIABLES:
        raise ValueError(f"{truncate(name)} is reserved for the platform and Slipway; use another name")
    if not re2.search(VARIABLE_PATTERN, name):
        raise ValueError(f"{quote(name)} is not a variable name; use letters, digits and underscores, no digit first")
    if len(name) > MAX_VARIABLE_CHARS:
        raise ValueError(f"{quote(name)} is too long; a variable's name has at most {MAX_VARIABLE_CHARS} characters")
    return name


def check_repository(text: str) -> str:
    """A repository without registry, which a setting names, and without tag and digest, which a push names."""
    if match := REGISTRY_ALONE.fullmatch(text):
        raise ValueError(
            f"{quote(match[1])} is a registry without a repository; write only the repository: agents/hello"
        )
    registry = registry_of(text.rpartition("://")[2], is_reference=any(mark in text for mark in ("://", "@", ":")))
    if is_repository(text) and not registry:
        return text
    repository = repository_of(text)
    valid = len(repository) <= MAX_QUOTED_CHARS and is_repository(repository)
    instead = f"write only the repository: {repository if valid else 'agents/hello'}"
    if registry:
        raise ValueError(f"{quote(registry)} is a registry, which REGISTRY_LOGIN_SERVER sets; {instead}")
    if "@" in text or ":" in text:
        raise ValueError(f"the {'digest' if '@' in text else 'tag'} comes from the push; {instead}")
    if text != text.lower():
        raise ValueError(f"a repository has only lower case letters; {instead}")
    if len(text) > MAX_REPOSITORY_CHARS:
        raise ValueError(f"{quote(text)} is longer than {MAX_REPOSITORY_CHARS} characters; {instead}")
    raise ValueError(f"{quote(text)} is not a repository; {instead}")


def check_protocol(name: str) -> str:
    """A protocol's name; an unknown name is accepted, since Foundry may add some, unless it resembles a known one."""
    similar = most_similar(name, PROTOCOLS, cutoff=0.75)
    if name not in PROTOCOLS and (similar or not re2.search(r"^[a-z][a-z0-9_]*$", name)):
        hint = did_you_mean(similar, f"Foundry has {', '.join(PROTOCOLS)}")
        raise ValueError(f"{quote(name)} is not a protocol; {hint}")
    return name


def check_tool(tool: Map) -> Map:
    """A tool with the keys that its type needs."""
    kind = tool.get("type")
    if kind not in TOOLS:
        problem = "has no type" if kind is None else f"unknown tool {quote(kind)}"
        raise ValueError(f"{problem}; Slipway supports {', '.join(TOOLS)}")
    if kind == "mcp" and not (tool.get("server_label") and str(tool.get("server_url", "")).startswith("https://")):
        raise ValueError("an mcp tool needs server_label and an https server_url")
    return tool


def check_definition_key(key: str) -> str:
    """A key of ``more_definition`` that Slipway does not set itself."""
    if key in SLIPWAY_DEFINITION_KEYS:
        raise ValueError(f"more_definition must not set {key}: Slipway sets it")
    return key


def _schema(kind: str | list[str], **limits: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, **limits})


Map = Mapping[str, Any]
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Repository = Annotated[
    str,
    AfterValidator(check_repository),
    _schema("string", pattern=REPOSITORY_PATTERN, maxLength=MAX_REPOSITORY_CHARS),
]
Cpu = Annotated[str, StringConstraints(pattern=CPU_PATTERN), _schema(["string", "number"], pattern=CPU_PATTERN)]
Memory = Annotated[str, StringConstraints(pattern=CPU_PATTERN.replace("$", "Gi$"))]
ProtocolVersion = Annotated[
    str,
    StringConstraints(pattern=PROTOCOL_VERSION_PATTERN),
    _schema(["string", "number"], pattern=PROTOCOL_VERSION_PATTERN),
]
Protocols = Annotated[
    Mapping[Annotated[str, AfterValidator(check_protocol), _schema("string", examples=PROTOCOLS)], ProtocolVersion],
    Field(min_length=1),
]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), _schema("string", pattern=WRITTEN_DURATION)]
PositiveDuration = Annotated[Duration, AfterValidator(check_positive)]
Expression = Annotated[str, AfterValidator(check_expression), _schema("string", maxLength=MAX_EXPRESSION_CHARS)]
Group = Annotated[str, AfterValidator(check_group), _schema("string", maxLength=MAX_EXPRESSION_CHARS)]
Range = Annotated[str, AfterValidator(check_range), _schema("string", maxLength=MAX_RANGE_CHARS)]
Variable = Annotated[
    str, AfterValidator(check_variable), _schema("string", pattern=VARIABLE_PATTERN, maxLength=MAX_VARIABLE_CHARS)
]
SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z-]{1,127}$")]
SecretVersion = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
ConnectionField = Annotated[str, StringConstraints(pattern=CONNECTION_PATTERN)]
Tool = Annotated[
    Map, AfterValidator(check_tool), _schema("object", properties={"type": {"enum": TOOLS}}, required=["type"])
]
Text = Annotated[str, _schema(["string", "number", "boolean"])]
MoreDefinition = Mapping[
    Annotated[
        str,
        AfterValidator(check_definition_key),
        _schema("string", **{"not": {"enum": sorted(SLIPWAY_DEFINITION_KEYS)}}),
    ],
    Any,
]
