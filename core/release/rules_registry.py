"""Decides what to do where the registry contradicts the desired push: its event was late, stale, early or wrong.

``inspect: never`` leaves the registry out. Newer and moved tags never replace what an operator chose.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import check_newer
from core.definition import UnresolvedDefinition
from core.foreign_text import as_came
from core.intake.registry_check import find_correction, is_fresh, newest_allowed_push, next_registry_read
from core.model import Push, Version
from core.reasons import Reason, from_service
from core.release import transitions
from core.release.actions import Action, Read, ReplaceDesiredPush, Requeue, UpdateState
from core.release.inputs import DecisionInput, push_to_run, rollback_version
from core.state.desired import DesiredState
from core.state.release import ReleaseState

NOT_DEPLOYABLE = frozenset({Reason.NOT_AN_IMAGE, Reason.WRONG_PLATFORM})
"""What no later read of the same digest changes."""
PULL_RETRY_DELAY = timedelta(seconds=30)
"""After the version was created."""
MAY_LAG = re.compile(r"manifest|not.?found|unknown|does not exist", re.IGNORECASE)
STAYS = re.compile(r"exit|start|crash|ended|authori|right|denied|forbid|permission|credential|acrpull", re.IGNORECASE)
"""ImageError also stands for a container that stops, and for a missing role: those end the same way again."""


def is_checked(desired: DesiredState, spec: AgentSpec) -> bool:
    """True where newer and moved tags count: what an operator, a rollback or a stage chose stands."""
    follows_pushes = not spec.place.upstream and spec.inspect != "never"
    return follows_pushes and desired.newest_push is None and rollback_version(desired) is None


def only_took_a_push_back(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The newest generation only takes back a push that never ran: an ended or open release answers it as it is.

    Unless another push came meanwhile, and its event lost against the one that was taken back.
    """
    desired, release = inputs.desired, inputs.release
    if not desired.asked_generation <= release.observed_generation < desired.generation:
        return None
    if is_checked(desired, spec) and (action := inputs.needs(Read.RECENT_TAGS) or correction(inputs, spec)):
        return action
    return UpdateState(Reason.BEGIN, transitions.continued(release, desired), already_reported=True)


