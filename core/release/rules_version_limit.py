"""Room for one more version: the row of the release table that prunes before it creates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.model import Routing
from core.prune.retention import Delete, PruneDecision, near_limit, plan_prune
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, PruneForRoom
from core.release.inputs import DecisionInput


def make_room(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Row 17: above 80 % of ``keep.limit`` what may go goes first; at the limit nothing is created."""
    if inputs.release.candidate is not None:
        return None
    count, tried = len(inputs.version_list), inputs.observed.pruned
    if not near_limit(count, spec.keep):
        return None
    routing = inputs.agent.routing if inputs.agent else Routing()
    lines = plan_prune(inputs.version_list, routing, inputs.release, spec.keep, now, tried)
    full = count >= spec.keep.limit
    going = tuple(line for line in lines if isinstance(line, Delete))
    if going and (full or not tried):
        return PruneForRoom(going)
    if not full:
        return None
    detail = f"{count} of {spec.keep.limit} versions: {what_holds(lines)}"
    return EndRelease(
        Reason.VERSION_LIMIT, transitions.ended(inputs.release, Reason.VERSION_LIMIT, now, detail), detail
    )


def what_holds(lines: Iterable[PruneDecision]) -> str:
    """Why each version stays, the reasons in the order of the oldest: ``KEPT_YOUNG 3-59, KEPT_LIVE 60``."""
    found: dict[Reason, list[int]] = defaultdict(list)
    for line in lines:
        found[line.reason].append(int(line.version.number))
    return ", ".join(f"{reason} {_spans(numbers)}" for reason, numbers in found.items())


def _spans(numbers: list[int]) -> str:
    """Numbers in ascending order, with neighbours as spans."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    return " ".join("-".join(map(str, span)) for span in spans)
