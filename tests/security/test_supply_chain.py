"""What ships is what the lock says, what is unsafe is told, and workflows run nothing that can change under them."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.security import audit, sbom

ROOT = Path(__file__).resolve().parents[2]
USES = re.compile(r"^\s*(?:-\s*)?uses:\s*(\S+)(.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
VERSIONED = re.compile(r"\s+#\s*v?\d+(\.\d+)*\s*$")
SNIPPET = re.compile(r"^ *```ya?ml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
MAY_WRITE = {"id-token", "contents", "security-events", "attestations", "packages", "pull-requests"}
"""What a single job may be allowed to write; the workflow itself only reads."""


def test_the_sbom_is_the_locks() -> None:
    assert sbom.STORED.read_text() == sbom.current(), "python -m tests.security.sbom --write"


def test_the_sbom_names_every_pin_with_its_hashes() -> None:
    stored = json.loads(sbom.STORED.read_text())
    listed = {(one["name"], one["version"]): one["hashes"] for one in stored["components"]}
    written = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", sbom.LOCK.read_text(), re.MULTILINE)
    assert set(listed) == {(name.lower(), version) for name, version in written}
    assert sum(map(len, listed.values())) == sbom.LOCK.read_text().count("--hash=sha256:")
    assert stored["bomFormat"] == "CycloneDX"
    needs = {one["ref"]: one.get("dependsOn", []) for one in stored["dependencies"]}
    direct = {one.split("/")[1].split("@")[0] for one in needs["slipway"]}
    assert direct == set(re.findall(r"^[a-z0-9-]+", (ROOT / "requirements.in").read_text(), re.MULTILINE))


SAFE = {"name": "a", "version": "1", "vulns": []}
UNSAFE = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        pytest.param([SAFE], audit.SOUND, "1 packages audited, no known vulnerability", id="sound"),
        pytest.param([SAFE, SKIPPED], audit.SOUND, "not known to the service: c", id="one is unknown"),
        pytest.param([SAFE, UNSAFE], audit.UNSAFE, "b 2: PYSEC-1 (mended in 3)", id="unsafe"),
        pytest.param([SKIPPED, SKIPPED], audit.UNKNOWN, "not audited", id="offline"),
        pytest.param([], audit.UNKNOWN, "not audited", id="nothing at all"),
    ],
)
def test_an_audit_that_could_not_look_is_not_called_sound(packages: list[Any], code: int, told: str) -> None:
    found, text = audit.verdict({"dependencies": packages})
    assert found == code
    assert told in text


def workflows() -> Iterator[tuple[str, str]]:
    """Those of this repository, and those that a how-to gives people to copy."""
    for path in sorted((ROOT / ".github" / "workflows").glob("*.y*ml")):
        yield path.name, path.read_text()
    for path in sorted((ROOT / "docs").rglob("*.md")):
        for number, block in enumerate(SNIPPET.findall(path.read_text())):
            if "jobs:" in block:
                yield f"{path.name} {number}", textwrap.dedent(block)


def mistakes(text: str) -> list[str]:
    """What lets a workflow run something else tomorrow, or do more than it must."""
    told = yaml.safe_load(text)
    found = [f"{used} is not pinned to a commit with its version beside it" for used in _loose(text)]
    allowed = told.get("permissions")
    if not isinstance(allowed, dict) or "write" in allowed.values():
        found.append("the workflow's own permissions are to read, and what writes is a job's")
    found += [f"job {name} may write too much" for name, job in told.get("jobs", {}).items() if _is_wide(job)]
    if "pull_request_target" in text:
        found.append("pull_request_target runs strangers' code with our secrets")
    return found


def _loose(text: str) -> Iterator[str]:
    for used, rest in USES.findall(text):
        if not used.startswith("./") and not (PINNED.fullmatch(used) and VERSIONED.match(rest)):
            yield used


def _is_wide(job: dict[str, Any]) -> bool:
    granted = job.get("permissions", {})
    return not isinstance(granted, dict) or bool({key for key, may in granted.items() if may == "write"} - MAY_WRITE)


@pytest.mark.parametrize(("name", "text"), list(workflows()), ids=lambda one: one if "\n" not in one else "")
def test_a_workflow_is_pinned_and_may_do_no_more_than_it_must(name: str, text: str) -> None:
    assert mistakes(text) == []


SHA = "a" * 40
GOOD = f"""on: push
permissions: {{contents: read}}
jobs: {{t: {{steps: []}}}}
x:
  - uses: a/b@{SHA} # v4.2.0
"""


@pytest.mark.parametrize(
    ("bad", "instead"),
    [
        (f"a/b@{SHA} # v4.2.0", "a/b@v4"),
        (f"a/b@{SHA} # v4.2.0", f"a/b@{SHA}"),
        (f"a/b@{SHA} # v4.2.0", f"a/b@{SHA[:7]} # v4"),
        ("contents: read", "contents: write"),
        ("permissions: {contents: read}", "env: {}"),
        ("t: {steps", "t: {permissions: write-all, steps"),
        ("t: {steps", "t: {permissions: {actions: write}, steps"),
        ("on: push", "on: pull_request_target"),
    ],
)
def test_what_is_wrong_with_a_workflow_is_noticed(bad: str, instead: str) -> None:
    assert mistakes(GOOD) == []
    assert bad in GOOD
    assert len(mistakes(GOOD.replace(bad, instead))) == 1
