"""Frozen values that all modules share: pushes, versions, routing, definitions, secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)  # the service gave no creation time
FOLLOWS_LATEST = "@latest"  # a selector rule may name this in place of a version number (docs/reference/wire.md)


Origin = Literal["agent", "service", ""]


@dataclass(frozen=True, slots=True)
class Push:
    """An image that was pushed to the registry under a tag."""

    repository: str
    digest: str
    """``sha256:`` and 64 hex digits; Slipway deploys the digest and never the tag."""
    tag: str
    pushed_at: datetime
    event_id: str

    @property
    def fields(self) -> dict[str, Any]:
        """Repository, tag and digest, as lines of the journal name an image."""
        return {"repository": self.repository, "tag": self.tag, "digest": self.digest}

    @property
    def reference(self) -> str:
        """``repository:tag``, as commands take an image."""
        return f"{self.repository}:{self.tag}"

    def is_same(self, other: Push | None) -> bool:
        """True for the same image under the same tag, whatever its event."""
        key = (self.repository, self.digest, self.tag)
        return other is not None and key == (other.repository, other.digest, other.tag)


@dataclass(frozen=True, slots=True)
class TrafficRule:
    """A rule of an endpoint's version selector."""

    version: str
    percent: int


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an agent's endpoint sends new sessions; without rules, to the newest version."""

    rules: tuple[TrafficRule, ...] = ()

    @classmethod
    def to(cls, version: str) -> Routing:
        """All traffic to one version, the only routing that Slipway writes."""
        return cls((TrafficRule(version, 100),))

    @property
    def follows_latest(self) -> bool:
        """True if a new version would get traffic by itself."""
        return not self.rules or any(rule.version == FOLLOWS_LATEST for rule in self.rules)

    @property
    def pinned(self) -> str | None:
        """The version with all the traffic, if a single rule names it."""
        if len(self.rules) == 1 and self.rules[0].percent == 100 and not self.follows_latest:
            return self.rules[0].version
        return None

    @property
    def described(self) -> str:
        """The versions for people: ``version 3``, or ``versions 3 at 80 %, 4 at 20 %``."""
        shares = ", ".join(f"{rule.version} at {rule.percent} %" for rule in self.rules)
        return f"version {self.pinned}" if self.pinned else f"versions {shares}"

    def routes_to(self, version: str) -> bool:
        """True if a rule names the version."""
        return any(rule.version == version for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of an agent, or of the service in its place."""

    status: int
    text: str = ""
    code: str = ""
    """The error code, of an error status or of a response that says that it failed."""
    version: str | None = None
    """The version that answered, if the answer names it."""
    version_from_body: bool = field(default=False, compare=False)
    """The body names the version, and no header of the service."""
    problem: str = ""
    """Why the answer cannot be read: too large, cut off, not text."""
    origin: Origin = field(default="", compare=False)
    """Who gave the answer; empty where the answer does not say."""
    message: str = field(default="", compare=False)
    """The service's own words, where it refused a session."""
    response_status: str = ""
    """The status that a response gives itself, as ``completed`` or ``failed``; empty over other protocols."""
    incomplete_reason: str = ""
    other_output: str = ""
    """What a response without text has in its place: a refusal, function calls."""
    session: str = field(default="", compare=False)
    """The session that the question ran in, where the answer names it."""
    request_id: str = field(default="", compare=False)
    """The service's id of the request, which Microsoft's support asks for."""


class Status(StrEnum):
    """The status of a version; a status that Slipway does not know is UNKNOWN."""

    CREATING = "creating"
    ACTIVE = "active"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version failed; the service may send codes that Slipway does not know."""

    code: str
    message: str
    """Foundry's words, and those of the container."""


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable version of a hosted agent, as the service describes it, without the values of its variables."""

    number: str
    status: Status
    created_at: datetime
    image: str
    variables: frozenset[str]  # names of the container's environment variables
    metadata: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    draft: bool = False
    parts: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Hashes of what it was created from, see ``core.definition.definition_parts``; empty where that is not known."""
    read_at: datetime | None = field(default=None, compare=False)
    """The time of the read by the service's clock, as ``created_at`` is; None for a version from a list."""

    @property
    def is_release(self) -> bool:
        """False for a draft and for a name that is not a number: releases make neither."""
        return is_version_number(self.number) and not self.draft


@dataclass(frozen=True, slots=True)
class Agent:
    """A hosted agent as the service describes it."""

    name: str
    enabled: bool
    routing: Routing
    latest: Version | None
    identity: str | None = None  # the principal id that the agent runs as

    @property
    def live(self) -> str | None:
        """The version that gets all new sessions, if there is one."""
        if self.routing.follows_latest:
            return self.latest.number if self.latest else None
        return self.routing.pinned


class SecretValue:
    """The value of a secret; it never appears in a log or an error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "SecretValue(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self) -> str:
        """The value itself, for the request to Foundry and for the redaction."""
        return self._value


@dataclass(frozen=True, slots=True)
class Secret:
    """A version of a Key Vault secret; Key Vault also returns expired ones, so the dates are part of it."""

    name: str
    version: str
    value: SecretValue
    expires_on: datetime | None = None
    not_before: datetime | None = None
    created_at: datetime | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """Name and version, which fingerprints and release states have in place of the value."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """A version of a secret as the vault lists it, without its value."""

    version: str
    enabled: bool = True
    created_at: datetime | None = None
    not_before: datetime | None = None
    expires_on: datetime | None = None
    agent: str = ""
    """The agent to which its tags give a variable, in lower case."""


@dataclass(frozen=True, slots=True)
class TaggedSecret:
    """The secret whose tags gave a variable to an agent."""

    secret: str
    version: str
    """The version that had the tags: a new version has none unless they are set again."""


class SecretUnavailable(StrEnum):
    """Why Key Vault did not return a secret; each has a reason ``SECRET_<name>``."""

    MISSING = "missing"
    DISABLED = "disabled"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Toolbox:
    """A version of a Foundry toolbox, through which a hosted agent reaches its tools."""

    name: str
    version: str
    endpoint: str
    """The MCP address of this version; the default address would change under the live agent."""


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a version, ready to send to Foundry."""

    image: str
    """``login_server/repository@sha256:…``"""
    cpu: str
    memory: str
    protocols: tuple[tuple[str, str], ...]
    """Pairs of protocol and version, such as ``("responses", "2.0.0")``."""
    environment: Mapping[str, str | SecretValue] = field(repr=False)
    more_definition: Mapping[str, object] = field(default_factory=dict)
    """Further keys of Foundry's definition, passed on unchanged."""


@dataclass(frozen=True, slots=True)
class DefinedVersion:
    """A version with its whole definition; each value of a variable may be a secret."""

    version: Version
    definition: Definition


MAX_VERSION_DIGITS = 18


def is_version_number(name: str) -> bool:
    """True for a version number in ASCII digits, which every released version has."""
    return name.isascii() and name.isdecimal() and len(name) <= MAX_VERSION_DIGITS
