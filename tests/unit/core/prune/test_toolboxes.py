"""Which toolbox versions pruning deletes."""

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


def toolbox_version(number: int, at: datetime = OLD, *, ours: bool = True, default: bool = False) -> ToolboxVersion:
    return ToolboxVersion(str(number), at, ours, default)


def user(toolbox: str | None) -> Version:
    metadata = {TOOLBOX: toolbox} if toolbox else {}
    return Version("1", Status.ACTIVE, OLD, "image", frozenset({TOOLBOX_ENDPOINT}), metadata)


@pytest.mark.parametrize(
    ("version", "kept", "reason"),
    [
        pytest.param(toolbox_version(1), [], Reason.PRUNED_STALE, id="not used"),
        pytest.param(toolbox_version(1), [user("1")], Reason.KEPT_IN_RELEASE, id="used by a version that stays"),
        pytest.param(toolbox_version(1), [user("2")], Reason.PRUNED_STALE, id="another version is used"),
        pytest.param(toolbox_version(1), [user(None)], Reason.KEPT_IN_RELEASE, id="used by an unknown version"),
        pytest.param(toolbox_version(1, default=True), [], Reason.KEPT_LIVE, id="the default"),
        pytest.param(toolbox_version(1, ours=False), [], Reason.KEPT_FOREIGN, id="foreign"),
        pytest.param(toolbox_version(1, UNKNOWN_TIME), [], Reason.KEPT_UNDATED, id="no date"),
        pytest.param(
            toolbox_version(1, NOW - timedelta(minutes=59)), [], Reason.KEPT_YOUNG, id="may be about to be used"
        ),
        pytest.param(toolbox_version(1, NOW - timedelta(hours=1)), [], Reason.PRUNED_STALE, id="never used"),
    ],
)
def test_a_toolbox_version_is_kept_or_deleted_for_one_reason(
    version: ToolboxVersion, kept: list[Version], reason: Reason
) -> None:
    decisions = plan_toolbox([toolbox_version(9), version], kept, KEEP, NOW)
    assert [(decision.version, decision.reason) for decision in decisions] == [
        ("1", reason),
        ("9", Reason.KEPT_IN_RELEASE if kept and TOOLBOX not in kept[0].metadata else Reason.KEPT_LIVE),
    ]
    assert [decision.deletes for decision in decisions] == [reason is Reason.PRUNED_STALE, False]


def test_an_agents_min_age_counts_for_its_toolbox() -> None:
    decisions = plan_toolbox([toolbox_version(1, NOW - timedelta(days=1)), toolbox_version(2)], [], KeepSpec(), NOW)
    assert decisions[0].reason is Reason.KEPT_YOUNG
