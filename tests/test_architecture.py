"""The layout: which package may import which, and what no module may do (docs/explanation/architecture.md)."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

from core.agents_file.named_files import NOT_DEPLOYED

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("function_app.py", "core", "handlers")
IMPURE = {"os", "logging", "time", "random", "subprocess", "socket", "asyncio", "threading", "pathlib", "secrets"}
CORE_LIBRARIES = {"core", "pydantic", "pydantic_core", "yaml", "re2", "nodesemver", "jsonschema_rs"}
MAY_IMPORT = {
    "function_app.py": {"handlers"},
    "core": {"core"},
    "handlers": {"core", "handlers"},
    "local": {"local", "core"},
    "bench": {"bench", "local", "core", "handlers"},
    "cli": {"cli", "core", "handlers"},
    "infra": {"infra", "cli", "core", "handlers"},
}
LAYERS = (
    {"core.json_map", "core.remedies"},
    {"core.reasons", "core.timing", "core.foundry_rate", "core.ncrontab", "core.turns", "core.target"}
    | {
        "core.answer_schema",
        "core.evaluation",
        "core.image_reference",
        "core.signatures",
        "core.similar_names",
        "core.text_encoding",
        "core.time_windows",
        "core.vault_address",
    },
    {"core.image_platform", "core.artifact_kinds", "core.poison_watch", "core.source_commit"},
    {"core.foreign_text", "core.service_codes"},
    {"core.model", "core.image_manifest"},
    {"core.agents_file", "core.events", "core.state"},
    {"core.secret_versions", "core.waits", "core.grading"},
    {"core.definition", "core.release_outcome", "core.secret_expiry"},
    {"core.copied_definition", "core.drift", "core.commit_status"},
    {"core.prune", "core.intake", "core.vault_variables"},
    {"core.release"},
    {"handlers.masking"},
    {"handlers.redaction", "handlers.concurrency"},
    {"handlers.gateways"},
    {"handlers.settings_validation", "handlers.retry", "handlers.turns", "handlers.telemetry"}
    | {"handlers.agent_states", "handlers.vault"},
    {"handlers.settings", "handlers.lease_keeper", "handlers.outcome_events", "handlers.poison"},
    {"handlers.agents_file", "handlers.events", "handlers.version_deleter", "handlers.images_in_use"}
    | {"handlers.registry_tags", "handlers.commit_status"},
    {"handlers.user_commands", "handlers.release_agent", "handlers.prune_versions", "handlers.resume_releases"},
    {"handlers.bootstrap"},
    {"function_app"},
)
"""From the bottom to the top: a package imports from itself and from layers below its own."""
OURS = {"function_app", "core", "handlers", "local", "bench", "cli", "infra", "tests"}
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 300, 40
THE_LOOP = {"_loop", "_pass"}
"""Of handlers/release_agent/reconcile.py: read straight down, it may be longer."""
MAX_FOLDERS = 2
"""Below core/ and handlers/."""


def files(*places: str) -> list[Path]:
    paths = [ROOT / place for place in places]
    return [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, wherever in it; names that are modules themselves included."""
    found = list[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(found)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_imports_go_one_way(place: str) -> None:
    for path in files(place):
        reached = {imported.split(".")[0] for imported in imports(path)} & OURS
        assert reached <= MAY_IMPORT[place], name(path)


def package(imported: str) -> str:
    return ".".join(imported.split(".")[:2])


@pytest.mark.parametrize("path", files(*PRODUCT), ids=name)
def test_no_import_runs_back_up(path: Path) -> None:
    floors = {item: floor for floor, layer in enumerate(LAYERS) for item in layer}
    own = package(module(path))
    if own in ("core", "handlers"):
        return  # the docstring of the package
    assert own in floors, f"give {own} its place in LAYERS"
    for imported in map(package, imports(path)):
        if imported in floors and imported != own:
            assert floors[imported] < floors[own], f"{own} must not import {imported}"


def test_no_module_imports_itself_by_a_detour() -> None:
    modules = {module(path): path for path in files(*PRODUCT)}
    reached: dict[str, set[str]] = {}

    def below(current: str, above: tuple[str, ...]) -> set[str]:
        assert current not in above, " -> ".join([*above, current])
        if current not in reached:
            direct = {item for item in imports(modules[current]) if item in modules and item != current}
            leaves = {item for item in direct if modules[item].name != "__init__.py"}
            reached[current] = leaves.union(*(below(item, (*above, current)) for item in leaves))
        return reached[current]

    assert sum(bool(below(item, ())) for item in modules) > len(modules) / 2


@pytest.mark.parametrize("path", files("core", "handlers"), ids=name)
def test_every_module_is_near_the_top(path: Path) -> None:
    assert len(path.relative_to(ROOT).parts) <= 2 + MAX_FOLDERS


@pytest.mark.parametrize("path", files("core"), ids=name)
def test_core_is_pure(path: Path) -> None:
    reached = {imported.split(".")[0] for imported in imports(path)}
    assert reached <= (set(sys.stdlib_module_names) - IMPURE) | CORE_LIBRARIES
    assert not re.search(r"\.(now|today|utcnow)\(", path.read_text()), "time is an argument"


def test_only_gateways_and_bootstrap_import_azure() -> None:
    allowed = {"function_app.py", "handlers/bootstrap.py"}
    for path in files(*PRODUCT):
        if any(imported.split(".")[0] == "azure" for imported in imports(path)):
            assert name(path) in allowed or name(path).startswith("handlers/gateways/"), name(path)


@pytest.mark.parametrize("path", files(*PRODUCT, "local", "bench", "cli", "infra"), ids=name)
def test_modules_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            assert length <= MAX_FUNCTION_LINES or node.name in THE_LOOP, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", files(*PRODUCT), ids=name)
def test_nothing_is_caught_broadly_and_no_cause_is_lost(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("everything", "Exception", "BaseException")
            raises = [item for item in ast.walk(node) if isinstance(item, ast.Raise)]
            assert all(item.exc is None or item.cause is not None or _is_bound(item, node) for item in raises)


def _is_bound(raised: ast.Raise, handler: ast.ExceptHandler) -> bool:
    return isinstance(raised.exc, ast.Name) and raised.exc.id == handler.name


def test_the_laptop_imports_only_the_timer_and_the_reader_of_agents_yaml_from_the_product() -> None:
    for path in files("local"):
        reached = {imported for imported in imports(path) if imported.split(".")[0] == "core"}
        assert all(imported.startswith(("core.ncrontab", "core.agents_file")) for imported in reached), name(path)


def test_no_test_patches_our_code() -> None:
    banned = re.compile(r"unittest\.mock|monkeypatch|MagicMock|mocker\b")
    for path in files("tests"):
        if path != Path(__file__):
            assert not banned.search(path.read_text()), name(path)


def test_the_app_neither_imports_nor_ships_the_in_memory_gateways() -> None:
    assert "handlers/gateways/in_memory" in (ROOT / ".funcignore").read_text().split()
    for path in files(*PRODUCT):
        if "in_memory" not in path.parts:
            assert not any("in_memory" in imported for imported in imports(path)), name(path)


def test_nothing_is_deleted_by_force() -> None:
    for path in files(*PRODUCT):
        assert "force=" not in path.read_text(), name(path)


def test_only_telemetry_logs() -> None:
    for path in files(*PRODUCT):
        if "logging" in set(imports(path)):
            assert name(path) == "handlers/telemetry/otel.py"


def test_what_ships_is_the_app_and_nothing_else() -> None:
    ignored = set((ROOT / ".funcignore").read_text().split())
    for folder in ("tests", "local", "bench", "docs", "pyproject.toml", "requirements.in", "Makefile", "node_modules"):
        assert folder in ignored
    for shipped in ("function_app.py", "host.json", "requirements.txt", "agents.yaml", "core", "handlers"):
        assert shipped not in ignored


def test_a_file_that_agents_yaml_names_is_never_one_that_is_left_out() -> None:
    patterns = [pattern for pattern in (ROOT / ".funcignore").read_text().split() if "/" not in pattern]
    for pattern in patterns:
        folder = pattern.replace("*", "x")
        is_file = folder.endswith((".md", ".pyc", ".json", ".yaml", ".toml", ".x", ".in", "file", "LICENSE"))
        assert is_file or NOT_DEPLOYED.fullmatch(folder), pattern
