"""The nouns that every room of the house shares: frozen values in the words of the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)  # where the service does not say when something was made
FOLLOWS_LATEST = "@latest"  # what a selector rule may name instead of a version number (docs/reference/wire.md)


@dataclass(frozen=True, slots=True)
class Push:
    """One image that landed in the registry under a tag."""

    repository: str
    digest: str
    """``sha256:`` and 64 hex digits: what is deployed; the tag is only how it was called."""
    tag: str
    pushed_at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class TrafficRule:
    """One rule of an endpoint's version selector."""

    version: str
    percent: int


@dataclass(frozen=True, slots=True)
class Routing:
    """Where an agent's endpoint sends new sessions; without rules it follows the newest version."""

    rules: tuple[TrafficRule, ...] = ()

    @classmethod
    def to(cls, version: str) -> Routing:
        """The one rule that Slipway ever writes: everything to one version."""
        return cls((TrafficRule(version, 100),))

    @property
    def follows_latest(self) -> bool:
        """True while a newly created version would take traffic by itself."""
        return not self.rules or any(rule.version == FOLLOWS_LATEST for rule in self.rules)

    @property
    def pinned(self) -> str | None:
        """The version that one rule at 100 % names, or None."""
        if len(self.rules) == 1 and self.rules[0].percent == 100 and not self.follows_latest:
            return self.rules[0].version
        return None

    def routes_to(self, version: str) -> bool:
        """True when any rule sends anything to the version."""
        return any(rule.version == version for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent, or the service in its place, answered to a question."""

    status: int
    """The HTTP status."""
    text: str = ""
    code: str = ""
    """The service's error code, where the status is one of an error."""
    version: str | None = None
    """The version that answered, where the answer names it."""
    problem: str = ""
    """Why the answer cannot be read: too large, cut off, not text."""


class Status(StrEnum):
    """How far a version is; what the service adds later is read as UNKNOWN."""

    CREATING = "creating"
    ACTIVE = "active"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the service gave up on a version: an open set of codes."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable version of a hosted agent, as the service tells it; values of variables stay there."""

    number: str
    status: Status
    created_at: datetime
    image: str
    variables: frozenset[str]  # names of the container's environment variables
    metadata: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    draft: bool = False
    read_at: datetime | None = field(default=None, compare=False)
    """When the service said so, by the clock that also wrote ``created_at``; None where a list told it."""

    @property
    def is_release(self) -> bool:
        """False for a draft, and for a name that is no number: neither is ever a release's."""
        return is_version_number(self.number) and not self.draft


@dataclass(frozen=True, slots=True)
class Agent:
    """A hosted agent as the service tells it."""

    name: str
    enabled: bool
    routing: Routing
    latest: Version | None
    identity: str | None = None  # the principal id that the agent runs as; a change is worth a warning

    @property
    def live(self) -> str | None:
        """The version that new sessions go to, where that is one version."""
        if self.routing.follows_latest:
            return self.latest.number if self.latest else None
        return self.routing.pinned


class SecretValue:
    """A secret on its way from Key Vault to Foundry; it shows itself to nobody on the way."""

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
        """The value itself; called where a request to Foundry is written, and where it is learnt what to hide."""
        return self._value


@dataclass(frozen=True, slots=True)
class Secret:
    """One version of a Key Vault secret; the service returns it expired or not, so the dates come along."""

    name: str
    version: str
    value: SecretValue
    expires_on: datetime | None = None
    not_before: datetime | None = None


class SecretUnavailable(StrEnum):
    """Why Key Vault would not give a secret."""

    MISSING = "missing"
    DISABLED = "disabled"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Toolbox:
    """One version of a Foundry toolbox, through which a hosted agent reaches its tools."""

    name: str
    version: str
    endpoint: str
    """The MCP address of this very version; the default one would move under the live agent."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a hosted agent version is made of, ready to be sent."""

    image: str
    """``login_server/repository@sha256:…``"""
    cpu: str
    memory: str
    protocols: tuple[tuple[str, str], ...]
    """Pairs of protocol and version, such as ``("responses", "2.0.0")``."""
    environment: Mapping[str, str | SecretValue] = field(repr=False)
    more_definition: Mapping[str, object] = field(default_factory=dict)
    """Further definition fields, passed through with their types."""


MAX_VERSION_DIGITS = 18
"""Digits; Foundry counts from 1."""


def is_version_number(name: str) -> bool:
    """Whether a name is a number, as that of every released version is; digits of other scripts are none."""
    return name.isascii() and name.isdecimal() and len(name) <= MAX_VERSION_DIGITS
