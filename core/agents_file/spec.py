"""agents.yaml as typed values: which pushes an agent follows, what runs, how it goes live, which versions stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import re2
from pydantic import BeforeValidator, Discriminator, Field, PrivateAttr, Tag, model_validator
from pydantic_core import PydanticCustomError

from core.agents_file.evaluation import EvaluateSpec
from core.agents_file.fields import (
    ConnectionField,
    Cpu,
    Duration,
    Expression,
    Group,
    Memory,
    MoreDefinition,
    Name,
    PositiveDuration,
    Protocols,
    Range,
    Repository,
    SecretName,
    SecretVersion,
    Text,
    Tool,
    Variable,
)
from core.agents_file.github import GitHubSpec
from core.agents_file.release_windows import WindowsSpec, describe, time_windows
from core.agents_file.signers import FileName, Signer
from core.agents_file.value import Value
from core.target import agent_of, project_of, target_of


class TagSpec(Value):
    """Which tags are allowed, and which of two tags is newer."""

    allow: tuple[Expression, ...] = Field((), strict=False, description="RE2 expressions; one must match the tag")
    ignore: tuple[Expression, ...] = Field((), strict=False, description="RE2 expressions; none may match the tag")
    order: Literal["pushed", "semver", "number", "alphabetical"] = Field(
        "pushed", description="how to find the newer of two tags: by the time of the push, or by the tags themselves"
    )
    prereleases: bool = Field(default=False, description="whether versions such as `2.0.0-rc.1` are allowed")
    range: Range | None = Field(None, description="allowed versions, in npm's grammar")
    extract: Group | None = Field(None, description="an RE2 expression; its group is the part of the tag to compare")


class SecretRef(Value):
    """A Key Vault secret: its newest version, or a fixed one."""

    secret: SecretName = Field(description="the secret's name in Key Vault")
    version: SecretVersion | None = Field(None, description="a fixed version; without it the newest")


class ConnectionRef(Value):
    """A field of a Foundry project connection; its value never leaves Foundry."""

    connection: ConnectionField = Field(
        description="`<connection>.credentials.<field>`, `.target`, `.metadata.<field>`"
    )


def _kind(value: object) -> str | None:
    if isinstance(value, str | SecretRef | ConnectionRef):
        return type(value).__name__
    by_key = {"secret": "SecretRef", "connection": "ConnectionRef"}
    kinds = [kind for key, kind in by_key.items() if isinstance(value, dict) and key in value]
    return kinds[0] if len(kinds) == 1 else None


EnvironmentValue = Annotated[
    Annotated[Text, Tag("str")]
    | Annotated[SecretRef, Tag("SecretRef")]
    | Annotated[ConnectionRef, Tag("ConnectionRef")],
    Discriminator(_kind),
]


class Probe(Value):
    """A request to the agent and the answer that it must give."""

    ask: Text | None = Field(None, description="a question, sent over the responses protocol")
    post: Any = Field(None, description="instead of `ask`: a body, sent over the invocations protocol")
    status: int = Field(200, ge=100, le=599, description="the HTTP status that `post` must get")
    expect: Expression | None = Field(None, description="an expression that the answer must match; required with `ask`")
    within: PositiveDuration = Field(timedelta(seconds=60), description="how long to ask before the probe fails")

    @model_validator(mode="after")
    def _check_keys(self) -> Probe:
        if self.ask is not None and self.post is not None:
            raise ValueError("write either ask (responses protocol) or post (invocations protocol)")
        if self.ask is None and self.post is None:
            raise PydanticCustomError("incomplete", "write ask (responses protocol) or post (invocations protocol)")
        if self.ask is not None and self.expect is None:
            raise PydanticCustomError("incomplete", "needs `expect: …`, an expression that the answer must match")
        if self.ask is not None and "status" in self.model_fields_set:
            raise ValueError("status belongs to post: over the responses protocol it is always 200")
        return self


def _as_list(value: object) -> object:
    """A single probe as a list; null, which removes the probes of the defaults, as an empty list."""
    if isinstance(value, str):
        raise PydanticCustomError("model_type", "expected a map")
    return [] if value is None else [value] if isinstance(value, dict) else value


Probes = Annotated[tuple[Probe, ...], BeforeValidator(_as_list), Field(strict=False)]
"""One probe, or a list of probes that must all pass."""


class ReleaseSpec(Value):
    """How a version goes live."""

    mode: Literal["auto", "manual", "notify"] = Field(
        "auto", description="`auto` goes live; `manual` waits for approval; `notify` only reports what it would release"
    )
    min_push_age: Duration = Field(timedelta(0), description="how old a push must be before its release starts")
    readable_within: Duration = Field(
        timedelta(minutes=5), description="how long to wait for a registry that does not have a pushed image yet"
    )
    signed_by: tuple[Signer, ...] = Field(
        (), strict=False, description="who must have signed an image: any one of them; without it nobody must"
    )
    signed_within: Duration = Field(
        timedelta(minutes=10), description="how long after its push an image may wait for its signature"
    )
    trusted_root: FileName | None = Field(
        None, description="a file beside agents.yaml: the trusted root of a Sigstore of your own"
    )
    debounce: Duration = Field(timedelta(seconds=30), description="wait after a change of a secret or of this file")
    debounce_at_most: Duration | None = Field(
        None, description="the longest wait where changes keep coming; without it ten times `debounce`"
    )
    on_secret_change: Literal["release", "notify", "ignore"] = Field(
        "release", description="what to do when a secret has a new version"
    )
    provision_within: PositiveDuration = Field(
        timedelta(minutes=10), description="the maximum time until a version is active"
    )
    verify: Probes = Field((), description="a probe, or a list of them, before the version gets traffic")
    evaluate: EvaluateSpec | None = Field(
        None, description="a dataset that the version must answer well before it gets traffic"
    )
    check: Probes = Field((), description="the same, once the version has traffic; failure rolls back")
    hold_for: Duration = Field(timedelta(days=7), description="how long an image that failed a gate is held")
    logs: bool = Field(
        default=False,
        description="whether to record the container's last lines with a failed `verify`, `evaluate` or `check`",
    )
    windows: WindowsSpec | None = Field(
        None, description="when traffic may move to a new version; without it at any time"
    )

    _root: bytes = PrivateAttr(b"")

    @property
    def root(self) -> bytes:
        """The content of ``trusted_root``."""
        return self._root

    def with_signers(self, signers: tuple[Signer, ...], root: bytes) -> ReleaseSpec:
        """The same with the files that signatures are verified with."""
        if not signers and not root:
            return self
        filled = self.model_copy(update={"signed_by": signers})
        filled._root = root
        return filled

    @property
    def longest_debounce(self) -> timedelta:
        """How long changes that keep coming may postpone a release."""
        return 10 * self.debounce if self.debounce_at_most is None else self.debounce_at_most

    def opens_at(self, now: datetime) -> datetime | None:
        """When the windows open next; None while they are open, and without windows."""
        opening = time_windows(self.windows).next_opening(now) if self.windows else None
        return opening if opening is not None and opening > now else None

    def describe(self, opening: datetime, now: datetime) -> str:
        """The opening of the windows, for people."""
        return describe(self.windows, opening, now) if self.windows else ""


class KeepSpec(Value):
    """Which versions pruning keeps; live, previous and candidate always stay."""

    newest: int = Field(
        5, ge=0, le=1000, description="how many active versions stay beside the live and the previous one"
    )
    min_age: Duration = Field(timedelta(days=14), description="versions younger than this stay")
    failed: Duration = Field(timedelta(days=2), description="failed versions younger than this stay")
    tags: tuple[Expression, ...] = Field((), strict=False, description="versions of an image with such a tag stay")
    foreign: bool = Field(default=True, description="whether versions that Slipway did not create stay")
    limit: int = Field(100, ge=2, le=1000, description="the maximum number of versions of the agent")
    max_deletes: int = Field(50, ge=1, le=1000, description="the maximum number of deletions in one run")

    def keeps_tag(self, tag: str) -> bool:
        """Whether versions of an image with this tag stay."""
        return any(re2.search(pattern, tag) for pattern in self.tags)


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Where a target stands in the chain of its agent's stages."""

    number: int = 1
    upstream: tuple[str, ...] = ()
    """The targets of the stage before, whose good images it takes; empty in the first stage, which follows pushes."""
    earlier: tuple[str, ...] = ()
    """The targets of all stages before: what is held there is held here too."""
    soak: timedelta = timedelta(0)
    """How long an image must have been the good one at every upstream target."""


