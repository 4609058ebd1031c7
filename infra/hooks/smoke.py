"""The smoke check's own facts: its event, how it is found in the journal, and what may not have changed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.agents_file.spec import Agents
from infra.hooks.findings import Finding, error, note, ok

FUNCTION = re.compile(r'@app\.function_name\("(\w+)"\)')


def functions(app: Path) -> set[str]:
    """The names that function_app.py gives its functions."""
    return set(FUNCTION.findall(app.read_text()))


def event(agents: Agents, registry: str, identity: str, now: datetime) -> dict[str, Any]:
    """A push that never was, to the first repository that an agent follows; it asks for a decision alone."""
    repository = next(iter(agents.agents.values())).repository
    target = {"repository": repository, "tag": "slipway-smoke", "digest": f"sha256:{'0' * 64}"}
    return {
        "specversion": "1.0",
        "id": identity,
        "type": "Microsoft.ContainerRegistry.ImagePushed",
        "source": registry,
        "subject": f"{repository}:slipway-smoke",
        "time": now.isoformat(),
        "data": {"action": "push", "timestamp": now.isoformat(), "target": target, "dry_run": True},
    }


def message(told: Mapping[str, Any]) -> str:
    """As Event Grid writes it to a storage queue."""
    return base64.b64encode(json.dumps(told).encode()).decode()


def answers(journal: str, identity: str) -> list[Mapping[str, Any]]:
    """The lines of a day's journal that answer the event; a line that is half written is not one yet."""
    whole = [line for line in journal.splitlines() if identity in line and line.endswith("}")]
    return [one for one in map(json.loads, whole) if one.get("event") == identity]


def indexed(listed: Sequence[Mapping[str, Any]], wanted: set[str]) -> Finding:
    """Whether the host found every function; one that fails at its import has none at all."""
    there = {one["name"].rpartition("/")[2] for one in listed}
    if missing := sorted(wanted - there):
        helps = (
            "look at the deployment's log, and at exceptions in Application Insights; a failed import hides all of them"
        )
        return error("functions", f"{', '.join(missing)} did not come up", helps)
    return ok("functions", f"{len(wanted)} indexed")


def judge(
    lines: Sequence[Mapping[str, Any]], before: Mapping[str, str], after: Mapping[str, str], seconds: float
) -> Iterator[Finding]:
    """What came of the event: a decision that says it was a dry run, and a ledger that is as it was."""
    if not lines:
        helps = "az functionapp log tail; are the roles there for some minutes, and is a message in events-poison?"
        yield error("smoke", f"the event was not answered in the journal within {seconds:.0f} s", helps)
        return
    for line in lines:
        who = line.get("agent", "nobody")
        if line.get("dry_run") is True or line.get("reason") == "NOT_FOLLOWED":
            yield ok("smoke", f"{who}: {line['reason']} {line.get('detail', '')}".rstrip())
        else:
            told = f"{who}: {line['reason']} was decided, and not as a dry run"
            yield error("smoke", told, "deploy the app of this very checkout: azd deploy")
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        yield note(
            "smoke", f"{', '.join(changed)} changed meanwhile", "a push of yours? the smoke check itself writes none"
        )
    else:
        yield ok("smoke", "the ledger is as it was")
