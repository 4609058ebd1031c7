"""Prunes before a create where the agent is near its version limit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from core.agents_file.spec import AgentSpec
from core.definition import push_of_version
from core.model import Routing
from core.prune.retention import Delete, PruneDecision, near_limit, plan_prune, tagged_digests
from core.reasons import Reason
from core.release import transitions
from core.release.actions import Action, EndRelease, PruneForRoom, Read
from core.release.inputs import DecisionInput


def make_room(inputs: DecisionInput, spec: AgentSpec, now: datetime) -> Action | None:
    """Above 80 % of ``keep.limit`` stale versions are deleted first; at the limit nothing is created."""
    if inputs.release.candidate is not None:
        return None
    if needed := inputs.needs(Read.AGENT, Read.VERSION_LIST):
        return needed
    count, tried = len(inputs.version_list), inputs.observed.prune_results
    if not near_limit(count, spec.keep):
        return None
    routing = inputs.agent.routing if inputs.agent else Routing()
    decisions = plan_prune(inputs.version_list, routing, inputs.release, spec.keep, now, tried, _tagged(inputs, spec))
    deletions = tuple(decision for decision in decisions if isinstance(decision, Delete))
    if deletions and spec.keep.tags and (needed := inputs.needs(Read.ALL_TAGS)):
        return needed
    full = count >= spec.keep.limit
    if deletions and (full or not tried):
        return PruneForRoom(deletions)
    if not full:
        return None
    detail = f"{count} of {spec.keep.limit} versions: {kept_because(decisions)}"
    return EndRelease(
        Reason.VERSION_LIMIT, transitions.ended(inputs.release, Reason.VERSION_LIMIT, now, detail), detail
    )


def _tagged(inputs: DecisionInput, spec: AgentSpec) -> frozenset[str]:
    """The digests with a tag of ``keep.tags``: all that are known, where the registry does not list its tags."""
    observed, known = inputs.observed, inputs.desired.kept_tags
    if not spec.keep.tags:
        return frozenset()
    if Read.ALL_TAGS in observed.reads and observed.all_tags is None:
        return frozenset(push.digest for push in map(push_of_version, inputs.version_list) if push)
    return tagged_digests(spec.keep, known, observed.all_tags or ())


def kept_because(decisions: Iterable[PruneDecision]) -> str:
    """Why each version stays, such as ``KEPT_YOUNG 3-59, KEPT_LIVE 60``; reasons in the order of the oldest version."""
    numbers_by_reason: dict[Reason, list[int]] = defaultdict(list)
    for decision in decisions:
        numbers_by_reason[decision.reason].append(int(decision.version.number))
    return ", ".join(f"{reason} {_as_ranges(numbers)}" for reason, numbers in numbers_by_reason.items())


def _as_ranges(numbers: list[int]) -> str:
    """Ascending numbers, neighbours joined: ``3-5 9``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1] = [ranges[-1][0], number]
        else:
            ranges.append([number])
    return " ".join("-".join(map(str, bounds)) for bounds in ranges)
