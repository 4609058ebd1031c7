"""infra/ through Microsoft's Bicep compiler: no warning, and the expected resources, roles and settings.

The compiler is ``BICEP``, ``../shared/tools/bicep`` beside the checkout, or ``bicep`` on the PATH, in this order.
Without a compiler these tests are skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from handlers.settings import Settings
from tests.infra.checks import HOST_SETTINGS, UNSET_SETTINGS, Infra

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "infra/main.bicep"
FILES = [MAIN]
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"


def find_compiler() -> str | None:
    beside = ROOT.parent / "shared" / "tools" / "bicep"
    return os.environ.get("BICEP") or (str(beside) if os.access(beside, os.X_OK) else shutil.which("bicep"))


BICEP = find_compiler()
pytestmark = pytest.mark.skipif(
    BICEP is None, reason="no Bicep compiler found: set BICEP, or install bicep; the workflow has one"
)


def bicep(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert BICEP is not None
    env = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", **os.environ}  # the compiler then needs no ICU library
    return subprocess.run([BICEP, *arguments], capture_output=True, text=True, check=False, env=env)


@cache
def compiled(main: Path = MAIN) -> dict[str, Any]:
    done = bicep("build", str(main), "--stdout")
    assert done.returncode == 0, done.stderr
    template: dict[str, Any] = json.loads(done.stdout)
    return template


def resources(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every resource, including those of modules. Resources are a list, or an object in newer templates."""
    listed = template["resources"]
    for resource in listed.values() if isinstance(listed, dict) else listed:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from resources(resource["properties"]["template"])
        elif not resource.get("existing"):
            yield resource


def assigned_roles(template: dict[str, Any]) -> set[str]:
    """The rows of roles.json that a role assignment uses; every template that loads the file contains all its rows."""
    ids = [item["properties"]["roleDefinitionId"] for item in resources(template) if item["type"] == ROLE_ASSIGNMENT]
    keys = [re.search(r"variables\('roles'\)\.(\w+)\.id\)", role_id) for role_id in ids]
    custom = ["agentVersions" for role_id in ids if "parameters('customRoleId')" in role_id]
    assert len([key for key in keys if key]) + len(custom) == len(ids), ids
    return {*(key[1] for key in keys if key), *custom}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("command", ["build", "lint"])
def test_it_compiles_without_a_warning(file: Path, command: str) -> None:
    done = bicep(command, str(file), *(["--stdout"] if command == "build" else []))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_template_has_exactly_the_declared_resources() -> None:
    infra = Infra(ROOT / "infra")
    used = {Path(module.reference).name for module in infra.main.modules.values()}
    files = [infra.main, *(infra.modules[name] for name in used)]
    declared = {item.type.lower() for file in files for item in file.resources.values() if not item.existing}
    assert {resource["type"].lower() for resource in resources(compiled())} == declared


def test_the_template_assigns_exactly_the_roles_of_the_table() -> None:
    assert assigned_roles(compiled()) == set(Infra(ROOT / "infra").roles)


def test_a_removed_role_assignment_is_detected(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "infra", tmp_path / "infra")
    module = folder / "modules" / "monitoring-access.bicep"
    text = module.read_text()
    module.write_text(text[: text.index("resource metricsPublisher")])
    missing = set(Infra(ROOT / "infra").roles) - assigned_roles(compiled(folder / "main.bicep"))
    assert missing == {"metricsPublisher"}


def test_the_template_has_every_setting_and_no_key() -> None:
    text = json.dumps(compiled())
    names = {setting.metadata["name"] for setting in fields(Settings)} - UNSET_SETTINGS | HOST_SETTINGS
    assert {name for name in names if name not in text} == set()
    assert "listKeys" not in text


def test_a_planted_mistake_does_not_compile(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "infra", tmp_path / "infra")
    module = folder / "modules" / "identity.bicep"
    module.write_text(module.read_text().replace("  tags: tags\n", "  tagz: tags\n"))
    done = bicep("build", str(folder / "main.bicep"), "--stdout")
    assert "tagz" in done.stderr
