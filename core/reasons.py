"""Every reason code, what it means, and what a person can do."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

from core.remedies import REMEDIES

Severity = Literal["info", "warning", "error"]
SAFE_IN_A_COMMAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
"""A tag comes from others, and a person copies the command into a shell."""


class Reason(StrEnum):
    """Why Slipway did something or did not; each reason has a page in docs/reference/reasons/."""

    severity: Severity
    meaning: str
    help: str

    def __new__(cls, code: str, severity: Severity, meaning: str, help_: str) -> Reason:
        """The code as text, with severity, meaning and help as attributes."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.severity, member.meaning, member.help = severity, meaning, help_
        return member

    def help_for(self, agent: str | None, detail: str = "", *, image: str = "", version: str = "") -> str:
        """The help, with what is known filled into its commands; AGENT stands for an agent without a name."""
        return _filled(self._by_detail(detail)[0], agent, image, version)

    def remedy_for(self, agent: str | None, detail: str = "", *, image: str = "", version: str = "") -> str:
        """The command that ends the situation once its cause is removed, filled in; empty where there is none."""
        return _filled(self._by_detail(detail)[1], agent, image, version)

    def _by_detail(self, detail: str) -> tuple[str, str]:
        """The help and the command of the cause that the detail names."""
        known = HELP_BY_DETAIL.get(self.value, ())
        usual = self.help, REMEDIES.get(self.value, "")
        return next(((text, command) for words, text, command in known if re.search(words, detail)), usual)

    # fmt: off
    # Events
    ACCEPTED = "ACCEPTED", "info", "the agent should run this push from now on", "Nothing to do; the release follows."
    SAME_PUSH = "SAME_PUSH", "info", "the agent should run this push already", "Nothing to do: a later push of the image releases it again if it did not go live. To release it in any case, run slipway retry AGENT."
    NOT_NEWER = "NOT_NEWER", "info", "the tag is not newer than the desired one", "Push a newer tag, change tags.order in agents.yaml, or run slipway release AGENT --image REPOSITORY:TAG."
    NOT_FOLLOWED = "NOT_FOLLOWED", "info", "no agent follows the repository", "Add an agent with this repository to agents.yaml, if the image should run."
    OTHER_REGISTRY = "OTHER_REGISTRY", "info", "the event is from another registry", "Check REGISTRY_NAME and REGISTRY_ID, if this is your registry."
    OTHER_VAULT = "OTHER_VAULT", "info", "the event is from another vault", "Check KEY_VAULT_URL, KEY_VAULT_HOST, KEY_VAULT_ID and the vaults of agents.yaml, if this is your vault."
    CONNECTED_REGISTRY = "CONNECTED_REGISTRY", "info", "the event is from a connected registry", "Nothing to do; the parent registry sends its own event."
    OTHER_EVENT_TYPE = "OTHER_EVENT_TYPE", "info", "Slipway does not act on this type of event", "Filter the event subscription to ImagePushed, to save the delivery."
    UNTAGGED_PUSH = "UNTAGGED_PUSH", "info", "a manifest was pushed without a tag", "Push with a tag, unless the manifest is a part of an index."
    NO_DIGEST = "NO_DIGEST", "warning", "the event has no digest", "Push a new build; Slipway deploys only by digest."
    ARTIFACT_TAG = "ARTIFACT_TAG", "info", "the tag is for a signature, attestation or SBOM, not for an image", "Nothing to do."
    TAG_NOT_ALLOWED = "TAG_NOT_ALLOWED", "info", "tags.allow, tags.range or tags.prereleases excludes the tag", "Push an allowed tag, widen the setting in agents.yaml, or run slipway release AGENT --image REPOSITORY:TAG."
    TAG_IGNORED = "TAG_IGNORED", "info", "the tag matches tags.ignore", "Push another tag, remove the expression from agents.yaml, or run slipway release AGENT --image REPOSITORY:TAG."
    TAG_UNREADABLE = "TAG_UNREADABLE", "warning", "the tag cannot be compared by tags.order", "Push a tag that tags.order can compare, set tags.extract, or run slipway release AGENT --image REPOSITORY:TAG."
    MALFORMED_EVENT = "MALFORMED_EVENT", "warning", "the event cannot be read", "Check what sends to the endpoint or queue; the detail has the problem."
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE", "warning", "a message in the queue releases cannot be read", "Check what writes to the queue besides Slipway."
    AGENT_UNKNOWN = "AGENT_UNKNOWN", "warning", "the agent is not in agents.yaml any more", "Nothing to do if you removed the agent; otherwise add it to agents.yaml again."
    SECRET_NOT_USED = "SECRET_NOT_USED", "info", "no agent uses the newest version of the secret", "Nothing to do."
    SECRET_CHANGE_REPORTED = "SECRET_CHANGE_REPORTED", "warning", "a secret of the agent has a new version, and on_secret_change is notify", "Run slipway retry AGENT to release it, or set release.on_secret_change: release."
    SECRET_CHANGE_IGNORED = "SECRET_CHANGE_IGNORED", "info", "the agent does not release on a change of a secret", "Set release.on_secret_change: release, or run slipway retry AGENT."
    CONFIG_INVALID = "CONFIG_INVALID", "error", "agents.yaml or a setting is wrong", "Correct what the detail names and deploy; an event is tried again every minute. For those that failed five times, run slipway replay --poisoned-since 24h."
    # Steps
    BEGIN = "BEGIN", "info", "a release began", "Nothing to do."
    PIN = "PIN", "info", "the traffic is pinned to a version before a new one is created", "Nothing to do."
    CREATE = "CREATE", "info", "Foundry was asked for a version", "Nothing to do."
    MAKE_ROOM = "MAKE_ROOM", "info", "versions are pruned before a new one is created", "Nothing to do; if it happens often, lower keep.newest or keep.min_age."
    ADOPT = "ADOPT", "info", "a version with this fingerprint exists and becomes the candidate", "Nothing to do."
    VERSION_NOT_ADOPTED = "VERSION_NOT_ADOPTED", "warning", "a version has this release's fingerprint and another definition", "Ask who created it."
    DELETE_DUPLICATE = "DELETE_DUPLICATE", "info", "an identical version that had failed was deleted", "Nothing to do; the version is created again."
    CONFIRM_PASSED = "CONFIRM_PASSED", "info", "two reads found the version active and as requested", "Nothing to do."
    TRAFFIC_MOVED = "TRAFFIC_MOVED", "info", "new sessions go to the version", "Nothing to do."
    SIGNATURE_PASSED = "SIGNATURE_PASSED", "info", "the image is signed as release.signed_by asks", "Nothing to do."
    SIGNATURE_WAITING = "SIGNATURE_WAITING", "info", "the pushed image is not signed as release.signed_by asks yet", "Nothing to do if your pipeline signs after it pushes; Slipway asks again until release.signed_within is over."
    SIGNATURE_UNKNOWN = "SIGNATURE_UNKNOWN", "warning", "nothing is known of the image's signatures: the registry or the trusted root did not answer", "Run slipway doctor; Slipway asks again until there is an answer."
    SIGNATURE_MISSING = "SIGNATURE_MISSING", "error", "the image has no signature, and release.signed_by asks for one", "Sign the image and push it again, or run slipway release AGENT --image REPOSITORY:TAG. Signatures of cosign 2 (a tag sha256-….sig) are not read: sign with cosign 3."
    SIGNATURE_INVALID = "SIGNATURE_INVALID", "error", "the image is signed, but not as release.signed_by asks", "Compare the detail with release.signed_by; sign the image with the right key or in the right workflow and push it again, or run slipway release AGENT --image REPOSITORY:TAG."
    VERIFY_PASSED = "VERIFY_PASSED", "info", "the version gave the expected answers before it got traffic", "Nothing to do."
    ROLLBACK = "ROLLBACK", "warning", "the traffic moved back", "Nothing to do; see CHECK_FAILED."
    APPROVED = "APPROVED", "info", "a person approved the version", "Nothing to do; the release continues."
    RELEASE_REQUESTED = "RELEASE_REQUESTED", "info", "a person requested the release", "Nothing to do; the release follows."
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED", "warning", "a person requested an earlier version", "Nothing to do; the version is verified and gets the traffic, and the live one is held."
    NO_ROLLBACK_VERSION = "NO_ROLLBACK_VERSION", "warning", "no version can take the traffic", "Name an active version with slipway rollback AGENT --to VERSION --why REASON; slipway versions AGENT lists them. Or release an image."
    AGENT_ADOPTED = "AGENT_ADOPTED", "info", "Slipway follows an agent that existed before", "Nothing to do; the next push to its repository is released, in a later stage once it has passed the stage before."
    HOLD_SET = "HOLD_SET", "warning", "a person held the image", "Push another build, or run slipway unhold AGENT."
    HOLD_REMOVED = "HOLD_REMOVED", "info", "a person lifted a hold", "Nothing to do; the release follows."
    UNPAUSED = "UNPAUSED", "info", "a person ended the pause", "Nothing to do; the release continues."
    NOTHING_HELD = "NOTHING_HELD", "info", "no such hold is in force", "Run slipway status AGENT to see the holds."
    NOTHING_PAUSED = "NOTHING_PAUSED", "info", "the agent is not paused", "Nothing to do."
    NOTHING_TO_APPROVE = "NOTHING_TO_APPROVE", "warning", "this version does not wait for approval", "Run slipway status AGENT to see the waiting version, and approve that."
    WRITE_NOT_APPLIED = "WRITE_NOT_APPLIED", "warning", "a request without a clear answer had no effect", "Nothing to do; it is sent again."
    UNCLEAR_ANSWER = "UNCLEAR_ANSWER", "warning", "a request got no clear answer and may still take effect", "Nothing to do; Slipway reads Foundry before it writes again."
    REQUEUED = "REQUEUED", "info", "an unfinished release was queued again", "Nothing to do."
    VARIABLE_TAGS_LOST = "VARIABLE_TAGS_LOST", "warning", "a new version of a secret has no tags, and its variable stays", "Set the tags of the new version with the command in the detail."
    VARIABLE_REMOVED = "VARIABLE_REMOVED", "warning", "a variable of the live version goes with this release", "Nothing to do if you removed it; otherwise set it in agents.yaml, or the tags agent and env of its secret, and run slipway retry AGENT."
    SECRET_STARTS_LATER = "SECRET_STARTS_LATER", "info", "the newest version of a secret starts later, and an older one is used", "Nothing to do; the agent is released again at the date."
    SECRET_NOW_VALID = "SECRET_NOW_VALID", "info", "a version of a secret has started", "Nothing to do; the release follows."
    # Ends
    LIVE = "LIVE", "info", "all new sessions go to the version", "Nothing to do."
    ALREADY_LIVE = "ALREADY_LIVE", "info", "the desired definition is live already", "Nothing to do."
    SUPERSEDED = "SUPERSEDED", "info", "a newer change replaced the release", "Nothing to do."
    ROUTING_CHANGED = "ROUTING_CHANGED", "warning", "somebody else moved the traffic", "Leave the traffic, or run slipway retry AGENT to give the routing back to Slipway."
    AGENT_DELETED = "AGENT_DELETED", "warning", "the agent was deleted or recreated", "Run slipway retry AGENT to create it again, or remove it from agents.yaml."
    AGENT_DISABLED = "AGENT_DISABLED", "warning", "the agent is disabled", "Enable the agent in Foundry, then run slipway retry AGENT."
    CANDIDATE_GONE = "CANDIDATE_GONE", "warning", "the version was deleted before it went live", "Run slipway retry AGENT to create it again."
    TIMED_OUT = "TIMED_OUT", "error", "the version was not active within provision_within", "Check the image's size and the region's health, then run slipway retry AGENT."
    DEFINITION_MISMATCH = "DEFINITION_MISMATCH", "error", "the active version differs from the request", "Stop the other writer, delete the version, then run slipway retry AGENT."
    SECRET_MISSING = "SECRET_MISSING", "error", "Key Vault does not have the secret", "Create the secret; its event starts the release, and so does slipway retry AGENT."
    SECRET_DISABLED = "SECRET_DISABLED", "error", "the secret is disabled", "Enable the secret and run slipway retry AGENT, or write a new version."
    SECRET_EXPIRED = "SECRET_EXPIRED", "error", "the secret has expired", "Write a new version; its event starts the release, and so does slipway retry AGENT."
    SECRET_NOT_YET_VALID = "SECRET_NOT_YET_VALID", "error", "no version of the secret is valid yet", "Nothing to do: the release goes on at the date. To release now, write a version that is valid."
    SECRET_FORBIDDEN = "SECRET_FORBIDDEN", "error", "Key Vault refuses the app's identity", "Grant it Key Vault Secrets User on the vault (or open the firewall), then run slipway retry AGENT."
    NOT_AN_IMAGE = "NOT_AN_IMAGE", "info", "the push is a chart, a signature or another artifact, not an image", "Push it to a repository that no agent follows, or exclude its tags in agents.yaml."
    WRONG_PLATFORM = "WRONG_PLATFORM", "error", "the image does not run on linux/amd64", "Build for linux/amd64 and push: docker buildx build --platform linux/amd64 --push --tag REGISTRY/REPOSITORY:TAG ."
    TAG_UNKNOWN = "TAG_UNKNOWN", "warning", "the registry does not have the tag that an event named", "Push the image under an allowed tag; if nobody deleted the tag, look for who may write events."
    IMAGE_GONE = "IMAGE_GONE", "error", "the registry does not have the digest", "Find what deletes images from the registry, then push a new build: docker buildx build --platform linux/amd64 --push --tag REGISTRY/REPOSITORY:TAG ."
    IMAGE_UNREADABLE = "IMAGE_UNREADABLE", "error", "the registry did not describe the image, and inspect is required", "Grant the app's identity read access to the registry, or set inspect: best-effort; then run slipway retry AGENT."
    ENV_AMBIGUOUS = "ENV_AMBIGUOUS", "error", "two tagged secrets set the same variable", "Remove the tag env from one of them, then run slipway retry AGENT."
    ENV_NAME_INVALID = "ENV_NAME_INVALID", "error", "the tag env of a secret is not a variable's name that may be set", "Correct the tag env of the secret that the detail names, then run slipway retry AGENT."
    ENV_CLASH = "ENV_CLASH", "error", "env and a tagged secret set the same variable", "Remove the variable from env and deploy, or remove the tag and run slipway retry AGENT."
    TOOLBOX_REFUSED = "TOOLBOX_REFUSED", "error", "Foundry refused the tools", "Correct tools in agents.yaml as the detail says and deploy; the release follows. If the cause was in Foundry, run slipway retry AGENT."
    VERSION_LIMIT = "VERSION_LIMIT", "error", "the agent has as many versions as it may have, and all must stay", "Loosen the setting in keep that the detail names, or raise keep.limit; deploy, then run slipway retry AGENT."
    CREATE_REFUSED = "CREATE_REFUSED", "error", "Foundry refused the definition", "Correct the agent in agents.yaml as the detail says and deploy; the release follows. If the cause was in Foundry, run slipway retry AGENT."
    ROUTE_REFUSED = "ROUTE_REFUSED", "error", "Foundry refused to move the traffic", "Remove the cause that the detail names, then run slipway retry AGENT."
    REQUEST_REFUSED = "REQUEST_REFUSED", "error", "a service refused a read", "Check FOUNDRY_PROJECT_ENDPOINT, the projects of agents.yaml and KEY_VAULT_URL, then run slipway retry AGENT."
    PREVIEW_REQUIRED = "PREVIEW_REQUIRED", "error", "Foundry refused a preview feature", "Remove the feature that the detail names from agents.yaml and deploy, or ask Microsoft to enable it and run slipway retry AGENT."
    FORBIDDEN = "FORBIDDEN", "error", "the app's identity lacks a permission", "Grant it Foundry User on the project, then run slipway retry AGENT."
    OTHER_TENANT = "OTHER_TENANT", "error", "the project belongs to another tenant than the app", "Move the agent to a project of the app's tenant, or correct the endpoint in agents.yaml; deploy, then run slipway retry AGENT."
    IMAGE_ERROR = "IMAGE_ERROR", "error", "Foundry cannot pull or start the image", "Grant the project's identity AcrPull or Repository Reader, enable ARM token authentication on the registry, build for linux/amd64; then run slipway retry AGENT."
    CODE_ERROR = "CODE_ERROR", "error", "Foundry cannot run uploaded code, which Slipway never sends", "Find what else deploys to the agent, then run slipway retry AGENT."
    PROVISIONING_ERROR = "PROVISIONING_ERROR", "error", "Foundry could not provision the version", "Run slipway retry AGENT; if it fails again, ask Microsoft support with the detail."
    PROVISIONING_FAILED = "PROVISIONING_FAILED", "error", "the version failed with an unknown code", "Remove the cause that the detail names, then run slipway retry AGENT."
    CAPABILITY_HOST_MISSING = "CAPABILITY_HOST_MISSING", "error", "the account has no capability host", "Create one with public hosting, or use a project made after mid-2026; then run slipway retry AGENT."
    PROTOCOL_NOT_SUPPORTED = "PROTOCOL_NOT_SUPPORTED", "error", "Foundry does not support the protocol version", "Set protocols: {responses: \"2.0.0\"}, or the version of the image's library, and deploy; the release follows. If the cause was in Foundry, run slipway retry AGENT."
    REGISTRY_UNREACHABLE = "REGISTRY_UNREACHABLE", "error", "Foundry cannot find or reach the registry", "Check the login server, its network rules and the project's registry connection, then run slipway retry AGENT."
    SUBSCRIPTION_NOT_REGISTERED = "SUBSCRIPTION_NOT_REGISTERED", "error", "a resource provider is not registered", "Register Microsoft.App and Microsoft.CognitiveServices on the subscription, then run slipway retry AGENT."
    WOULD_RELEASE = "WOULD_RELEASE", "info", "mode is notify; in another mode this would be released", "Set release.mode to auto or manual and deploy, to release it."
    VERIFY_FAILED = "VERIFY_FAILED", "error", "the version did not give the expected answer, and got no traffic", "Fix the image and push the new build, or correct the probe, deploy and run slipway retry AGENT."
    VERIFY_FORBIDDEN = "VERIFY_FORBIDDEN", "error", "the app's identity may not call the agent", "Grant it Foundry User on the project, then run slipway retry AGENT."
    VERIFY_INCONCLUSIVE = "VERIFY_INCONCLUSIVE", "error", "a quota or the network prevented the verification; the version got no traffic", "Read the detail, raise the quota of sessions or wait, then run slipway retry AGENT."
    EVALUATION_RUNNING = "EVALUATION_RUNNING", "info", "the version answers the dataset of release.evaluate", "Nothing to do; the scores decide."
    EVALUATION_PASSED = "EVALUATION_PASSED", "info", "the version answered the dataset well enough", "Nothing to do."
    EVALUATION_FAILED = "EVALUATION_FAILED", "error", "the version answered the dataset worse than release.evaluate asks, and got no traffic", "Fix the image and push the new build; or correct the dataset or the threshold, deploy and run slipway retry AGENT."
    EVALUATION_INCONCLUSIVE = "EVALUATION_INCONCLUSIVE", "error", "the version could not be evaluated, and got no traffic", "Nothing to do at first: it is tried three times. If it ends so, remove the cause that the detail names and run slipway retry AGENT."
    CHECK_FAILED = "CHECK_FAILED", "error", "the live version did not give the expected answer, and the traffic moved back", "Fix the image and push the new build; the failed one is held. If the check was wrong, correct it, deploy and run slipway retry AGENT."
    CHECK_FAILED_NO_ROLLBACK_VERSION = "CHECK_FAILED_NO_ROLLBACK_VERSION", "error", "the live version did not give the expected answer, and no good version is left", "Push an image that works now, or run slipway rollback AGENT --to VERSION --why REASON."
    CHECK_INCONCLUSIVE = "CHECK_INCONCLUSIVE", "warning", "the live version could not be checked; it stays live", "Call the agent; if it works, run slipway retry AGENT, if not, slipway rollback AGENT --why REASON."
    ROLLBACK_REFUSED = "ROLLBACK_REFUSED", "error", "Foundry refused to move the traffic back from a version that failed its check", "Push an image that works now, or run slipway rollback AGENT --why REASON."
    HELD = "HELD", "warning", "the desired image or definition is held", "Push a fixed build, or run slipway unhold AGENT."
    # Waits and stops
    APPROVAL_WAITING = "APPROVAL_WAITING", "warning", "mode is manual, and the version waits for approval", "Run slipway approve AGENT --version CANDIDATE, or push a newer image."
    WINDOW_CLOSED = "WINDOW_CLOSED", "info", "the version is proven, and waits until release.windows opens", "Nothing to do; the traffic moves when the window opens. To let the version go live now, run slipway approve AGENT --version CANDIDATE."
    PAUSED = "PAUSED", "info", "a person paused the agent", "Run slipway resume AGENT."
    ROLLED_BACK_BY = "ROLLED_BACK_BY", "warning", "a person rolled the agent back, and a changed agents.yaml waits", "Push a newer image, or run slipway retry AGENT to release the desired image with today's agents.yaml."
    NO_PUSH_YET = "NO_PUSH_YET", "info", "the agent has no push yet", "Push an image to its repository."
    STAGE_WAITING = "STAGE_WAITING", "info", "the image is good in the stage before, but not for long enough", "Nothing to do; the release begins by itself. To send it past the stage: slipway release AGENT --image REF --stage WHY."
    STAGE_CANCELLED = "STAGE_CANCELLED", "warning", "an image that waited for its stage is not the good one there any more", "Nothing to do; the next good image takes its place. The detail says why."
    STAGE_NOT_PASSED = "STAGE_NOT_PASSED", "warning", "an image has not passed the stage before, so it is not released here", "Nothing to do; it is released here once it has passed. To send it past the stage: slipway release AGENT --image REF --stage WHY."
    STAGE_SKIPPED_BY_OPERATOR = "STAGE_SKIPPED_BY_OPERATOR", "warning", "an operator sent an image past the stage before", "Nothing to do; the release begins."
    NOT_DUE = "NOT_DUE", "info", "min_push_age or debounce is not over", "Nothing to do; the release continues by itself."
    IMAGE_LAGS = "IMAGE_LAGS", "info", "the registry does not have the pushed image yet", "Nothing to do; Slipway asks again until release.readable_within is over."
    SECRET_LAGS = "SECRET_LAGS", "warning", "Key Vault does not give the version of a secret yet that its event named", "Nothing to do at first: Slipway reads again. If it ends so, check the secret's versions and run slipway retry AGENT."
    TIME_BUDGET_SPENT = "TIME_BUDGET_SPENT", "info", "the release takes longer than one message may", "Nothing to do; the release continues by itself."
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE", "warning", "a service failed or throttled seven times in a row", "Nothing to do; it is tried again. To try at once, run slipway retry AGENT. If it lasts, see Azure's status page."
    LEASE_TAKEN = "LEASE_TAKEN", "info", "another instance works on the agent's release", "Nothing to do; that instance continues."
    LEASE_LOST = "LEASE_LOST", "warning", "this instance was too slow and stopped", "Nothing to do; the release is resumed."
    HEARTBEAT = "HEARTBEAT", "info", "the timer ran", "Nothing to do; an alert fires when it stops."
    MISSED_PUSH_FOUND = "MISSED_PUSH_FOUND", "warning", "the registry has a newer push whose event never came", "Nothing to do; the release follows. Check the event subscription."
    TAG_MOVED = "TAG_MOVED", "info", "the tag names another digest now", "Nothing to do; the digest that the registry names is desired."
    MISSED_ROTATION_FOUND = "MISSED_ROTATION_FOUND", "warning", "Key Vault has a newer version of a secret whose event never came", "Nothing to do; the release follows. Check the vault's event subscription."
    ROTATION_CHECK_FAILED = "ROTATION_CHECK_FAILED", "warning", "Key Vault did not list the versions of a secret", "Grant the app's identity Key Vault Secrets User on the vault, and check it with slipway doctor; the next daily check tries again."
    SECRET_EXPIRES_SOON = "SECRET_EXPIRES_SOON", "warning", "a secret of an agent expires soon", "Write a new version, whose event starts the release: az keyvault secret set --vault-name VAULT --name SECRET --file FILE"
    MISSED_PUSH_CHECK_FAILED = "MISSED_PUSH_CHECK_FAILED", "warning", "the registry did not list a repository", "Grant the app's identity read access to the registry, and check it with slipway doctor; the next daily check tries again."
    OUTCOME_NOT_PUBLISHED = "OUTCOME_NOT_PUBLISHED", "warning", "the outcome topic did not accept an event", "Check OUTCOME_TOPIC_ENDPOINT, and that the app's identity is EventGrid Data Sender on it; the release is not affected."
    COMMIT_STATUS_SET = "COMMIT_STATUS_SET", "info", "the deployment of the image's commit on GitHub shows the release", "Nothing to do."
    COMMIT_STATUS_WAITING = "COMMIT_STATUS_WAITING", "warning", "the status of a commit cannot be set on GitHub now", "Nothing to do for GitHub itself: it is tried for 12 hours. If the detail names the secret of the App's key, correct it in Key Vault."
    COMMIT_STATUS_REFUSED = "COMMIT_STATUS_REFUSED", "warning", "the status of a commit was refused", "Correct what the detail names: KEY_UNREADABLE or 401 the App's id or key, 403 or 422 while signing in its right Deployments, 404 its installation on the repository, 422 for a deployment the label revision, 301 the label source. Later releases are shown again."
    COMMIT_STATUS_LOST = "COMMIT_STATUS_LOST", "warning", "the status of a commit was given up", "Nothing to do; the release is not affected, and later releases are shown again."
    COMMIT_UNKNOWN = "COMMIT_UNKNOWN", "info", "the image's labels name no commit", "Build with the labels org.opencontainers.image.source and org.opencontainers.image.revision, if the commit should show its releases."
    REPOSITORY_NOT_ALLOWED = "REPOSITORY_NOT_ALLOWED", "info", "github.repositories does not allow the repository that the image's label names", "Add it to github.repositories in agents.yaml and deploy, if its commits should show their releases."
    DRIFT = "DRIFT", "warning", "somebody changed the agent after its release", "Leave the change, or run slipway retry AGENT to give the routing back to Slipway."
    DRIFT_UNKNOWN = "DRIFT_UNKNOWN", "warning", "the agent could not be compared with its release", "Nothing to do; the next run compares again."
    POISONED = "POISONED", "error", "a message failed five times", "Find the cause of the failures in Application Insights and remove it, then run slipway replay --poisoned-since 24h."
    POISON_QUEUE_STUCK = "POISON_QUEUE_STUCK", "error", "no function takes the messages of a poison queue", "Disable the queue's function, peek at the messages ten minutes later, send them with slipway replay FILE and clear the queue."
    # Prune
    PRUNED_STALE = "PRUNED_STALE", "info", "nothing needs the version", "Nothing to do."
    PRUNED_FAILED = "PRUNED_FAILED", "info", "the version had failed", "Nothing to do."
    PRUNE_STOPPED = "PRUNE_STOPPED", "warning", "pruning of the agent stopped early", "Nothing to do; the next run makes a new plan."
    SESSIONS_ACTIVE = "SESSIONS_ACTIVE", "info", "sessions are bound to the version", "Nothing to do; the next run tries again."
    KEPT_LIVE = "KEPT_LIVE", "info", "traffic goes to the version", "Nothing to do."
    KEPT_IN_RELEASE = "KEPT_IN_RELEASE", "info", "a release or a rollback needs the version", "Nothing to do."
    KEPT_DRAFT = "KEPT_DRAFT", "info", "a person made the draft", "Delete it in Foundry, if nobody needs it."
    KEPT_UNSETTLED = "KEPT_UNSETTLED", "info", "Foundry is creating or deleting the version", "Nothing to do."
    KEPT_UNDATED = "KEPT_UNDATED", "info", "Foundry does not say when the version was created", "Delete it in Foundry, if nobody needs it."
    KEPT_FOREIGN = "KEPT_FOREIGN", "info", "Slipway did not create the version", "Set keep.foreign: false to prune such versions too."
    KEPT_RECENT = "KEPT_RECENT", "info", "the version is one of keep.newest", "Lower keep.newest to keep fewer."
    KEPT_LAST = "KEPT_LAST", "info", "the traffic goes to no existing version, and this is the newest", "Run slipway retry AGENT, if the agent should run."
    KEPT_YOUNG = "KEPT_YOUNG", "info", "the version is younger than keep.min_age or keep.failed", "Nothing to do."
    KEPT_TAGGED = "KEPT_TAGGED", "info", "the version's tag matches keep.tags", "Nothing to do."
    KEPT_FOR_NEXT_RUN = "KEPT_FOR_NEXT_RUN", "info", "keep.max_deletes is reached", "Nothing to do; the next run continues."
    VERSION_LIMIT_NEAR = "VERSION_LIMIT_NEAR", "warning", "the agent has more than 80 % of the versions that it may have", "Loosen keep and run slipway prune AGENT, or raise keep.limit, before a release ends with VERSION_LIMIT."
    IMAGES_IN_USE = "IMAGES_IN_USE", "info", "the images that the remaining versions run", "Keep them in the registry; a version without its image cannot start again."
    AGENT_NOT_MANAGED = "AGENT_NOT_MANAGED", "warning", "an agent that Slipway released serves, but agents.yaml does not name it", "Name it in agents.yaml again, or delete it in Foundry."
    IMAGES_IN_USE_UNKNOWN = "IMAGES_IN_USE_UNKNOWN", "warning", "the images that must stay cannot be listed", "Purge nothing by an older list; grant the app read access to the registry, then run slipway digests."
    CONFIG_CHANGED = "CONFIG_CHANGED", "info", "a deployment of agents.yaml changed what the agent runs", "Nothing to do; the release follows after release.debounce."
    # fmt: on


