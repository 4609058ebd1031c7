"""agents.yaml as typed values: which pushes an agent follows, what runs, how it goes live, what stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from core.agents_file.fields import (
    ConnectionField,
    Cpu,
    Duration,
    Expression,
    Group,
    Memory,
    MoreDefinition,
    Name,
    Protocols,
    Range,
    Repository,
    SecretName,
    SecretVersion,
    Text,
    Tool,
    Variable,
)


class Value(BaseModel):
    """A frozen value that refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TagSpec(Value):
    """Which tags are allowed, and which of two is newer."""

    allow: tuple[Expression, ...] = Field((), strict=False, description="RE2 expressions; one must match the tag")
    ignore: tuple[Expression, ...] = Field((), strict=False, description="RE2 expressions; none may match the tag")
    order: Literal["pushed", "semver", "number", "alphabetical"] = Field(
        "pushed", description="which of two tags is newer: by the time of the push, or by what the tags say"
    )
    range: Range | None = Field(None, description="versions that are allowed, in npm's grammar")
    extract: Group | None = Field(None, description="an RE2 expression whose group cuts version or number out of a tag")


class SecretRef(Value):
    """A Key Vault secret, newest or at one version."""

    secret: SecretName = Field(description="the secret's name in Key Vault")
    version: SecretVersion | None = Field(None, description="the only version to use; without it the newest is")


class ConnectionRef(Value):
    """A field of a Foundry project connection: its value never leaves Foundry."""

    connection: ConnectionField = Field(
        description="`<connection>.credentials.<field>`, `.target`, `.metadata.<field>`"
    )


def _kind(value: object) -> str | None:
    if isinstance(value, str | SecretRef | ConnectionRef):
        return type(value).__name__
    kinds = {"secret": "SecretRef", "connection": "ConnectionRef"}
    given = [kind for key, kind in kinds.items() if isinstance(value, dict) and key in value]
    return given[0] if len(given) == 1 else None


EnvironmentValue = Annotated[
    Annotated[Text, Tag("str")]
    | Annotated[SecretRef, Tag("SecretRef")]
    | Annotated[ConnectionRef, Tag("ConnectionRef")],
    Discriminator(_kind),
]
"""Text, a Key Vault secret or a field of a connection."""


class Probe(Value):
    """A question to the agent, and the answer that proves it."""

    ask: Text | None = Field(None, description="the question, over the responses protocol")
    post: Any = Field(None, description="or a body, over the invocations protocol")
    status: int = Field(200, ge=100, le=599, description="the HTTP status that `post` must get")
    expect: Expression | None = Field(None, description="an expression that the answer must match; needed with `ask`")
    within: Duration = Field(timedelta(seconds=60), description="how long it is asked before it has failed")

    @model_validator(mode="after")
    def _one_question(self) -> Probe:
        if self.ask is not None and self.post is not None:
            raise ValueError("write either ask (responses protocol) or post (invocations protocol)")
        if self.ask is None and self.post is None:
            raise PydanticCustomError("incomplete", "write ask (responses protocol) or post (invocations protocol)")
        if self.ask is not None and self.expect is None:
            raise PydanticCustomError("incomplete", "needs `expect: …`, an expression that the answer must match")
        if self.ask is not None and "status" in self.model_fields_set:
            raise ValueError("status belongs to post: over the responses protocol it is always 200")
        return self


def _several(value: object) -> object:
    """One question as a list of it; none where an agent takes back what the defaults ask."""
    if isinstance(value, str):
        raise PydanticCustomError("model_type", "expected a map")
    return [] if value is None else [value] if isinstance(value, dict) else value


Probes = Annotated[tuple[Probe, ...], BeforeValidator(_several), Field(strict=False)]
"""One question, or a list of them that must all be answered."""


class ReleaseSpec(Value):
    """How a version goes live."""

    mode: Literal["auto", "manual", "notify"] = Field(
        "auto", description="auto goes live; manual waits for a person; notify says what it would do"
    )
    min_push_age: Duration = Field(timedelta(0), description="the age that a push must have")
    debounce: Duration = Field(timedelta(seconds=30), description="quiet time after a secret or this file changed")
    on_secret_change: Literal["release", "notify", "ignore"] = Field(
        "release", description="what a new version of a secret does"
    )
    provision_within: Duration = Field(timedelta(minutes=10), description="how long a version may take to be active")
    verify: Probes = Field((), description="a question, or a list of them, before the version gets traffic")
    check: Probes = Field((), description="the same once it has traffic; failing it rolls back")
    hold_for: Duration = Field(timedelta(days=7), description="how long a release stays held after a rollback")


class KeepSpec(Value):
    """What pruning leaves; live, previous and candidate always stay."""

    newest: int = Field(5, ge=0, description="so many of the newest versions stay")
    min_age: Duration = Field(timedelta(days=14), description="younger versions stay")
    failed: Duration = Field(timedelta(days=2), description="younger failed versions stay")
    tags: tuple[Expression, ...] = Field((), strict=False, description="versions of tags that match stay")
    foreign: bool = Field(default=True, description="versions that Slipway did not make stay")
    limit: int = Field(100, ge=2, le=1000, description="the most versions that an agent may have")
    max_deletes: int = Field(50, ge=1, description="the most deletions of one run")


class AgentSpec(Value):
    """What agents.yaml says about one agent."""

    name: Name
    repository: Repository = Field(description="whose pushes the agent follows; no registry, no tag")
    tags: TagSpec = Field(TagSpec(), description="which tags are allowed, and which is newer")
    image: Literal["index", "amd64"] = Field("index", description="what of an index is deployed: itself, or its child")
    inspect: Literal["never", "best-effort", "required"] = Field(
        "best-effort", description="whether the registry is asked what was pushed, and must answer"
    )
    cpu: Cpu = Field("1", description="cores of a sandbox; 0.5, 1 and 2 are documented")
    memory: Memory = Field("2Gi", description="memory of a sandbox; 1Gi, 2Gi and 4Gi go with these cores")
    protocols: Protocols = Field({"responses": "2.0.0"}, description="what the image speaks, with the version")
    env: Mapping[Variable, EnvironmentValue] = Field({}, description="the container's variables")
    env_from_vault: bool = Field(default=False, description="also secrets tagged `agent=<name>` and `env=<NAME>`")
    tools: tuple[Tool, ...] = Field((), strict=False, description="tools that Foundry runs for the agent")
    more_definition: MoreDefinition = Field({}, description="passed through into Foundry's definition, types kept")
    release: ReleaseSpec = Field(ReleaseSpec(), description="how a version goes live")
    keep: KeepSpec = Field(KeepSpec(), description="what pruning leaves")


class Agents(Value):
    """The whole file."""

    agents: Mapping[str, AgentSpec]


def followers_of(agents: Agents, repository: str) -> tuple[AgentSpec, ...]:
    """The rules that follow a repository; several agents may follow one."""
    return tuple(spec for spec in agents.agents.values() if spec.repository == repository)
