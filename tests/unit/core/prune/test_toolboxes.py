"""Which toolbox versions may go."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from core.agents_file.spec import KeepSpec
from core.definition import TOOLBOX, TOOLBOX_ENDPOINT
from core.model import UNKNOWN_TIME, Status, Version
from core.prune.toolboxes import ToolboxVersion, plan_toolbox
from core.reasons import Reason
from tests.unit.core.prune.test_retention import NOW, OLD

KEEP = KeepSpec.model_validate({"min_age": "0s"})


def box(number: int, at: datetime = OLD, *, ours: bool = True, default: bool = False) -> ToolboxVersion:
    return ToolboxVersion(str(number), at, ours, default)


def user(toolbox: str | None) -> Version:
    metadata = {TOOLBOX: toolbox} if toolbox else {}
    return Version("1", Status.ACTIVE, OLD, "image", frozenset({TOOLBOX_ENDPOINT}), metadata)


@pytest.mark.parametrize(
    ("one", "kept", "reason"),
    [
        pytest.param(box(1), [], Reason.PRUNED_STALE, id="nothing names it"),
        pytest.param(box(1), [user("1")], Reason.KEPT_IN_RELEASE, id="a version that stays names it"),
        pytest.param(box(1), [user("2")], Reason.PRUNED_STALE, id="another is named"),
        pytest.param(box(1), [user(None)], Reason.KEPT_IN_RELEASE, id="a version that does not say what it uses"),
        pytest.param(box(1, default=True), [], Reason.KEPT_LIVE, id="the default"),
        pytest.param(box(1, ours=False), [], Reason.KEPT_FOREIGN, id="a person's"),
        pytest.param(box(1, UNKNOWN_TIME), [], Reason.KEPT_UNDATED, id="no date"),
        pytest.param(box(1, NOW - timedelta(minutes=59)), [], Reason.KEPT_YOUNG, id="its user may be on its way"),
        pytest.param(box(1, NOW - timedelta(hours=1)), [], Reason.PRUNED_STALE, id="its user never came"),
    ],
)
def test_a_toolbox_version_stays_or_goes_for_one_reason(
    one: ToolboxVersion, kept: list[Version], reason: Reason
) -> None:
    lines = plan_toolbox([box(9), one], kept, KEEP, NOW)
    assert [(line.version, line.reason) for line in lines] == [
        ("1", reason),
        ("9", Reason.KEPT_IN_RELEASE if kept and TOOLBOX not in kept[0].metadata else Reason.KEPT_LIVE),
    ]
    assert [line.deletes for line in lines] == [reason is Reason.PRUNED_STALE, False]


def test_an_agents_min_age_counts_for_its_toolbox() -> None:
    lines = plan_toolbox([box(1, NOW - timedelta(days=1)), box(2)], [], KeepSpec(), NOW)
    assert lines[0].reason is Reason.KEPT_YOUNG
