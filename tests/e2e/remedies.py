"""How the reasons with a remedy are provoked on the stack."""

from __future__ import annotations

from typing import NamedTuple


class Situation(NamedTuple):
    """What brings a reason about."""

    agent: str = "cpu: 1, memory: 2Gi"
    """The agent's other keys."""
    mended: str = ""
    """The keys that end the situation, where ``agents.yaml`` must change."""
    after: tuple[str, ...] = ()
    """The tags of images that are live, one after the other, before the situation begins."""
    tag: str = "2.0.0"
    """The tag that meets it; none where no push does."""
    refuse: tuple[str, str, int, str] | None = None
    """Method and end of the path of Foundry's requests about the agent that are refused, with this status and code."""
    fails_with: str = ""
    """The code with which the version fails to start."""
    answer: str = ""
    """What the agent answers in place of pong."""
    end: str = "LIVE"


PROBED = "release: {%s: {ask: ping, expect: pong}}"
ASKED_ONCE = "release: {%s: {ask: ping, expect: pong, within: 1s}}"
ROTATED = "env: {KEY: {secret: %s}}, release: {debounce: 0s, on_secret_change: %s}"
TAGGED = "env_from_vault: true"
SIGNED = "release: {signed_by: [{key: signing/release.pub}], signed_within: 2s}"
FREEZE = "release: {windows: {freezes: {start: 2026-01-01, end: 2999-01-01}}}"
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
    "ROUTE_REFUSED": Situation(after=("1.0.0",), refuse=("PATCH", "", 400, "bad_request")),
    "VERIFY_FORBIDDEN": Situation(PROBED % "verify", refuse=("POST", "/endpoint", 403, "Forbidden")),
    "VERIFY_FAILED": Situation(PROBED % "verify", answer="rubbish"),
    "CHECK_FAILED": Situation(PROBED % "check", after=("1.0.0",), answer="rubbish"),
    "TAG_NOT_ALLOWED": Situation("tags: {allow: ['^release-']}"),
    "TAG_IGNORED": Situation("tags: {ignore: ['^2']}"),
    "TAG_UNREADABLE": Situation("tags: {order: semver}", tag="nightly"),
    "NOT_NEWER": Situation("tags: {order: semver}", after=("1.0.0",), tag="0.9.0"),
    "WINDOW_CLOSED": Situation(FREEZE),
    "AGENT_DISABLED": Situation(after=("1.0.0",)),
    "SAME_PUSH": Situation(after=("1.0.0",), tag="1.0.0", end="ALREADY_LIVE"),
    "SECRET_EXPIRED": Situation("env: {KEY: {secret: expired-key}}"),
    "SECRET_FORBIDDEN": Situation("env: {KEY: {secret: forbidden-key}}"),
    "SECRET_CHANGE_REPORTED": Situation(ROTATED % ("reported-key", "notify"), after=("1.0.0",), tag=""),
    "SECRET_CHANGE_IGNORED": Situation(ROTATED % ("ignored-key", "ignore"), after=("1.0.0",), tag=""),
    "ENV_AMBIGUOUS": Situation(TAGGED),
    "ENV_NAME_INVALID": Situation(TAGGED),
    "ENV_CLASH": Situation("env: {KEY: text}, env_from_vault: true"),
    "SIGNATURE_MISSING": Situation(SIGNED),
    "SIGNATURE_INVALID": Situation(SIGNED),
    "TOOLBOX_REFUSED": Situation(
        "tools: [{type: code_interpreter}]", refuse=("POST", "/versions", 400, "invalid_payload")
    ),
    "OTHER_TENANT": Situation(refuse=("GET", "/versions", 400, "InvalidAuthenticationTokenTenant")),
    "IMAGE_UNREADABLE": Situation("inspect: required"),
    "TIMED_OUT": Situation("release: {provision_within: 1s}", mended="release: {provision_within: 1m}"),
    "VERSION_LIMIT": Situation("keep: {limit: 2}", mended="keep: {limit: 20}", after=("1.0.0", "1.5.0")),
    "VERIFY_INCONCLUSIVE": Situation(ASKED_ONCE % "verify", refuse=("POST", "/endpoint", 503, "Busy")),
    "CHECK_INCONCLUSIVE": Situation(ASKED_ONCE % "check", refuse=("POST", "/endpoint", 429, "Busy")),
    "EVALUATION_INCONCLUSIVE": Situation(
        "release: {evaluate: {dataset: rows.jsonl, within: 2s, criteria: {expect: {pass_rate: 1}}}}",
        mended="release: {evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 1}}}}",
        refuse=("POST", "/endpoint", 429, "Busy"),
    ),
    "EVALUATION_FAILED": Situation(
        "release: {evaluate: {dataset: rows.jsonl, criteria: {expect: {pass_rate: 1}}}}", answer="rubbish"
    ),
}
MANUAL = "release: {mode: manual}"
KEPT, KEPT_ONCE = "env: {KEPT: x, LOST: y}", "env: {KEPT: x}"
AT_ONCE = "release: {debounce: 0s}"
IN_STEPS = {
    "CANDIDATE_GONE": (MANUAL, MANUAL),
    "AGENT_DELETED": (MANUAL, MANUAL),
    "ROUTING_CHANGED": (MANUAL, MANUAL),
    "NO_ROLLBACK_VERSION": (MANUAL, MANUAL),
    "ROLLED_BACK_BY": (f"{AT_ONCE}, env: {{MODE: one}}", f"{AT_ONCE}, env: {{MODE: two}}"),
    "VARIABLE_REMOVED": (f"{AT_ONCE}, {TAGGED}, {KEPT}", f"{AT_ONCE}, {TAGGED}, {KEPT_ONCE}"),
    "VERSION_LIMIT_NEAR": ("keep: {limit: 3}", "keep: {limit: 3, newest: 0, min_age: 0s}"),
    "IMAGE_GONE": ("release: {readable_within: 0s}",) * 2,
    "SIGNATURE_UNKNOWN": (SIGNED, SIGNED),
    "MISSED_PUSH_CHECK_FAILED": ("cpu: 1", "cpu: 1"),
    "IMAGES_IN_USE_UNKNOWN": ("cpu: 1", "cpu: 1"),
    "ROTATION_CHECK_FAILED": ("env: {KEY: {secret: unlisted-key}}",) * 2,
}
"""Those that take several steps, with the agent's keys at first and later; tests/e2e/test_remedies_in_steps.py."""
OF_COMMANDS = ("HOLD_SET", "NOTHING_HELD", "NOTHING_TO_APPROVE")
"""What a command answers; the test types it."""
OF_SITUATIONS = (
    *("IMAGE_ERROR", "SECRET_DISABLED", "SECRET_MISSING", "FORBIDDEN", "HELD", "PAUSED", "DRIFT", "APPROVAL_WAITING"),
    *("WRONG_PLATFORM", "CONFIG_INVALID", "POISONED", "SERVICE_UNAVAILABLE"),
)
"""Those of a night on call."""
CHECKED = "release: {check: {ask: ping, expect: pong}}"
BETWEEN_REQUESTS = {
    "DEFINITION_MISMATCH": "cpu: 1",
    "SECRET_LAGS": "env: {KEY: {secret: lagging-key}}, release: {debounce: 0s}",
    "CHECK_FAILED_NO_ROLLBACK_VERSION": CHECKED,
    "ROLLBACK_REFUSED": CHECKED,
    "SECRET_EXPIRES_SOON": "env: {KEY: {secret: expiring-key}}, release: {debounce: 0s}",
    "KEPT_LAST": "keep: {newest: 0, min_age: 0s}",
    "POISON_QUEUE_STUCK": "cpu: 1",
}
"""Those of one moment of a release, with the agent's keys; tests/e2e/test_remedies_between_requests.py."""
