"""The smoke check as pure functions: its event, the answer in the journal, and the judgement of both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.agents_file.spec import Agents
from infra.hooks.findings import Finding, error, note, ok

FUNCTION = re.compile(r'@app\.function_name\("(\w+)"\)')


def functions(app: Path) -> set[str]:
    """The names of the functions in function_app.py."""
    return set(FUNCTION.findall(app.read_text()))


def event(agents: Agents, registry: str, event_id: str, now: datetime) -> dict[str, Any]:
    """A dry-run push event for the repository of the first agent; no image was pushed."""
    repository = next(iter(agents.agents.values())).repository
    target = {"repository": repository, "tag": "slipway-smoke", "digest": f"sha256:{'0' * 64}"}
    return {
        "specversion": "1.0",
        "id": event_id,
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "source": registry,
        "subject": f"{repository}:slipway-smoke",
        "time": now.isoformat(),
        "data": {"action": "push", "timestamp": now.isoformat(), "target": target, "dry_run": True},
    }


def answers(journal: Sequence[Mapping[str, Any]], event_id: str) -> list[Mapping[str, Any]]:
    """The journal lines that answer the event."""
    return [line for line in journal if line.get("event") == event_id]


def indexed(listed: Sequence[Mapping[str, Any]], expected: set[str]) -> Finding:
    """Whether the host found every function."""
    names = {function["name"].rpartition("/")[2] for function in listed}
    if not names:
        help_ = (
            "the build may have used another Python than PYTHON_VERSION: its packages then fail to import\n"
            "the build's log names it (portal: Deployment Center); then: azd env set PYTHON_VERSION 3.11, azd up\n"
            "otherwise read the exceptions in Application Insights: a failed import hides every function"
        )
        return error("functions", f"none of {', '.join(sorted(expected))} came up", help_)
    if missing := sorted(expected - names):
        help_ = (
            "read the build's log and the exceptions in Application Insights: a failed import hides every function\n"
            "if the log shows another Python than PYTHON_VERSION: azd env set PYTHON_VERSION 3.11, then azd up"
        )
        return error("functions", f"{', '.join(missing)} did not come up", help_)
    return ok("functions", f"{len(expected)} indexed")


def judge(
    lines: Sequence[Mapping[str, Any]], before: Mapping[str, str], after: Mapping[str, str], seconds: float
) -> Iterator[Finding]:
    """Each answer must be a dry run, and no desired state may change meanwhile."""
    if not lines:
        help_ = (
            "read the exceptions in Application Insights\n"
            "were the roles assigned some minutes ago, and is a message in the queue events-poison?"
        )
        yield error("smoke", f"the event was not answered in the journal within {seconds:.0f} s", help_)
        return
    for line in lines:
        agent = line.get("agent", "no agent")
        if line.get("dry_run") is True or line.get("reason") == "NOT_FOLLOWED":
            yield ok("smoke", f"{agent}: {line['reason']} {line.get('detail', '')}".rstrip())
        else:
            decided = f"{agent}: {line['reason']} was decided, and not as a dry run"
            yield error("smoke", decided, "the deployed app is not this checkout: azd deploy")
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        names = ", ".join(changed)
        yield note(
            "smoke", f"{names} changed meanwhile", "probably a real push; the smoke check itself changes nothing"
        )
    else:
        yield ok("smoke", "no desired state changed")