class AgentSpec(Value):
    """What agents.yaml says about one target: an agent in one project."""

    name: Name
    """The target's name: that of the agent in Foundry, and of the project, unless that is the settings' one."""
    repository: Repository = Field(description="the repository to follow, without registry and tag")
    tags: TagSpec = Field(TagSpec.model_construct(), description="which tags are allowed, and which is newer")
    image: Literal["index", "amd64"] = Field(
        "index", description="what to deploy of a multi-platform index: the index, or its linux/amd64 image"
    )
    inspect: Literal["never", "best-effort", "required"] = Field(
        "best-effort", description="whether to read the image's manifest in the registry, and whether that must succeed"
    )
    cpu: Cpu = Field("1", description="cores of the sandbox; Foundry documents 0.5, 1 and 2")
    memory: Memory = Field("2Gi", description="memory of the sandbox; 1Gi, 2Gi and 4Gi go with these cores")
    protocols: Protocols = Field({"responses": "2.0.0"}, description="the protocols of the image, with their versions")
    env: Mapping[Variable, EnvironmentValue] = Field({}, description="environment variables of the container")
    env_from_vault: bool = Field(
        default=False, description="whether secrets tagged `agent=<name>` and `env=<NAME>` also set variables"
    )
    tools: tuple[Tool, ...] = Field((), strict=False, description="tools that Foundry runs for the agent")
    more_definition: MoreDefinition = Field({}, description="further keys of Foundry's definition, passed on unchanged")
    release: ReleaseSpec = Field(ReleaseSpec.model_construct(), description="how a version goes live")
    keep: KeepSpec = Field(KeepSpec.model_construct(), description="which versions pruning keeps")

    _place: StagePlace = PrivateAttr(StagePlace())

    def at(self, project: str, place: StagePlace) -> AgentSpec:
        """The same in this project, at this place."""
        spec = self.model_copy(update={"name": target_of(self.name, project)})
        spec._place = place
        return spec

    @property
    def place(self) -> StagePlace:
        """Where the target stands in the stages of its agent."""
        return self._place

    @property
    def agent(self) -> str:
        """The agent's name in Foundry, and in the tags of secrets."""
        return agent_of(self.name)

    @property
    def toolbox(self) -> str:
        """The toolbox with the agent's tools, in the target's project."""
        return target_of(f"{self.agent}-tools", project_of(self.name))


