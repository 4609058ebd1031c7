"""What the commands that inspect print with ``--json``, but for ``status`` and ``why``."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from cli.json_documents.shared import CLOSED, Age, Score, Severity, Time


@CLOSED
class VersionRow(TypedDict):
    """``slipway versions``: one version."""

    version: str
    tag: str | None
    image: str
    created_at: Time
    age_s: Age
    status: str
    signer: str | None
    """Who signed the image of the live or the previous version, where that was verified."""
    reason: str
    """Why the next prune keeps or deletes it."""
    meaning: str
    delete: bool


@CLOSED
class CheckResult(TypedDict):
    """``slipway doctor``: one check."""

    name: str
    status: Literal["ok", "failed", "unknown"]
    agent: str | None
    """The target that the check is about."""
    reason: str | None
    """The reason code that was found."""
    age_s: Age | None
    """How long ago what was found happened."""
    detail: str
    fix: str
    """What repairs it: a command, or a step in words."""
    remedy: str | None
    """The fix, where it is a command."""


@CLOSED
class UnansweredRow(TypedDict):
    """A row of the dataset that the version did not answer."""

    line: int
    detail: str


@CLOSED
class Graded(TypedDict):
    """``slipway evaluate``."""

    agent: str
    version: NotRequired[str]
    """Left out where nothing serves; then nothing else is there either."""
    live: NotRequired[str | None]
    result: NotRequired[Literal["passed", "failed", "inconclusive"]]
    detail: NotRequired[str]
    """Why the result is inconclusive."""
    rows: NotRequired[int]
    scores: NotRequired[list[Score]]
    unanswered: NotRequired[list[UnansweredRow]]
    report: NotRequired[str]
    """The address of the report in Foundry; empty without one."""


@CLOSED
class FileIssue(TypedDict):
    """Something that is wrong in ``agents.yaml``, or probably not meant."""

    file: str
    line: int | None
    """Null where the file could not be read."""
    path: str
    """The keys that lead to it, with dots between them."""
    message: str


@CLOSED
class DatasetSize(TypedDict):
    """What a dataset of this size can show."""

    agent: str
    rows: int
    smallest_difference: float
    """One row, as a share: a pass rate changes by this or not at all."""


@CLOSED
class Validated(TypedDict):
    """``slipway validate``."""

    file: str
    agents: list[str]
    errors: list[FileIssue]
    warnings: list[FileIssue]
    evaluations: list[DatasetSize]


@CLOSED
class Step(TypedDict):
    """A decision that the app would make."""

    reason: str
    meaning: str
    severity: Severity
    after_s: float
    """Seconds after the begin of the plan."""
    agent: NotRequired[str]
    detail: NotRequired[str]
    help: NotRequired[str]
    event: NotRequired[str]
    repository: NotRequired[str]
    tag: NotRequired[str]
    digest: NotRequired[str]
    version: NotRequired[str]


AssumptionKind = Literal[
    "version_becomes_active",
    "agent_answers_as_expected",
    "toolbox_version",
    "secret_exists",
    "definition_unchanged",
    "no_tagged_secret",
    "secret_tags_unchanged",
    "images_run",
]


@CLOSED
class Assumption(TypedDict):
    """What the plan takes for granted."""

    kind: AssumptionKind
    name: str | None
    """The toolbox or the secret."""
    version: str | None


@CLOSED
class Plan(TypedDict):
    """``slipway plan``."""

    at: Time
    steps: list[Step]
    assumed: list[Assumption]


@CLOSED
class Snapshot(TypedDict):
    """``slipway snapshot``: what ``plan --snapshot`` reads."""

    at: Time
    registry: str
    login_server: str
    project: str
    agents: dict[str, dict[str, Any]]
    """By target; its records, as the state store has them, and its versions."""
    secrets: dict[str, str]
    """By name; the id of the newest version, or missing, disabled, forbidden; never a value."""
    toolboxes: dict[str, str]
    """By name; the newest version."""
    images: dict[str, dict[str, Any]]
    """By digest; whether and as what the image can be deployed."""
    tags: dict[str, list[dict[str, Any]]]
    """By repository; its newest tags."""


@CLOSED
class SignatureVerdict(TypedDict):
    """A signature of an image, judged by the rules of an agent."""

    digest: str
    """Of the signature's own manifest."""
    verdict: Literal["verified", "none", "invalid", "unknown"]
    signer: str | None
    detail: str


@CLOSED
class AgentVerdict(TypedDict):
    """An image, judged by the rules of an agent."""

    agent: str
    signed_by: list[str]
    """Who may sign, as agents.yaml has it."""
    verdict: Literal["verified", "none", "invalid", "unknown"]
    signer: str | None
    detail: str
    signatures: list[SignatureVerdict]


@CLOSED
class Verified(TypedDict):
    """``slipway verify``."""

    repository: str
    tag: str | None
    digest: str
    signature_count: int
    agents: list[AgentVerdict]
    """Those that ask for signatures."""
