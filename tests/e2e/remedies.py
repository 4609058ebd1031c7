"""How the reasons with a remedy are provoked on the stack, and why some are not."""

from __future__ import annotations

from typing import NamedTuple


class Situation(NamedTuple):
    """What brings a reason about."""

    agent: str = "cpu: 1, memory: 2Gi"
    """The agent's other keys."""
    after: str = ""
    """The tag of an image that is live before the situation begins."""
    tag: str = "2.0.0"
    """The tag that meets it."""
    refuse: tuple[str, str, int, str] | None = None
    """Method and end of the path of Foundry's requests that are refused, with this status and code."""
    fails_with: str = ""
    """The code with which the version fails to start."""
    answer: str = ""
    """What the agent answers in place of pong."""
    end: str = "LIVE"


PROBED = "release: {%s: {ask: ping, expect: pong}}"
LIVE_BEFORE = "1.0.0"
SITUATIONS = {
    "CODE_ERROR": Situation(fails_with="CodeError"),
    "PROVISIONING_ERROR": Situation(fails_with="ProvisioningError"),
    "PROVISIONING_FAILED": Situation(fails_with="SomethingNew"),
    "CAPABILITY_HOST_MISSING": Situation(fails_with="CapabilityHostNotFound"),
    "PROTOCOL_NOT_SUPPORTED": Situation(fails_with="ProtocolVersionNotSupported"),
    "REGISTRY_UNREACHABLE": Situation(fails_with="RegistryNotFound"),
    "SUBSCRIPTION_NOT_REGISTERED": Situation(fails_with="SubscriptionIsNotRegistered"),
    "CREATE_REFUSED": Situation(refuse=("POST", "/versions", 400, "invalid_payload")),
    "PREVIEW_REQUIRED": Situation(refuse=("POST", "/versions", 403, "preview_feature_required")),
    "REQUEST_REFUSED": Situation(refuse=("GET", "/versions", 400, "bad_request")),
    "ROUTE_REFUSED": Situation(after=LIVE_BEFORE, refuse=("PATCH", "", 400, "bad_request")),
    "VERIFY_FORBIDDEN": Situation(PROBED % "verify", refuse=("POST", "/endpoint", 403, "Forbidden")),
    "VERIFY_FAILED": Situation(PROBED % "verify", answer="rubbish"),
    "CHECK_FAILED": Situation(PROBED % "check", after=LIVE_BEFORE, answer="rubbish"),
    "TAG_NOT_ALLOWED": Situation("tags: {allow: ['^release-']}"),
    "TAG_IGNORED": Situation("tags: {ignore: ['^2']}"),
    "TAG_UNREADABLE": Situation("tags: {order: semver}", tag="nightly"),
    "NOT_NEWER": Situation("tags: {order: semver}", after=LIVE_BEFORE, tag="0.9.0"),
    "WINDOW_CLOSED": Situation("release: {windows: {freezes: {start: 2026-01-01, end: 2999-01-01}}}"),
    "AGENT_DISABLED": Situation(after=LIVE_BEFORE),
    "SAME_PUSH": Situation(after=LIVE_BEFORE, tag=LIVE_BEFORE, end="ALREADY_LIVE"),
    "SECRET_EXPIRED": Situation("env: {KEY: {secret: expired-key}}"),
    "SECRET_FORBIDDEN": Situation("env: {KEY: {secret: forbidden-key}}"),
}
OF_COMMANDS = ("HOLD_SET", "NOTHING_HELD", "NOTHING_TO_APPROVE")
"""What a command answers; the test types it."""
OF_SITUATIONS = (
    *("IMAGE_ERROR", "SECRET_DISABLED", "SECRET_MISSING", "FORBIDDEN", "HELD", "PAUSED", "DRIFT", "APPROVAL_WAITING"),
    *("WRONG_PLATFORM", "CONFIG_INVALID", "POISONED", "SERVICE_UNAVAILABLE"),
)
"""Those of a night on call."""
LASTS = "Slipway believes it only after minutes, which the simulation lets pass"
WHILE_UNDER_WAY = "it must happen between two requests of one release; tests/simulation places it there"
DAILY = "the daily check names it, which a test of the stack does not wait for"
AS_FIRST_TIME = "the release goes on by itself with the next push or time; the command is the one of its siblings here"
NOT_PROVOKED = {
    "SECRET_CHANGE_REPORTED": "a rotation is noticed only after its quiet time; tests/e2e/test_push_to_live.py rotates",
    "SECRET_CHANGE_IGNORED": "as SECRET_CHANGE_REPORTED",
    "SECRET_LAGS": "Key Vault must answer with an older version than its event names",
    "SIGNATURE_UNKNOWN": "the registry must not answer for as long as a signature may take",
    "SIGNATURE_MISSING": "docs/reference/cli-transcripts.md and the demo sign images",
    "SIGNATURE_INVALID": "as SIGNATURE_MISSING",
    "VARIABLE_REMOVED": "a change of agents.yaml is noticed by a timer",
    "ROLLED_BACK_BY": "as VARIABLE_REMOVED",
    "ROUTING_CHANGED": WHILE_UNDER_WAY,
    "CANDIDATE_GONE": WHILE_UNDER_WAY,
    "DEFINITION_MISMATCH": WHILE_UNDER_WAY,
    "OTHER_TENANT": "the stand-ins are of a single tenant",
    "AGENT_DELETED": LASTS,
    "TIMED_OUT": LASTS,
    "IMAGE_GONE": LASTS,
    "IMAGE_UNREADABLE": LASTS,
    "ENV_AMBIGUOUS": "tags of secrets; the command is that of SECRET_MISSING",
    "ENV_NAME_INVALID": "as ENV_AMBIGUOUS",
    "ENV_CLASH": "as ENV_AMBIGUOUS",
    "TOOLBOX_REFUSED": "as CREATE_REFUSED, at another route",
    "VERSION_LIMIT": "two versions must be kept by two causes at the least limit of two",
    "VERIFY_INCONCLUSIVE": LASTS,
    "EVALUATION_FAILED": "as VERIFY_FAILED, with a dataset",
    "EVALUATION_INCONCLUSIVE": LASTS,
    "CHECK_INCONCLUSIVE": LASTS,
    "CHECK_FAILED_NO_ROLLBACK_VERSION": "only a person can name the version in the command",
    "NO_ROLLBACK_VERSION": "only a person can name the version in the command",
    "ROLLBACK_REFUSED": WHILE_UNDER_WAY,
    "ROTATION_CHECK_FAILED": DAILY,
    "MISSED_PUSH_CHECK_FAILED": DAILY,
    "SECRET_EXPIRES_SOON": DAILY,
    "IMAGES_IN_USE_UNKNOWN": DAILY,
    "VERSION_LIMIT_NEAR": DAILY,
    "KEPT_LAST": DAILY,
    "POISON_QUEUE_STUCK": "tests/e2e/test_odd_images.py takes the message out of the queue",
}
"""The reasons whose remedy no test executes on the stack, each with the cause."""
