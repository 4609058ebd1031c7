"""Every reason code of the product, what it means, and what a person can do."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Severity = Literal["info", "warning", "error"]


class Reason(StrEnum):
    """Why something was done or not done; each has a page of its name in docs/reference/reasons/."""

    severity: Severity
    meaning: str
    help: str

    def __new__(cls, code: str, severity: Severity, meaning: str, help_: str) -> Reason:
        """Make the code a text, with its severity, meaning and help beside it."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.severity, member.meaning, member.help = severity, meaning, help_
        return member

    # fmt: off
    # Events
    ACCEPTED = "ACCEPTED", "info", "the agent should run this from now on", "Nothing to do; the release follows."
    SAME_PUSH = "SAME_PUSH", "info", "this very push is wanted already", "Nothing to do: a redelivery or a push of the same image."
    NOT_NEWER = "NOT_NEWER", "info", "the tag is not newer than what is wanted", "Push a newer tag, or change tags.order in agents.yaml."
    NOT_FOLLOWED = "NOT_FOLLOWED", "info", "no agent rule follows the repository", "Add a rule for the repository to agents.yaml if it should deploy."
    OTHER_REGISTRY = "OTHER_REGISTRY", "info", "the event is of another registry", "Check REGISTRY_NAME if this is your registry."
    CONNECTED_REGISTRY = "CONNECTED_REGISTRY", "info", "the event is of a connected registry", "Nothing to do; the parent registry tells its own pushes."
    OTHER_EVENT_TYPE = "OTHER_EVENT_TYPE", "info", "an event type that Slipway does not act on", "Filter the event subscription to ImagePushed to save the delivery."
    UNTAGGED_PUSH = "UNTAGGED_PUSH", "info", "a manifest was pushed without a tag", "Push with a tag; children of an index have none and are not meant to."
    NO_DIGEST = "NO_DIGEST", "warning", "the event names no digest", "Push again; a registry event without a digest cannot be deployed safely."
    ARTIFACT_TAG = "ARTIFACT_TAG", "info", "a signature, attestation or SBOM, not an image", "Nothing to do."
    TAG_NOT_ALLOWED = "TAG_NOT_ALLOWED", "info", "the tag is outside tags.allow or tags.range", "Widen the rule in agents.yaml, or push an allowed tag."
    TAG_IGNORED = "TAG_IGNORED", "info", "the tag matches tags.ignore", "Remove the pattern from agents.yaml, or push another tag."
    TAG_UNREADABLE = "TAG_UNREADABLE", "warning", "tags.order cannot read the tag", "Push a tag that the order can read, or set tags.extract."
    MALFORMED_EVENT = "MALFORMED_EVENT", "warning", "the payload is not an event that can be read", "Check who sends to the endpoint or queue; the detail says what was wrong."
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE", "warning", "a message of the queue releases cannot be read", "Check who writes to the queue besides Slipway."
    AGENT_UNKNOWN = "AGENT_UNKNOWN", "warning", "agents.yaml has no rule for the agent any more", "Put the rule back, or leave it: nothing is touched."
    SECRET_NOT_USED = "SECRET_NOT_USED", "info", "no agent uses the newest version of the secret", "Nothing to do."
    SECRET_CHANGE_IGNORED = "SECRET_CHANGE_IGNORED", "info", "the rule does not release on a secret change", "Set release.on_secret_change: release, or push."
    CONFIG_INVALID = "CONFIG_INVALID", "error", "agents.yaml or a setting is wrong", "Mend what the detail names; events are kept meanwhile."
    # Steps
    BEGIN = "BEGIN", "info", "a release begins", "Nothing to do."
    PIN = "PIN", "info", "the traffic is held where it is before a version is made", "Nothing to do."
    CREATE = "CREATE", "info", "Foundry was asked for a version", "Nothing to do."
    MAKE_ROOM = "MAKE_ROOM", "info", "what may go is pruned before a version is made", "Nothing to do; lower keep.newest or keep.min_age where it happens often."
    ADOPT = "ADOPT", "info", "a version with this fingerprint exists and is used", "Nothing to do."
    DELETE_DUPLICATE = "DELETE_DUPLICATE", "info", "an identical version that had failed was deleted", "Nothing to do; the definition is created once more."
    CONFIRM = "CONFIRM", "info", "the version is active twice and is what was meant", "Nothing to do."
    TRAFFIC_MOVED = "TRAFFIC_MOVED", "info", "new sessions go to the version", "Nothing to do."
    VERIFY = "VERIFY", "info", "the version answered as it must, before it got traffic", "Nothing to do."
    CHECK = "CHECK", "info", "the version is asked once more, with traffic", "Nothing to do."
    ROLLBACK = "ROLLBACK", "warning", "the traffic goes back to where it was", "Nothing to do; see CHECK_FAILED."
    APPROVED = "APPROVED", "info", "a person approved the version", "Nothing to do; the release goes on."
    RELEASE_REQUESTED = "RELEASE_REQUESTED", "info", "a person asked for the release", "Nothing to do; the release follows."
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED", "warning", "a person wants an earlier version back", "Nothing to do; the version is asked what the rule asks, and gets the traffic. What served before is held."
    NO_ROLLBACK_VERSION = "NO_ROLLBACK_VERSION", "warning", "there is no version that the traffic could go back to", "Name one that is active with --to, or release an image."
    AGENT_ADOPTED = "AGENT_ADOPTED", "info", "an agent that ran already is followed from now on", "Nothing to do; the next push of its repository is released."
    HOLD_SET = "HOLD_SET", "warning", "a person holds the image back", "Lift the hold, or push a newer image."
    HOLD_REMOVED = "HOLD_REMOVED", "info", "a person lifted a hold", "Nothing to do; what is wanted is released."
    UNPAUSED = "UNPAUSED", "info", "a person ended the pause", "Nothing to do; the release goes on."
    NOTHING_HELD = "NOTHING_HELD", "info", "nothing is held that could be lifted", "Look at what is held."
    NOTHING_PAUSED = "NOTHING_PAUSED", "info", "the agent is not paused", "Nothing to do."
    NOTHING_TO_APPROVE = "NOTHING_TO_APPROVE", "warning", "no version with this fingerprint waits for approval", "Look at what waits and approve that."
    WRITE_NOT_APPLIED = "WRITE_NOT_APPLIED", "warning", "an act without an answer did not take effect", "Nothing to do; it is tried again."
    UNCLEAR_ANSWER = "UNCLEAR_ANSWER", "warning", "an act got no clear answer and may still take effect", "Nothing to do; Slipway looks before it acts again."
    REQUEUED = "REQUEUED", "info", "an unfinished release is taken up again", "Nothing to do."
    # Ends
    LIVE = "LIVE", "info", "the version serves all new sessions", "Nothing to do."
    ALREADY_LIVE = "ALREADY_LIVE", "info", "what is wanted is what serves", "Nothing to do."
    SUPERSEDED = "SUPERSEDED", "info", "a newer push took the release's place", "Nothing to do."
    ROUTING_CHANGED = "ROUTING_CHANGED", "warning", "somebody else moved the traffic", "Leave it, or push again to hand the routing back to Slipway."
    AGENT_DELETED = "AGENT_DELETED", "warning", "the agent was deleted or made anew", "Push again to have it made."
    AGENT_DISABLED = "AGENT_DISABLED", "warning", "the agent is disabled", "Enable the agent in Foundry, then push again."
    CANDIDATE_GONE = "CANDIDATE_GONE", "warning", "the version was deleted before it went live", "Push again if it should go live."
    TIMED_OUT = "TIMED_OUT", "error", "the version was not active within provision_within", "Look at the image's size and the region's health, then push again."
    DEFINITION_MISMATCH = "DEFINITION_MISMATCH", "error", "the active version is not what was asked for", "See who else writes to the agent; the version takes no traffic."
    SECRET_MISSING = "SECRET_MISSING", "error", "Key Vault has no such secret", "Create the secret, then push again."
    SECRET_DISABLED = "SECRET_DISABLED", "error", "the secret is disabled", "Enable it or write a new version, then push again."
    SECRET_EXPIRED = "SECRET_EXPIRED", "error", "the secret's expiry date has passed", "Write a new version; the rotation releases it."
    SECRET_NOT_YET_VALID = "SECRET_NOT_YET_VALID", "error", "the secret is not valid yet", "Wait for its date or write another version, then push again."
    SECRET_FORBIDDEN = "SECRET_FORBIDDEN", "error", "Key Vault refuses our identity", "Grant Key Vault Secrets User on the vault (or open its firewall), then push again."
    NOT_AN_IMAGE = "NOT_AN_IMAGE", "info", "what was pushed is a chart, a signature or another artifact", "Push it to a repository that no agent follows, or ignore its tags in agents.yaml."
    WRONG_PLATFORM = "WRONG_PLATFORM", "error", "the image does not run on linux/amd64", "Build for linux/amd64: docker buildx build --platform linux/amd64."
    IMAGE_GONE = "IMAGE_GONE", "error", "the registry does not have the digest any more", "Push the image again, and see what deletes from the registry."
    IMAGE_UNREADABLE = "IMAGE_UNREADABLE", "error", "the registry does not say what the image is, and inspect is required", "Grant the app's identity read on the registry, or set inspect: best-effort."
    ENV_AMBIGUOUS = "ENV_AMBIGUOUS", "error", "two tagged secrets give one variable", "Remove the tag env from one of them, then push again."
    ENV_CLASH = "ENV_CLASH", "error", "env and a tagged secret give the same variable", "Remove one of the two, then push again."
    TOOLBOX_REFUSED = "TOOLBOX_REFUSED", "error", "Foundry refuses the tools", "Mend tools in agents.yaml as the detail says."
    VERSION_LIMIT = "VERSION_LIMIT", "error", "the agent has as many versions as it may, and each of them has a reason to stay", "Loosen what the detail says keeps most in keep, or raise keep.limit, then push again."
    CREATE_REFUSED = "CREATE_REFUSED", "error", "Foundry refuses the definition", "Mend the rule in agents.yaml as the detail says, then push again."
    ROUTE_REFUSED = "ROUTE_REFUSED", "error", "Foundry refuses to move the traffic", "Look at the agent's endpoint in Foundry, then push again."
    REQUEST_REFUSED = "REQUEST_REFUSED", "error", "a service refuses a read", "Check FOUNDRY_PROJECT_ENDPOINT and KEY_VAULT_URL, then push again."
    FORBIDDEN = "FORBIDDEN", "error", "our identity lacks a right", "Grant the app's identity Foundry User on the project, then push again."
    IMAGE_ERROR = "IMAGE_ERROR", "error", "Foundry cannot pull or start the image", "Grant the project's identity AcrPull or Repository Reader, enable ARM token authentication on the registry, build for linux/amd64."
    CODE_ERROR = "CODE_ERROR", "error", "Foundry cannot run the uploaded code", "Look at the service's message; image deployments do not meet this."
    PROVISIONING_ERROR = "PROVISIONING_ERROR", "error", "Foundry could not provision the version", "Push again; if it stays, ask Microsoft support with the detail."
    PROVISIONING_FAILED = "PROVISIONING_FAILED", "error", "the version failed with a code nobody knows", "See the detail; push again once its cause is mended."
    CAPABILITY_HOST_MISSING = "CAPABILITY_HOST_MISSING", "error", "the account has no capability host", "Create one with public hosting on, or use a project made after mid-2026, which needs none."
    PROTOCOL_NOT_SUPPORTED = "PROTOCOL_NOT_SUPPORTED", "error", "Foundry does not know the protocol version", "Set protocols: {responses: \"2.0.0\"} or what the image's library speaks."
    REGISTRY_UNREACHABLE = "REGISTRY_UNREACHABLE", "error", "Foundry cannot find or reach the registry", "Check the login server, its network rules and the project's registry connection."
    SUBSCRIPTION_NOT_REGISTERED = "SUBSCRIPTION_NOT_REGISTERED", "error", "a resource provider is not registered", "Register Microsoft.CognitiveServices and Microsoft.App on the subscription."
    WOULD_RELEASE = "WOULD_RELEASE", "info", "mode is notify: this would be released", "Set release.mode: auto to have it released."
    VERIFY_FAILED = "VERIFY_FAILED", "error", "the version did not answer as it must; it never had traffic", "Mend the image and push it; the failed one is held. Ask the version in Foundry's playground to see what it says."
    VERIFY_FORBIDDEN = "VERIFY_FORBIDDEN", "error", "our identity may not ask the agent", "Grant the app's identity Foundry User on the project, then push again."
    VERIFY_INCONCLUSIVE = "VERIFY_INCONCLUSIVE", "error", "the version could not be asked: quota or network", "See the detail, raise the session quota if it is that, then push again; the version takes no traffic."
    CHECK_FAILED = "CHECK_FAILED", "error", "the live version did not answer as it must; the traffic went back", "Mend the image and push it; the failed one is held."
    CHECK_FAILED_NO_ROLLBACK_VERSION = "CHECK_FAILED_NO_ROLLBACK_VERSION", "error", "the live version does not answer as it must, and nothing good is there to go back to", "Push a mended image now, or route to a version by hand."
    CHECK_INCONCLUSIVE = "CHECK_INCONCLUSIVE", "warning", "the live version could not be asked; it stays live, unproven", "See the detail, and ask the agent yourself."
    ROLLBACK_REFUSED = "ROLLBACK_REFUSED", "error", "Foundry refuses to move the traffic back from a version that failed its check", "Route to a good version by hand, now."
    HELD = "HELD", "warning", "what is wanted is held back", "Push a newer image, or lift the hold."
    # Waits and stops
    APPROVAL_WAITING = "APPROVAL_WAITING", "warning", "mode is manual: the version waits for a person", "Approve the version, or push a newer image."
    PAUSED = "PAUSED", "info", "a person paused the agent", "Resume the agent to go on."
    NO_PUSH_YET = "NO_PUSH_YET", "info", "nobody pushed for the agent yet", "Push an image to its repository."
    NOT_DUE = "NOT_DUE", "info", "the quiet time is not over", "Nothing to do; it goes on by itself."
    TIME_BUDGET_SPENT = "TIME_BUDGET_SPENT", "info", "the release takes longer than one message may", "Nothing to do; it goes on by itself."
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE", "warning", "a service did not answer for a minute", "Nothing to do; it is tried again. Look at Azure's status page if it stays."
    LEASE_TAKEN = "LEASE_TAKEN", "info", "another instance is at this agent's release", "Nothing to do; it looks again before it leaves."
    LEASE_LOST = "LEASE_LOST", "warning", "this instance was too slow and stopped at once", "Nothing to do; the release is taken up again."
    HEARTBEAT = "HEARTBEAT", "info", "the timer ran", "Nothing to do; an alert tells when it stops."
    MISSED_PUSH_FOUND = "MISSED_PUSH_FOUND", "warning", "the registry held a newer push whose event never came", "Nothing to do, the release follows; see whether the event subscription was there at that time."
    MISSED_PUSH_CHECK_FAILED = "MISSED_PUSH_CHECK_FAILED", "warning", "the registry did not list a repository", "Grant the app's identity read on the registry; the next day looks again."
    OUTCOME_NOT_PUBLISHED = "OUTCOME_NOT_PUBLISHED", "warning", "the outcome topic did not take an event", "Check OUTCOME_TOPIC_ENDPOINT and that the app's identity is EventGrid Data Sender on it; the release itself is not touched."
    DRIFT = "DRIFT", "warning", "somebody changed what a release left behind", "Leave it if it was meant; else push again, and Slipway puts its own choice in place."
    DRIFT_UNKNOWN = "DRIFT_UNKNOWN", "warning", "whether an agent is still as it was could not be read", "Nothing to do; the next run looks again."
    POISONED = "POISONED", "error", "a message failed five times", "Look at the failures in Application Insights, mend their cause, then replay the message: the journal keeps it."
    # Prune
    PRUNED_STALE = "PRUNED_STALE", "info", "nothing needs the version and it was old enough", "Nothing to do."
    PRUNED_FAILED = "PRUNED_FAILED", "info", "the version had failed", "Nothing to do."
    PRUNE_STOPPED = "PRUNE_STOPPED", "warning", "pruning of the agent stopped early", "Nothing to do; the next run plans anew."
    SESSIONS_ACTIVE = "SESSIONS_ACTIVE", "info", "people still have sessions on the version", "Nothing to do; the next run tries again."
    KEPT_LIVE = "KEPT_LIVE", "info", "traffic goes to the version", "Nothing to do."
    KEPT_IN_RELEASE = "KEPT_IN_RELEASE", "info", "a release, or the way back from it, needs the version", "Nothing to do."
    KEPT_DRAFT = "KEPT_DRAFT", "info", "a draft is a person's", "Delete it in Foundry if it is of no use."
    KEPT_UNSETTLED = "KEPT_UNSETTLED", "info", "the version is being made or deleted", "Nothing to do."
    KEPT_UNDATED = "KEPT_UNDATED", "info", "Foundry does not say when the version was made", "Delete it in Foundry if it is of no use."
    KEPT_FOREIGN = "KEPT_FOREIGN", "info", "Slipway did not make the version", "Set keep.foreign: false to have such versions pruned too."
    KEPT_RECENT = "KEPT_RECENT", "info", "one of the newest that could serve again", "Lower keep.newest to keep fewer."
    KEPT_LAST = "KEPT_LAST", "info", "the agent's only version, or the newest of one whose traffic goes to none", "Nothing to do."
    KEPT_YOUNG = "KEPT_YOUNG", "info", "younger than keep.min_age or keep.failed", "Nothing to do."
    KEPT_TAGGED = "KEPT_TAGGED", "info", "its tag matches keep.tags", "Nothing to do."
    KEPT_FOR_NEXT_RUN = "KEPT_FOR_NEXT_RUN", "info", "keep.max_deletes is reached", "Nothing to do; the next run goes on."
    VERSION_LIMIT_NEAR = "VERSION_LIMIT_NEAR", "warning", "the agent has more than 80 % of the versions that it may have", "Loosen keep, or raise keep.limit, before a push meets VERSION_LIMIT."
    IMAGES_IN_USE = "IMAGES_IN_USE", "info", "the images that the versions that stay run", "Keep them in the registry: a purge of one leaves a version that cannot start again."
    CONFIG_CHANGED = "CONFIG_CHANGED", "info", "agents.yaml says otherwise what the agent runs", "Nothing to do; the release follows after release.debounce."
    # fmt: on


