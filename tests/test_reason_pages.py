"""Every reason code has a page; the pages and their index are generated from core/reasons.yaml."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.__main__ import app
from core.reasons import SERVICE_CODES, Reason
from core.remedies import REMEDIES
from docs.reference.reasons import generate
from tests.e2e.remedies import BETWEEN_REQUESTS, IN_STEPS, OF_COMMANDS, OF_SITUATIONS, SITUATIONS

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "reference" / "reasons"
INDEX = PAGES / "README.md"
TEXT = (ROOT / "core" / "reasons.yaml").read_text()
SOURCE = generate.read(TEXT)
REFERENCES = sorted({reference for entry in SOURCE.reasons.values() for reference in entry.decided_by})
FIELDS = set(re.findall(r"`slipway\.(\w+)`", (ROOT / "docs" / "reference" / "telemetry.md").read_text()))
COMMANDS = set(getattr(get_command(app), "commands", {}))
SECTIONS = ["What Slipway did", "What you can do", "Find it in Application Insights", "Decided in"]
SERVICE = "## Codes of Foundry and of the seed document"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
ROW = re.compile(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \| (.+) \|$", re.MULTILINE)
MAX_LINE = 120
MIN_LINES, MAX_LINES = 12, 30


def page(reason: Reason) -> str:
    return (PAGES / f"{reason}.md").read_text()


def prose(text: str) -> str:
    return FENCE.sub("", text)


def test_the_pages_on_disk_are_what_the_generator_writes() -> None:
    assert generate.differences(generate.files(SOURCE), PAGES) == [], "run: make docs"


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {INDEX.stem} == {reason.value for reason in Reason}


def test_every_code_has_a_text_in_the_order_of_the_codes() -> None:
    assert list(SOURCE.reasons) == [reason.value for reason in Reason]


@pytest.mark.parametrize("reference", REFERENCES)
def test_the_code_that_a_page_names_exists(reference: str) -> None:
    assert generate.exists(reference)


def definitions(module: str) -> dict[str, str]:
    """Name -> source of everything that a module defines, methods as ``Class.method``."""
    path = generate.file_of(module)
    assert path is not None
    text, found = path.read_text(), dict[str, str]()
    for node in ast.parse(text).body:
        members = node.body if isinstance(node, ast.ClassDef) else []
        for name in generate.names(node):
            found[name] = ast.get_source_segment(text, node) or ""
            found |= {
                f"{name}.{inner}": ast.get_source_segment(text, member) or ""
                for member in members
                for inner in generate.names(member)
            }
    return found


SOURCES = {module: definitions(module) for module in generate.modules()}
BY_NAME: dict[str, list[str]] = {}
"""Last part of a name -> the sources that define it."""
for module_definitions in SOURCES.values():
    for defined, source in module_definitions.items():
        BY_NAME.setdefault(defined.rpartition(".")[2], []).append(source)
del BY_NAME["Reason"]  # it names every code


def mentions(source: str, reason: Reason) -> bool:
    """True if the source has the code, or makes it from its beginning, as in ``Reason[f"SECRET_{name}"]``."""
    return re.search(rf"\b{reason}\b", source) is not None or f'"{reason.partition("_")[0]}_{{' in source


def decides(reference: str, reason: Reason) -> bool:
    """True if a function has the code, or something that it names has it (an action, a constant, a function)."""
    module, _, name = reference.partition(":")
    source = SOURCES[module][name]
    used = set(re.findall(r"\w+", source)) - {name.rpartition(".")[2]}
    nearby = [text for word in used for text in BY_NAME.get(word, [])]
    actions = SOURCES["core.release.actions"]
    tables = [text for text in actions.values() if used & actions.keys() & set(re.findall(r"\w+", text))]
    return any(mentions(text, reason) for text in (source, *nearby, *tables))


@pytest.mark.parametrize("reason", Reason)
def test_a_page_names_a_function_that_decides_on_its_code(reason: Reason) -> None:
    assert [reference for reference in SOURCE.reasons[reason].decided_by if decides(reference, reason)]


@pytest.mark.parametrize(
    ("reason", "reference"),
    [
        (Reason.NOT_DUE, "core.release.rules_start:no_push_yet"),
        (Reason.KEPT_RECENT, "core.prune.retention:_recent"),
        (Reason.DRIFT, "core.drift:find_drift"),
        (Reason.ROLLBACK, "core.release.rules_start:start_release"),
    ],
)
def test_a_function_that_does_not_decide_on_a_code_is_found(reason: Reason, reference: str) -> None:
    assert not decides(reference, reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_page_has_its_headings_in_order(reason: Reason) -> None:
    expected = [("#", reason.value), *(("##", section) for section in SECTIONS)]
    assert HEADING.findall(prose(page(reason))) == expected


@pytest.mark.parametrize("reason", Reason)
def test_no_part_of_a_page_is_empty(reason: Reason) -> None:
    parts = re.split(r"^#+ .+$", page(reason), flags=re.MULTILINE)[1:]
    assert all(part.strip() for part in parts)


@pytest.mark.parametrize("reason", Reason)
def test_a_page_has_one_query_that_names_its_own_code(reason: Reason) -> None:
    ((language, query),) = FENCE.findall(page(reason))
    assert language == "kusto"
    assert reason.value in re.findall(r"\w+", query)


@pytest.mark.parametrize("reason", Reason)
def test_a_page_is_short(reason: Reason) -> None:
    lines = page(reason).splitlines()
    assert MIN_LINES <= len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= MAX_LINE


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_relative_links_resolve(path: Path) -> None:
    links = [link for link in LINK.findall(prose(path.read_text())) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_index_has_the_reasons_of_the_enum_in_their_order() -> None:
    listed, _, _ = INDEX.read_text().partition(SERVICE)
    expected = [(reason.value, reason.value, reason.severity, reason.meaning) for reason in Reason]
    assert ROW.findall(listed) == expected


def test_each_remedy_is_executed_on_the_stack_or_listed_with_the_cause() -> None:
    listed = [*SITUATIONS, *IN_STEPS, *OF_COMMANDS, *OF_SITUATIONS, *BETWEEN_REQUESTS]
    assert sorted(listed) == sorted(REMEDIES), "tests/e2e/remedies.py"


def test_the_index_maps_every_code_of_the_service_to_its_reason() -> None:
    _, _, mapped = INDEX.read_text().partition(SERVICE)
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| \[(\w+)\]\(.*\|$", mapped, re.MULTILINE))
    assert {code: rows.get(code) for code in SERVICE_CODES} == {code: to.value for code, to in SERVICE_CODES.items()}


def test_every_reason_that_a_text_names_exists() -> None:
    named = {name for path in PAGES.glob("*.md") for name in re.findall(r"\[([A-Z_]{3,})\]", path.read_text())}
    assert named <= set(Reason.__members__)


@pytest.mark.parametrize("reason", Reason)
def test_every_command_that_a_page_names_exists(reason: Reason) -> None:
    assert set(re.findall(r"`slipway\s([a-z]+)", page(reason))) <= COMMANDS


@pytest.mark.parametrize("reason", Reason)
def test_every_column_of_a_query_is_a_documented_field(reason: Reason) -> None:
    assert set(re.findall(r'"slipway\.(\w+)"', page(reason))) - {"decision"} <= FIELDS


def rename(document: dict[str, Any], old: str, new: str) -> None:
    document["reasons"] = {new if code == old else code: entry for code, entry in document["reasons"].items()}


def set_key(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["reasons"]["ADOPT"].update({key: value})


def swap_first_two(document: dict[str, Any]) -> None:
    first, second, *others = document["reasons"].items()
    document["reasons"] = dict([second, first, *others])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(set_key("what_hapened", "x"), "reasons.ADOPT.what_hapened: unknown key", id="an unknown key"),
        pytest.param(
            set_key("sources", "x"), "reasons.ADOPT.sources: Input should be a valid tuple", id="a wrong type"
        ),
        pytest.param(
            lambda document: document["reasons"]["ADOPT"].pop("what_happened"),
            "reasons.ADOPT.what_happened: missing",
            id="a missing key",
        ),
        pytest.param(
            set_key("query", "traces"),
            "reasons.ADOPT: Value error, write exactly one of columns, count_by and query",
            id="two queries",
        ),
        pytest.param(lambda document: document["reasons"].pop("ADOPT"), "reasons.ADOPT: missing", id="a missing entry"),
        pytest.param(
            lambda document: rename(document, "ADOPT", "ADOPTED"),
            "reasons.ADOPTED: core/reasons.py has no such reason\nreasons.ADOPT: missing",
            id="an unknown reason",
        ),
        pytest.param(
            swap_first_two,
            "reasons.SAME_PUSH: out of order, ACCEPTED comes first in core/reasons.py",
            id="another order",
        ),
        pytest.param(
            set_key("decided_by", ["core.gone:adopt"]),
            "reasons.ADOPT.decided_by: core.gone:adopt does not exist",
            id="a module that moved",
        ),
        pytest.param(
            set_key("decided_by", ["core.release.rules_candidate:gone_too"]),
            "reasons.ADOPT.decided_by: core.release.rules_candidate:gone_too does not exist",
            id="a function that moved",
        ),
        pytest.param(
            set_key("decided_by", ["handlers.lease_keeper:Pace.gone"]),
            "reasons.ADOPT.decided_by: handlers.lease_keeper:Pace.gone does not exist",
            id="a method that moved",
        ),
    ],
)
def test_a_mistake_in_the_source_names_the_reason_and_the_key(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    document = yaml.safe_load(TEXT)
    change(document)
    with pytest.raises(generate.SourceError) as raised:
        generate.read(yaml.safe_dump(document, sort_keys=False))
    assert str(raised.value) == message


def test_text_that_is_not_yaml_is_a_mistake_in_the_source() -> None:
    with pytest.raises(generate.SourceError, match="not YAML"):
        generate.read("reasons: [")


def test_outdated_missing_and_left_over_pages_are_found_and_corrected(tmp_path: Path) -> None:
    expected = {"A.md": "a\n", "B.md": "b\n"}
    (tmp_path / "A.md").write_text("outdated\n")
    (tmp_path / "C.md").write_text("c\n")
    assert generate.differences(expected, tmp_path) == ["A.md is outdated", "B.md is missing", "C.md is left over"]
    generate.write(expected, tmp_path)
    assert generate.differences(expected, tmp_path) == []
