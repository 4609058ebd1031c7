"""What to do next for one agent: the product on one screen.

``next_step`` asks the rows in order; the first that has something to say decides. Rows read the world as if all of it
were known; where one asks for what nobody read yet, the answer is to look, and the table is asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.release import rules_candidate, rules_pending_write, rules_start, rules_traffic, rules_version_limit
from core.release.actions import Action
from core.release.gates import approval, confirm, verify
from core.release.inputs import DecisionInput, NeedsReadError

Row = Callable[[DecisionInput, AgentSpec, datetime], Action | None]

ROWS: tuple[Row, ...] = (
    rules_start.agent_deleted,  # 1
    rules_pending_write.write_from_the_future,  # 2
    rules_pending_write.unfinished_write,  # 2
    rules_traffic.own_change_not_visible,  # 3
    rules_traffic.finish_promoted,  # 4
    rules_start.paused,  # 5
    rules_start.nothing_desired,  # 6
    rules_start.routing_changed_outside,  # 7
    rules_start.ended_stays_ended,  # 8
    rules_start.image_held,  # 9
    rules_start.definition_unresolved,  # 10
    rules_start.already_live,  # 11
    rules_start.notify_only_or_disabled,  # 12
    rules_start.pin_traffic,  # 13, 14
    rules_start.start_release,  # 13, 15
    rules_candidate.adopt_existing_version,  # 16
    rules_version_limit.make_room,  # 17
    rules_candidate.create_version,  # 18
    rules_candidate.candidate_gone,  # 19
    rules_candidate.still_provisioning,  # 20
    rules_candidate.provisioning_failed,  # 21
    confirm.confirm,  # 22
    rules_candidate.held_meanwhile,  # 23
    verify.verify,  # 23
    approval.approval,  # 24
    rules_traffic.already_routed,  # 25
    rules_traffic.move_traffic,  # 26
)


def next_action(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action:
    """The next step for the agent; the same world, rule and time always give the same one."""
    try:
        return next(step for row in ROWS if (step := row(inputs, spec, now)) is not None)
    except NeedsReadError as unread:
        return unread.action