def by_code(code: str) -> Reason:
    """The reason of a code that a record holds."""
    return Reason.__members__[code]


SERVICE_CODES = {
    "ImageError": Reason.IMAGE_ERROR,
    "image_pull_failed": Reason.IMAGE_ERROR,
    "InvalidAcrPullCredentials": Reason.IMAGE_ERROR,
    "UnauthorizedAcrPull": Reason.IMAGE_ERROR,
    "AcrImageNotFound": Reason.IMAGE_ERROR,
    "ImagePullBackOff": Reason.IMAGE_ERROR,
    "InvalidContainerImage": Reason.IMAGE_ERROR,
    "RegistryNotFound": Reason.REGISTRY_UNREACHABLE,
    "SubscriptionIsNotRegistered": Reason.SUBSCRIPTION_NOT_REGISTERED,
    "CodeError": Reason.CODE_ERROR,
    "ProvisioningError": Reason.PROVISIONING_ERROR,
    "CapabilityHostNotFound": Reason.CAPABILITY_HOST_MISSING,
    "ProtocolVersionNotSupported": Reason.PROTOCOL_NOT_SUPPORTED,
}
"""Codes of a failed version, old and new: the service's own, those of its documentation and those of the seed."""


def from_service(code: str) -> Reason:
    """The reason for a failed version's code; an unknown code is an open set and keeps its text in the detail."""
    return SERVICE_CODES.get(code, Reason.PROVISIONING_FAILED)
