"""infra/ through Microsoft's compiler: no warning, and what it makes is what the source and the docs say.

The compiler is the program of BICEP, or ``bicep`` on the PATH; without one these tests say that they were skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from handlers.settings import Settings
from tests.infra.checks import HOST, NOT_SET, Infra

ROOT = Path(__file__).resolve().parents[2]
BICEP = os.environ.get("BICEP") or shutil.which("bicep")
FILES = [ROOT / "infra/main.bicep", ROOT / "infra/modules/subscription-function.bicep"]
pytestmark = pytest.mark.skipif(
    BICEP is None, reason="no Bicep compiler here: set BICEP, or install bicep; the workflow has one"
)


def bicep(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert BICEP is not None
    return subprocess.run([BICEP, *arguments], capture_output=True, text=True, check=False)


@cache
def compiled() -> dict[str, Any]:
    done = bicep("build", str(FILES[0]), "--stdout")
    assert done.returncode == 0, done.stderr
    template: dict[str, Any] = json.loads(done.stdout)
    return template


def resources(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every resource, those of the modules too; newer templates name them."""
    listed = template["resources"]
    for one in listed.values() if isinstance(listed, dict) else listed:
        if one["type"] == "Microsoft.Resources/deployments":
            yield from resources(one["properties"]["template"])
        elif not one.get("existing"):
            yield one


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("command", ["build", "lint"])
def test_it_compiles_without_a_warning(file: Path, command: str) -> None:
    done = bicep(command, str(file), *(["--stdout"] if command == "build" else []))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_it_makes_the_resources_of_the_source_and_no_other() -> None:
    infra = Infra(ROOT / "infra")
    used = {Path(one.what).name for one in infra.main.modules.values()}
    source = [infra.main, *(infra.modules[name] for name in used)]
    declared = {one.type.lower() for file in source for one in file.resources.values() if not one.existing}
    assert {one["type"].lower() for one in resources(compiled())} == declared


def test_every_role_of_the_table_is_assigned() -> None:
    text = json.dumps(compiled())
    assert {row["id"] for row in Infra(ROOT / "infra").roles.values() if row["id"] in text} == {
        row["id"] for row in Infra(ROOT / "infra").roles.values() if " " not in row["id"]
    }


def test_every_setting_of_the_source_is_in_it_and_no_key() -> None:
    text = json.dumps(compiled())
    names = {one.metadata["name"] for one in fields(Settings)} - NOT_SET | HOST
    assert {name for name in names if name not in text} == set()
    assert "listKeys" not in text


def test_a_planted_mistake_does_not_compile(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "infra", tmp_path / "infra")
    module = folder / "modules" / "identity.bicep"
    module.write_text(module.read_text().replace("  tags: tags\n", "  tagz: tags\n"))
    done = bicep("build", str(folder / "main.bicep"), "--stdout")
    assert "tagz" in done.stderr
