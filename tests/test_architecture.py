"""The house has rooms, and the walls hold."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("function_app.py", "core", "handlers")
IMPURE = {"os", "logging", "time", "random", "subprocess", "socket", "asyncio", "threading", "pathlib", "secrets"}
CORE_LIBRARIES = {"core", "pydantic", "pydantic_core", "yaml", "re2", "nodesemver"}
MAY_IMPORT = {
    "function_app.py": {"handlers"},
    "core": {"core"},
    "handlers": {"core", "handlers"},
    "local": {"local"},
    "bench": {"bench", "local", "core", "handlers"},
    "cli": {"cli", "core", "handlers", "local"},  # local.ncrontab alone: neither ships
    "infra": {"infra", "core", "handlers"},
}
OURS = {"function_app", "core", "handlers", "local", "bench", "cli", "infra", "tests"}
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 300, 40


def files(*rooms: str) -> list[Path]:
    found = [ROOT / room for room in rooms]
    return [path for one in found for path in ([one] if one.is_file() else sorted(one.rglob("*.py")))]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_go_one_way(room: str) -> None:
    for path in files(room):
        reached = {module.split(".")[0] for module in imports(path)} & OURS
        assert reached <= MAY_IMPORT[room], name(path)


@pytest.mark.parametrize("path", files("core"), ids=name)
def test_core_is_pure(path: Path) -> None:
    reached = {module.split(".")[0] for module in imports(path)}
    assert reached <= (set(sys.stdlib_module_names) - IMPURE) | CORE_LIBRARIES
    assert not re.search(r"\.(now|today|utcnow)\(", path.read_text()), "time is an argument"


def test_azure_is_known_to_the_gateways_and_the_wiring_alone() -> None:
    allowed = {"function_app.py", "handlers/bootstrap.py"}
    for path in files(*PRODUCT):
        if any(module.split(".")[0] == "azure" for module in imports(path)):
            assert name(path) in allowed or name(path).startswith("handlers/gateways/"), name(path)


@pytest.mark.parametrize("path", files(*PRODUCT, "local", "bench", "cli", "infra"), ids=name)
def test_pieces_are_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", files(*PRODUCT), ids=name)
def test_nothing_is_caught_broadly_and_no_cause_is_lost(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("everything", "Exception", "BaseException")
            raised = [one for one in ast.walk(node) if isinstance(one, ast.Raise)]
            assert all(one.exc is None or one.cause is not None or _is_bound(one, node) for one in raised)


def _is_bound(raised: ast.Raise, handler: ast.ExceptHandler) -> bool:
    return isinstance(raised.exc, ast.Name) and raised.exc.id == handler.name


def test_the_command_line_takes_a_timer_of_the_laptop_and_nothing_else() -> None:
    for path in files("cli"):
        assert {module for module in imports(path) if module.startswith("local")} <= {"local.ncrontab"}, name(path)


def test_no_double_patches_our_code() -> None:
    banned = re.compile(r"unittest\.mock|monkeypatch|MagicMock|mocker\b")
    for path in files("tests"):
        if path != Path(__file__):
            assert not banned.search(path.read_text()), name(path)


def test_the_app_neither_uses_nor_ships_the_gateways_in_memory() -> None:
    assert "handlers/gateways/in_memory" in (ROOT / ".funcignore").read_text().split()
    for path in files(*PRODUCT):
        if "in_memory" not in path.parts:
            assert not any("in_memory" in module for module in imports(path)), name(path)


def test_nobody_deletes_by_force() -> None:
    for path in files(*PRODUCT):
        assert "force=" not in path.read_text(), name(path)


def test_only_telemetry_logs() -> None:
    for path in files(*PRODUCT):
        if "logging" in set(imports(path)):
            assert name(path) == "handlers/telemetry/otel.py"


def test_what_ships_is_the_app_and_nothing_else() -> None:
    ignored = set((ROOT / ".funcignore").read_text().split())
    for room in ("tests", "local", "bench", "docs", "pyproject.toml", "requirements.in", "Makefile", "node_modules"):
        assert room in ignored
    for shipped in ("function_app.py", "host.json", "requirements.txt", "agents.yaml", "core", "handlers"):
        assert shipped not in ignored