BUILD = "docker buildx build --platform linux/amd64 --push --tag REGISTRY/REPOSITORY:TAG ."
RETRY = "slipway retry AGENT"
HELP_BY_DETAIL = {
    "IMAGE_ERROR": (
        (
            r"(?i)platform|architecture|exec format|no matching manifest|arm64|InvalidContainerImage",
            f"Build for linux/amd64 and push: {BUILD}",
            BUILD,
        ),
        (
            r"(?i)pull|unauthori[sz]ed|forbidden|denied|manifest|not ?found",
            f"Grant the project's identity AcrPull or Repository Reader (see slipway doctor); then run {RETRY}.",
            RETRY,
        ),
        (
            r"(?i)\bexit|crash|\bstart|readiness|entry ?point|out of memory|oom",
            f"Run the image on your machine, fix what stops it, and push the new build; or mend its variables, then run {RETRY}.",
            RETRY,
        ),
    ),
}
"""By the code of a reason: words of its detail, and the help and the command that go with them."""

SERVICE_CODES = {
    "ImageError": Reason.IMAGE_ERROR,
    **dict.fromkeys(("image_pull_failed", "InvalidAcrPullCredentials", "UnauthorizedAcrPull"), Reason.IMAGE_ERROR),
    **dict.fromkeys(("AcrImageNotFound", "ImagePullBackOff", "InvalidContainerImage"), Reason.IMAGE_ERROR),
    "RegistryNotFound": Reason.REGISTRY_UNREACHABLE,
    "SubscriptionIsNotRegistered": Reason.SUBSCRIPTION_NOT_REGISTERED,
    "CodeError": Reason.CODE_ERROR,
    "ProvisioningError": Reason.PROVISIONING_ERROR,
    "CapabilityHostNotFound": Reason.CAPABILITY_HOST_MISSING,
    "ProtocolVersionNotSupported": Reason.PROTOCOL_NOT_SUPPORTED,
}
"""Codes of a failed version: Foundry's own, those of its documentation and those of the seed document."""


def _filled(text: str, agent: str | None, image: str, version: str) -> str:
    """Replace the words that stand for a name; a name that a shell may read as more than a word stays out."""
    names = {"AGENT": agent or "", "REPOSITORY:TAG": image, "CANDIDATE": version}
    known = {word: name for word, name in names.items() if SAFE_IN_A_COMMAND.fullmatch(name)}
    return re.sub(rf"\b({'|'.join(known)})\b", lambda word: known[word[0]], text) if known else text


def from_service(code: str) -> Reason:
    """The reason for a failed version's code; Foundry may send codes that are unknown here."""
    return SERVICE_CODES.get(code, Reason.PROVISIONING_FAILED)
