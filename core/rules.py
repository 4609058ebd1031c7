"""agents.yaml as typed values: which pushes an agent follows, what runs, how it goes live, what stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

import nodesemver
import re2
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

NAME = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
"""An agent's name, as azure-ai-projects documents it for create_version."""
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
REPOSITORY = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$"
"""A repository's name in the OCI distribution specification: no registry, no tag, no digest."""
RESERVED = ("FOUNDRY_", "AGENT_", "SLIPWAY_")
PLATFORM = frozenset(
    {"PORT", "HOME", "SSE_KEEPALIVE_INTERVAL", "APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT"}
)
"""What the platform injects itself: https://learn.microsoft.com/azure/foundry/agents (environment variables)."""
OWN_DEFINITION = frozenset(
    {"kind", "image", "cpu", "memory", "environment_variables", "container_configuration", "protocol_versions"}
)
DURATION = re2.compile(r"^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


def duration(value: object) -> object:
    """``1d``, ``90s``, ``1h30m``: days, hours, minutes, seconds, in this order."""
    if isinstance(value, timedelta):
        return value
    found = DURATION.match(value) if isinstance(value, str) and value else None
    if found is None:
        raise ValueError(f"{value!r} is no duration; write 30s, 10m, 12h, 7d or 1h30m")
    days, hours, minutes, seconds = (int(part) if part else 0 for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


QUIET = re2.Options()
QUIET.log_errors = False  # a mistake is ours to tell; the library would also print it


def expression(pattern: str) -> str:
    """An RE2 expression that compiles."""
    try:
        re2.compile(pattern, QUIET)
    except re2.error as error:
        raise ValueError(f"{pattern!r} is no RE2 expression: {_text(error)}") from error
    return pattern


def _text(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode() if isinstance(told, bytes) else str(told)


def npm_range(text: str) -> str:
    """A version range in npm's grammar."""
    try:
        nodesemver.make_range(text, loose=False)
    except ValueError as error:
        raise ValueError(f'{text!r} is no version range; write ">=1.0.0 <2.0.0" or "^1.2.0"') from error
    return text


def group(pattern: str) -> str:
    """An expression with the group that cuts the version or number out."""
    if re2.compile(expression(pattern), QUIET).groups < 1:
        raise ValueError(f"{pattern!r} has no group; put parentheses around the part to compare")
    return pattern


def variable(name: str) -> str:
    """The name of an environment variable that is ours to set."""
    if name.startswith(RESERVED) or name in PLATFORM:
        raise ValueError(f"{name} is reserved: the platform sets it, or Slipway does")
    if not re2.search(VARIABLE, name):
        raise ValueError(f"{name!r} is no variable name; use letters, digits and underscores, not a digit first")
    return name


Duration = Annotated[timedelta, BeforeValidator(duration)]
Expression = Annotated[str, AfterValidator(expression)]
Variable = Annotated[str, AfterValidator(variable)]
SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9a-zA-Z-]{1,127}$")]
Map = Mapping[str, Any]


class Value(BaseModel):
    """A frozen value that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TagRule(Value):
    """Which tags are allowed, and which of two is newer."""

    allow: tuple[Expression, ...] = Field((), strict=False)
    ignore: tuple[Expression, ...] = Field((), strict=False)
    order: Literal["pushed", "semver", "number", "alphabetical"] = "pushed"
    range: Annotated[str, AfterValidator(npm_range)] | None = None
    extract: Annotated[str, AfterValidator(group)] | None = None


class SecretRef(Value):
    """A Key Vault secret, newest or at one version."""

    secret: SecretName
    version: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None


class ConnectionRef(Value):
    """A field of a Foundry project connection: its value never leaves Foundry."""

    connection: Annotated[str, StringConstraints(pattern=r"^[\w.-]+\.(credentials\.\w+|target|metadata\.\w+)$")]


def _kind(value: object) -> str | None:
    if isinstance(value, str | SecretRef | ConnectionRef):
        return type(value).__name__
    if isinstance(value, dict) and len(value) > 0:
        return "ConnectionRef" if "connection" in value else "SecretRef" if "secret" in value else None
    return None


EnvironmentValue = Annotated[
    Annotated[str, Tag("str")]
    | Annotated[SecretRef, Tag("SecretRef")]
    | Annotated[ConnectionRef, Tag("ConnectionRef")],
    Discriminator(_kind),
]
"""Text, a Key Vault secret or a field of a connection."""


class Probe(Value):
    """A question to the agent, and the answer that proves it."""

    ask: str
    expect: Expression
    within: Duration = timedelta(seconds=60)


class ReleaseRule(Value):
    """How a version goes live."""

    mode: Literal["auto", "manual", "notify"] = "auto"
    soak: Duration = timedelta(0)
    settle: Duration = timedelta(seconds=30)
    on_secret_change: Literal["release", "notify", "ignore"] = "release"
    provision_within: Duration = timedelta(minutes=10)
    verify: Probe | None = None
    check: Probe | None = None
    hold_for: Duration = timedelta(days=7)


class KeepRule(Value):
    """What pruning leaves; live, previous and candidate always stay."""

    newest: int = Field(5, ge=0)
    min_age: Duration = timedelta(days=14)
    failed: Duration = timedelta(days=2)
    tags: tuple[Expression, ...] = Field((), strict=False)
    foreign: bool = True
    limit: int = Field(100, ge=2, le=1000)
    max_deletes: int = Field(50, ge=1)


class AgentRule(Value):
    """What agents.yaml says about one agent."""

    name: Annotated[str, StringConstraints(pattern=NAME)]
    repository: Annotated[str, StringConstraints(pattern=REPOSITORY)]
    tags: TagRule = TagRule()
    cpu: str = "1"
    memory: str = "2Gi"
    protocols: Mapping[str, str] = {"responses": "2.0.0"}
    env: Mapping[Variable, EnvironmentValue] = {}
    env_from_vault: bool = False
    tools: tuple[Map, ...] = Field((), strict=False)
    more_definition: Map = {}
    release: ReleaseRule = ReleaseRule()
    keep: KeepRule = KeepRule()

    @model_validator(mode="after")
    def _own_definition(self) -> AgentRule:
        taken = sorted(OWN_DEFINITION & set(self.more_definition))
        if taken:
            raise ValueError(f"more_definition must not set {taken[0]}: the rule does")
        return self


class Agents(Value):
    """The whole file."""

    agents: Mapping[str, AgentRule]


def match(agents: Agents, repository: str) -> tuple[AgentRule, ...]:
    """The rules that follow a repository; several agents may follow one."""
    return tuple(rule for rule in agents.agents.values() if rule.repository == repository)
