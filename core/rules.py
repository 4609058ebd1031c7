"""agents.yaml as typed values: which pushes an agent follows, what runs, how it goes live, what stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

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

from core.rule_values import NAME, REPOSITORY, Duration, Expression, Map, SecretName, Variable, group, npm_range

OWN_DEFINITION = frozenset(
    {"kind", "image", "cpu", "memory", "environment_variables", "container_configuration", "protocol_versions"}
)


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

    ask: str | None = None
    """Over the responses protocol: the text of the question."""
    post: Any = None
    """Over the invocations protocol: the body, as JSON."""
    status: int = Field(200, ge=100, le=599)
    expect: Expression | None = None
    within: Duration = timedelta(seconds=60)

    @model_validator(mode="after")
    def _one_question(self) -> Probe:
        if (self.ask is None) == (self.post is None):
            raise ValueError("write either ask (responses protocol) or post (invocations protocol)")
        if self.ask is not None and self.expect is None:
            raise ValueError("expect is missing: an expression that the answer must match")
        if self.ask is not None and "status" in self.model_fields_set:
            raise ValueError("status belongs to post: over the responses protocol it is always 200")
        return self


def _several(value: object) -> object:
    return [value] if isinstance(value, dict) else value


Probes = Annotated[tuple[Probe, ...], BeforeValidator(_several), Field(strict=False)]
"""One question, or a list of them that must all be answered."""


class ReleaseRule(Value):
    """How a version goes live."""

    mode: Literal["auto", "manual", "notify"] = "auto"
    soak: Duration = timedelta(0)
    settle: Duration = timedelta(seconds=30)
    on_secret_change: Literal["release", "notify", "ignore"] = "release"
    provision_within: Duration = timedelta(minutes=10)
    verify: Probes = ()
    check: Probes = ()
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
