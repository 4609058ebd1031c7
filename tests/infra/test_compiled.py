"""infra/ through Microsoft's Bicep compiler: no error, no warning, and every planted mistake is found.

The compiler is ``BICEP``, ``../shared/tools/bicep`` beside the checkout, or ``bicep`` on the PATH, in this order.
Without a compiler these tests are skipped.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.rehearsal.bicep import MISSING
from tests.infra.snapshots import BICEP, ROOT, bicep

MAIN = ROOT / "infra/main.bicep"
pytestmark = [pytest.mark.skipif(BICEP is None, reason=MISSING), pytest.mark.timeout(300)]


@pytest.mark.parametrize("command", ["build", "lint"])
def test_it_compiles_without_a_warning(command: str) -> None:
    done = bicep(command, str(MAIN), *(["--stdout"] if command == "build" else []))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert command == "build" or done.stdout == ""


MISTAKES = [
    pytest.param("main", "isPrivate: vnetEnabled", "private: vnetEnabled", '"private" is not allowed', id="parameter"),
    pytest.param(
        "main", "    vaultId: vaultSource[0].outputs.id\n", "", '"vaultId"', id="a module parameter that is missing"
    ),
    pytest.param("main", "outputs.blobEndpoint", "outputs.blobs", '"blobs"', id="an unknown output"),
    pytest.param("main", "var token =", "var unused = 1\nvar token =", '"unused" is declared but never', id="unused"),
    pytest.param(
        "main", "REGISTRY_NAME: registryName", "REGISTRY_NAME: registrName", '"registrName"', id="an unknown name"
    ),
    pytest.param("storage", "allowSharedKeyAccess", "allowSharedKeysAccess", '"allowSharedKeysAccess"', id="property"),
    pytest.param("storage", "  kind: 'StorageV2'\n", "", '"kind"', id="a required property is missing"),
    pytest.param("storage", "days: 7", "days: 'seven'", '"int | null"', id="text instead of a number"),
    pytest.param("storage", "guid(toLower(account.id), p", "guid(account.location, p", "BCP120", id="read too early"),
    pytest.param("vault", "@2024-11-01'", "@2020-11-01'", '"Microsoft.KeyVault/vaults@2020-11-01"', id="version"),
    pytest.param("function", "instanceMemoryMB: i", "instanceMemory: i", '"instanceMemory"', id="a nested property"),
    pytest.param(
        "function", "        alwaysReady: a", "        warm: 1\n        alwaysReady: a", '"warm"', id="one more"
    ),
    pytest.param("function", "           instanceCount:", "           count:", '"count"', id="inside a choice"),
    pytest.param("identity", "  tags: tags\n", "  tags: tags\n  id: 'x'\n", '"id" is read-only', id="read-only"),
    pytest.param("network", "addressPrefixes: [", "addressPrefix: [", '"addressPrefix"', id="in a list"),
    pytest.param("registry", "adminUserEnabled: false", "adminUserEnabled: fals", '"fals" does not', id="a name"),
    pytest.param("workbook", "kind: 'shared'", "kind: 'shared", "BCP004", id="a text without its end"),
]


@pytest.fixture(scope="module")
def diagnostics(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the compiler says about a copy with every mistake; one run, as each takes seconds."""
    folder = shutil.copytree(ROOT / "infra", tmp_path_factory.mktemp("broken") / "infra")
    for mistake in MISTAKES:
        name, original, planted, *_ = mistake.values
        file = folder / ("main.bicep" if name == "main" else f"modules/{name}.bicep")
        text = file.read_text()
        assert str(original) in text, f"{original!r} is not in {file.name}"
        file.write_text(text.replace(str(original), str(planted), 1))
    done = bicep("build", str(folder / "main.bicep"), "--stdout")
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(("name", "original", "planted", "message"), MISTAKES)
def test_a_planted_mistake_is_found(diagnostics: str, name: str, original: str, planted: str, message: str) -> None:
    file = Path("main.bicep" if name == "main" else f"modules/{name}.bicep").name
    lines = [line for line in diagnostics.splitlines() if f"/{file}(" in line]
    assert any(message in line for line in lines), "\n".join(lines)
