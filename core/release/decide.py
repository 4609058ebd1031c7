"""Decides the next action of one agent's release: the product on one screen.

``next_action`` asks the rules in order; the first one that returns an action decides. A rule that lacks something from
outside returns ``NeedsRead``: the loop reads it and asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.release import (
    rules_candidate,
    rules_follow,
    rules_pending_write,
    rules_registry,
    rules_secrets,
    rules_signature,
    rules_start,
    rules_traffic,
    rules_version_limit,
)
from core.release.actions import Action
from core.release.gates import approval, confirm, evaluate, stage, verify, window
from core.release.inputs import DecisionInput
from core.state.rollbacks import under_way_first

Rule = Callable[[DecisionInput, AgentSpec, datetime], Action | None]

RULES: tuple[Rule, ...] = (
    # what is under way is finished first
    rules_registry.only_took_a_push_back,
    rules_start.agent_deleted,
    rules_pending_write.clock_moved_back,
    rules_pending_write.unfinished_write,
    rules_traffic.own_change_not_visible,
    rules_traffic.finish_moved_traffic,
    # whether a newer change starts a release
    rules_start.paused,
    rules_start.push_old_enough,
    rules_registry.registry_may_lag,
    rules_start.not_due,
    rules_start.no_push_yet,
    rules_start.routing_changed_outside,
    rules_secrets.secret_starts,
    rules_start.nothing_pending,
    rules_registry.image_not_readable_yet,
    rules_registry.registry_knows_better,
    rules_registry.push_rejected,
    rules_signature.signature,
    rules_start.image_held,
    rules_secrets.secret_lags,
    rules_start.definition_unresolved,
    rules_start.already_live,
    rules_start.notify_only_or_disabled,
    rules_start.pin_traffic,
    rules_start.start_release,
    # one candidate, from nothing to active
    stage.stage,
    rules_candidate.adopt_existing_version,
    rules_version_limit.make_room,
    rules_candidate.create_version,
    rules_candidate.candidate_gone,
    rules_candidate.still_provisioning,
    rules_candidate.provisioning_failed,
    # the gates before the traffic moves; check is the gate after it
    confirm.confirm,
    rules_candidate.held_meanwhile,
    stage.withdrawn_meanwhile,
    verify.verify,
    evaluate.evaluate,
    approval.approval,
    rules_traffic.already_routed,
    window.window,
    rules_traffic.move_traffic,
)


def next_action(inputs: DecisionInput, spec: AgentSpec, now: datetime, rules: tuple[Rule, ...] = RULES) -> Action:
    """The next action for the agent; the same input, spec and time always give the same one."""
    inputs = replace(inputs, desired=under_way_first(inputs.desired, inputs.release))
    inputs = rules_follow.without_what_follows(inputs, spec, now)
    return next(action for rule in rules if (action := rule(inputs, spec, now)) is not None)