def registry_may_lag(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """A fresh push was set aside because its tag names an older digest: ask again until that cannot be a lag."""
    due = lag_read_due(inputs.desired, spec, now)
    if due is None or inputs.has_pending or inputs.release.is_open:
        return None
    return inputs.needs(Read.RECENT_TAGS) or correction(inputs, spec) or Requeue(Reason.IMAGE_LAGS, due)


def image_not_readable_yet(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The registry does not have a fresh image yet, since replicas and caches lag: ask again, or take a newer push."""
    push = _push_to_check(inputs, spec, now)
    if push is None:
        return None
    if needed := inputs.needs(Read.RECENT_TAGS, Read.DESIRED_DEFINITION):
        return needed
    if not is_lagging(inputs, spec, now):
        return None
    found = correction(inputs, spec) or _older_push(inputs, spec)
    if found is not None and found.push is not None and _is_first(found.push, inputs, spec):
        return found
    return Requeue(Reason.IMAGE_LAGS, next_registry_read(push, spec, now))


def registry_knows_better(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The tag names another digest now, or a newer tag is allowed."""
    if not inputs.has_pending or not is_checked(inputs.desired, spec):
        return None
    return inputs.needs(Read.RECENT_TAGS) or correction(inputs, spec)


def push_rejected(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """The desired push cannot be deployed: it leaves the desired state, and displaces nothing.

    An image that is gone is rejected only before its release; a version that was good proves that its image runs.
    """
    push, desired, good = _push_to_check(inputs, spec, now), inputs.desired, inputs.release.last_good
    if push is None or not push.is_same(desired.push):
        return None
    if needed := inputs.needs(Read.DESIRED_DEFINITION):
        return needed
    never_ran = desired.push_generation > inputs.release.observed_generation
    definition = inputs.observed.desired_definition
    rejecting = NOT_DEPLOYABLE | ({Reason.IMAGE_GONE} if never_ran else set())
    rejecting = frozenset() if good is not None and good.push.digest == push.digest else rejecting
    if isinstance(definition, UnresolvedDefinition) and definition.reason in rejecting:
        return ReplaceDesiredPush(definition.reason, definition.detail, desired.generation)
    if not _tag_is_unknown(inputs, spec):
        return None
    detail = f"{push.repository} has no tag {push.tag}"
    return ReplaceDesiredPush(Reason.TAG_UNKNOWN, detail, desired.generation)


def failed_pull(release: ReleaseState, version: Version, spec: AgentSpec, now: datetime) -> Action | None:
    """Foundry could not pull an image that was just pushed: its replica of the registry may lag, so try once more."""
    failure, push = version.failure, release.push
    if release.image_retried or failure is None or push is None or from_service(failure.code) is not Reason.IMAGE_ERROR:
        return None
    text = f"{as_came(failure.code)} {as_came(failure.message)}"
    may_lag = MAY_LAG.search(text) is not None or STAYS.search(text) is None
    if not may_lag or spec.inspect == "never" or not is_fresh(push, spec, version.created_at):
        return None
    again_at = min(version.created_at + PULL_RETRY_DELAY, push.pushed_at + spec.release.readable_within)
    if now < again_at:
        return Requeue(Reason.IMAGE_LAGS, again_at)
    return UpdateState(Reason.IMAGE_LAGS, transitions.create_again(release))


def is_lagging(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> bool:
    """True where the registry was asked for a fresh image, and does not have it, or not its tag."""
    definition = inputs.observed.desired_definition
    is_read = Read.DESIRED_DEFINITION in inputs.observed.reads
    missing = is_read and isinstance(definition, UnresolvedDefinition) and definition.reason is Reason.IMAGE_GONE
    push = push_to_run(inputs.desired, inputs.release, now)
    missing = missing or (push is not None and push.is_same(inputs.desired.push) and _tag_is_unknown(inputs, spec))
    return inputs.has_pending and missing and push is not None and is_fresh(push, spec, now)


def lag_read_due(desired: DesiredState, spec: AgentSpec, now: datetime) -> datetime | None:
    """When a release that ended must ask the registry again for a push that was set aside; None where it need not."""
    push = desired.unconfirmed
    waits = push is not None and is_fresh(push, spec, now) and is_checked(desired, spec)
    return next_registry_read(push, spec, now) if waits and push is not None else None


def _push_to_check(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Push | None:
    """The push whose image the next release needs; None where nothing is created, or the registry is left out."""
    if not inputs.has_pending or spec.inspect == "never" or rollback_version(inputs.desired):
        return None
    return push_to_run(inputs.desired, inputs.release, now)


def _tag_is_unknown(inputs: DecisionInput, spec: AgentSpec) -> bool:
    """True where the registry has other tags of the repository, and not that of a push that never ran.

    An event may name any tag; a writer of events must not choose what the rules of agents.yaml leave out.
    """
    push, is_read = inputs.desired.push, Read.RECENT_TAGS in inputs.observed.reads
    tags = inputs.observed.recent_tags if is_read else None
    if push is None or not push.tag or not tags or not is_checked(inputs.desired, spec):
        return False
    asked = push.repository == spec.repository and inputs.desired.push_generation > inputs.release.observed_generation
    return asked and all(tag.tag != push.tag for tag in tags)


def _older_push(inputs: DecisionInput, spec: AgentSpec) -> ReplaceDesiredPush | None:
    """While a tag is unknown: the newest push that the registry has, if it is newer than what runs."""
    running, tags = inputs.release.push, inputs.observed.recent_tags or ()
    newest = newest_allowed_push(spec, tags, inputs.desired.rejected_digests)
    if newest is None or not _tag_is_unknown(inputs, spec) or check_newer(spec.tags, newest, running) is not None:
        return None
    detail = f"{newest.tag} is in the registry"
    return ReplaceDesiredPush(Reason.MISSED_PUSH_FOUND, detail, inputs.desired.generation, newest)


def _is_first(push: Push, inputs: DecisionInput, spec: AgentSpec) -> bool:
    """True where a push need not wait for the desired one, whose image or tag the registry does not have yet."""
    desired = inputs.desired.push
    return desired is None or push.pushed_at > desired.pushed_at or _tag_is_unknown(inputs, spec)


def correction(inputs: DecisionInput, spec: AgentSpec) -> ReplaceDesiredPush | None:
    """What the registry says, where that is not the desired push."""
    desired, tags = inputs.desired, inputs.observed.recent_tags
    if tags is None or not is_checked(desired, spec):
        return None
    found = find_correction(spec, desired, tags)
    return ReplaceDesiredPush(found.reason, found.detail, desired.generation, found.push) if found else None
