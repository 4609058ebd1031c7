"""What to do next for one agent: the product on one screen.

``next_step`` asks the rows in order; the first that has something to say decides. Rows read the world as if all of it
were known; where one asks for what nobody read yet, the answer is to look, and the table is asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core import candidate, finish, room, wish
from core.rules import AgentRule
from core.steps import Step
from core.world import Unread, World

Row = Callable[[World, AgentRule, datetime], Step | None]

ROWS: tuple[Row, ...] = (
    wish.agent_deleted,  # 1
    finish.noted_by_another_clock,  # 2
    finish.unfinished_act,  # 2
    finish.own_change_not_visible,  # 3
    finish.promoted,  # 4
    wish.paused,  # 5
    wish.nothing_desired,  # 6
    wish.routing_changed,  # 7
    wish.ended_stays_ended,  # 8
    wish.held_back,  # 9
    wish.unresolvable,  # 10
    wish.already_live,  # 11
    wish.not_to_release,  # 12
    wish.pin,  # 13, 14
    wish.begin,  # 13, 15
    candidate.adopt,  # 16
    room.make_room,  # 17
    candidate.create,  # 18
    candidate.gone,  # 19
    candidate.creating,  # 20
    candidate.failed,  # 21
    candidate.confirm,  # 22
    candidate.held_meanwhile,  # 23
    candidate.unproven,  # 23
    candidate.unapproved,  # 24
    candidate.serves,  # 25
    candidate.promote,  # 26
)


def next_step(world: World, rule: AgentRule, now: datetime) -> Step:
    """The next step for the agent; the same world, rule and time always give the same one."""
    try:
        return next(step for row in ROWS if (step := row(world, rule, now)) is not None)
    except Unread as unread:
        return unread.look