class Agents(Value):
    """The whole file."""

    agents: Mapping[str, AgentSpec]
    """Target -> what the file says about it."""
    projects: Mapping[str, str] = {}
    """Project beside that of the settings -> its endpoint."""
    vaults: Mapping[str, str] = {}
    """Project with a vault of its own -> the vault's address."""
    github: GitHubSpec | None = None
    """None: releases are not shown on GitHub."""
    lines: Mapping[tuple[str, ...], int] = Field({}, repr=False)
    """The line of every key in the file, for warnings."""
    homes: Mapping[str, tuple[tuple[str, ...], ...]] = Field({}, repr=False)
    """Target -> where its keys stand: in its stage, in the agent, in the defaults; the first of them counts."""

    def vault_of(self, target: str) -> str:
        """The address of the vault with a target's secrets; empty for that of the settings."""
        return self.vaults.get(project_of(target), "")


def followers_of(agents: Agents, repository: str) -> tuple[AgentSpec, ...]:
    """The targets that follow the pushes of a repository; those of later stages take what passed the stage before."""
    return tuple(spec for spec in agents.agents.values() if spec.repository == repository and not spec.place.upstream)


def next_stage(agents: Agents, target: str) -> tuple[str, ...]:
    """The targets that take what is good at this one."""
    stages = ((name, spec) for name, spec in agents.agents.items() if agent_of(name) == agent_of(target))
    return tuple(name for name, spec in stages if target in spec.place.upstream)
