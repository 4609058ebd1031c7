"""The SBOM lists the lock file, the audit reports what it could not check, and workflows are pinned and only read."""

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
"""Permissions to write that a job may have; the workflow itself only reads."""


def test_the_sbom_is_the_same_for_the_same_lock_file(tmp_path: Path) -> None:
    file = tmp_path / "build" / "sbom.cdx.json"
    assert sbom.main([str(file)]) == 0
    assert file.read_text() == sbom.build()


def test_the_sbom_lists_every_pinned_package_with_its_hashes() -> None:
    document = json.loads(sbom.build())
    listed = {(component["name"], component["version"]): component["hashes"] for component in document["components"]}
    pinned = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", sbom.LOCK.read_text(), re.MULTILINE)
    assert set(listed) == {(name.lower(), version) for name, version in pinned}
    lock = re.sub(
        r"^[a-z0-9-]+==(.+\\\n)+(    --hash.+\n)(?=[a-z0-9-]+\[)", "", sbom.LOCK.read_text(), flags=re.MULTILINE
    )
    assert sum(map(len, listed.values())) == lock.count("--hash=sha256:"), "without the plain pins"
    assert document["bomFormat"] == "CycloneDX"
    requires = {dependency["ref"]: dependency.get("dependsOn", []) for dependency in document["dependencies"]}
    direct = {reference.split("/")[1].split("@")[0] for reference in requires["slipway"]}
    assert direct == set(re.findall(r"^[a-z0-9-]+", (ROOT / "requirements.in").read_text(), re.MULTILINE))


SAFE = {"name": "a", "version": "1", "vulns": []}
VULNERABLE = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "text"),
    [
        pytest.param([SAFE], audit.SAFE, "1 packages audited, no known vulnerability", id="safe"),
        pytest.param([SAFE, SKIPPED], audit.SAFE, "not known to the service: c", id="one unknown"),
        pytest.param([SAFE, VULNERABLE], audit.VULNERABLE, "b 2: PYSEC-1 (fixed in 3)", id="vulnerable"),
        pytest.param([SKIPPED, SKIPPED], audit.UNKNOWN, "not audited", id="offline"),
        pytest.param([], audit.UNKNOWN, "not audited", id="no packages"),
    ],
)
def test_an_audit_that_no_service_answered_is_not_a_pass(packages: list[Any], code: int, text: str) -> None:
    summary = audit.summarize({"dependencies": packages})
    assert summary[0] == code
    assert text in summary[1]


def workflows() -> Iterator[tuple[str, str]]:
    """The workflows of this repository, and those that a how-to offers to copy."""
    for path in sorted((ROOT / ".github" / "workflows").glob("*.y*ml")):
        yield path.name, path.read_text()
    for path in sorted((ROOT / "docs").rglob("*.md")):
        for number, block in enumerate(SNIPPET.findall(path.read_text())):
            if "jobs:" in block:
                yield f"{path.name} {number}", textwrap.dedent(block)


def workflow_problems(text: str) -> list[str]:
    """Actions that can change without a commit here, and permissions that the workflow does not need."""
    workflow = yaml.safe_load(text)
    problems = [f"{action} is not pinned to a commit with its version beside it" for action in _unpinned(text)]
    permissions = workflow.get("permissions")
    if not isinstance(permissions, dict) or "write" in permissions.values():
        problems.append("the workflow's own permissions must be read-only; give the permission to write to a job")
    jobs = workflow.get("jobs", {})
    problems += [f"job {name} has too many permissions" for name, job in jobs.items() if _is_too_permissive(job)]
    if "pull_request_target" in text:
        problems.append("pull_request_target runs the code of forks with our secrets")
    return problems


def _unpinned(text: str) -> Iterator[str]:
    for action, comment in USES.findall(text):
        if not action.startswith("./") and not (PINNED.fullmatch(action) and VERSIONED.match(comment)):
            yield action


def _is_too_permissive(job: dict[str, Any]) -> bool:
    permissions = job.get("permissions", {})
    if not isinstance(permissions, dict):
        return True
    return bool({scope for scope, access in permissions.items() if access == "write"} - MAY_WRITE)


@pytest.mark.parametrize(("name", "text"), list(workflows()), ids=lambda value: value if "\n" not in value else "")
def test_a_workflow_is_pinned_and_has_only_the_permissions_it_needs(name: str, text: str) -> None:
    assert workflow_problems(text) == []


SHA = "a" * 40
GOOD = f"""on: push
permissions: {{contents: read}}
jobs: {{t: {{steps: []}}}}
x:
  - uses: a/b@{SHA} # v4.2.0
"""


@pytest.mark.parametrize(
    ("good", "bad"),
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
def test_a_problem_of_a_workflow_is_found(good: str, bad: str) -> None:
    assert workflow_problems(GOOD) == []
    assert good in GOOD
    assert len(workflow_problems(GOOD.replace(good, bad))) == 1
