"""Writes the reason pages, their index and core/remedies.py from core/reasons.py and the text in core/reasons.yaml.

python docs/reference/reasons/generate.py           write every page
python docs/reference/reasons/generate.py --check   exit 1 if a page is outdated or left over
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PAGES = Path(__file__).resolve().parent
ROOT = PAGES.parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # a script starts with only its own folder

from core.reasons import Reason  # noqa: E402

SOURCE = ROOT / "core" / "reasons.yaml"
ENUM = ROOT / "core" / "reasons.py"
REMEDIES = ROOT / "core" / "remedies.py"
REMEDIES_HEAD = '''\
"""The command that ends each situation, by its code; written by docs/reference/reasons/generate.py."""

from __future__ import annotations
'''
INDEX = "README.md"
WIDTH = 120


class SourceError(Exception):
    """The source of the pages is wrong; the text names each mistake."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Value):
    """The text of one page."""

    what_happened: str = Field(min_length=1)
    what_slipway_did: str = Field(min_length=1)
    what_you_can_do: str = Field(min_length=1)
    remedy: str = ""
    columns: tuple[str, ...] = ()
    count_by: tuple[str, ...] = ()
    query: str = ""
    decided_by: tuple[str, ...] = Field(min_length=1)
    sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_query(self) -> Entry:
        if sum(map(bool, (self.columns, self.count_by, self.query))) != 1:
            raise ValueError("write exactly one of columns, count_by and query")
        return self


class Index(_Value):
    """The text around the tables of the index."""

    intro: str
    service_codes: str


class Source(_Value):
    """The whole of core/reasons.yaml."""

    index: Index
    reasons: dict[str, Entry]


def read(text: str) -> Source:
    """Check the source; raises SourceError that names every reason and key that is wrong."""
    try:
        source = Source.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise SourceError(f"not YAML: {error}") from error
    except ValidationError as error:
        mistakes = [_mistake(detail["loc"], detail["msg"]) for detail in error.errors()]
        raise SourceError("\n".join(mistakes)) from error
    mistakes = [*_wrong_codes(list(source.reasons)), *_wrong_references(source.reasons)]
    if mistakes:
        raise SourceError("\n".join(mistakes))
    return source


def _mistake(place: tuple[int | str, ...], message: str) -> str:
    known = {"Extra inputs are not permitted": "unknown key", "Field required": "missing"}
    return f"{'.'.join(map(str, place))}: {known.get(message, message)}"


def _wrong_codes(codes: list[str]) -> Iterable[str]:
    expected = [reason.value for reason in Reason]
    yield from (f"reasons.{code}: core/reasons.py has no such reason" for code in codes if code not in expected)
    missing = [code for code in expected if code not in codes]
    yield from (f"reasons.{code}: missing" for code in missing)
    if not missing and set(codes) == set(expected) and codes != expected:
        code, first = next(pair for pair in zip(codes, expected, strict=True) if pair[0] != pair[1])
        yield f"reasons.{code}: out of order, {first} comes first in core/reasons.py"


def _wrong_references(entries: Mapping[str, Entry]) -> Iterable[str]:
    for code, entry in entries.items():
        for reference in entry.decided_by:
            if not exists(reference):
                yield f"reasons.{code}.decided_by: {reference} does not exist"


def exists(reference: str) -> bool:
    """Whether the code defines what ``module:name`` names; a method is ``module:Class.method``."""
    module, _, name = reference.partition(":")
    path = file_of(module)
    if path is None or not name:
        return False
    body = ast.parse(path.read_text()).body
    for part in name.split("."):
        found = next((node for node in body if part in names(node)), None)
        if found is None:
            return False
        body = found.body if isinstance(found, ast.ClassDef) else []
    return True


def file_of(module: str) -> Path | None:
    """The file of a module of this repository."""
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def modules() -> list[str]:
    """Every module whose functions a page may name."""
    folders = (ROOT / "core", ROOT / "handlers")
    paths = [ROOT / "function_app.py", *(path for folder in folders for path in sorted(folder.rglob("*.py")))]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def names(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def files(source: Source) -> dict[str, str]:
    """Name -> text of every page and of the index."""
    pages = {f"{reason}.md": page(reason, source.reasons[reason]) for reason in Reason}
    return {**pages, INDEX: index(source.index)}


def page(reason: Reason, entry: Entry) -> str:
    """The page of one reason."""
    parts = [
        f"# {reason}\n{prose(entry.what_happened)}",
        f"## What Slipway did\n{prose(entry.what_slipway_did)}",
        f"## What you can do\n{prose(entry.what_you_can_do)}{_remedy(entry)}",
        f"## Find it in Application Insights\n```kusto\n{query(reason, entry)}\n```",
        f"## Decided in\n{decided_in(entry.decided_by)}",
    ]
    if entry.sources:
        parts.append(prose(" ".join(source.strip() for source in entry.sources)))
    return "\n\n".join(parts) + "\n"


def _remedy(entry: Entry) -> str:
    """The command, unless the text names it."""
    is_named = not entry.remedy or entry.remedy in " ".join(entry.what_you_can_do.split())
    return "" if is_named else f"\nCommand: `{entry.remedy}`"


def remedies(source: Source) -> str:
    """The module core/remedies.py: the app does not ship the text of the pages."""
    rows = [f'    "{code}": "{entry.remedy}",' for code, entry in source.reasons.items() if entry.remedy]
    return "\n".join([REMEDIES_HEAD, "REMEDIES = {", *rows, "}", ""])


def prose(text: str) -> str:
    """Paragraphs and lists, wrapped; each paragraph and each item is one line of the text."""
    blocks: list[str] = []
    for line in text.strip().split("\n"):
        if line.startswith("- ") and blocks and blocks[-1].startswith("- "):
            blocks[-1] += "\n" + _wrapped(line, "  ")
        elif line:
            blocks.append(_wrapped(line, "  " if line.startswith("- ") else ""))
    return "\n\n".join(blocks)


def query(reason: Reason, entry: Entry) -> str:
    """The Kusto query that finds the reason."""
    if entry.query:
        return entry.query.strip()
    if entry.columns:
        shown = ", ".join(f'{name}@=@d["slipway.{name}"]' for name in entry.columns)
        last = [f"| project timestamp, {shown}", "| order by timestamp desc"]
    else:
        keys = ", ".join(f'{name}@=@tostring(d["slipway.{name}"])' for name in entry.count_by)
        last = [f"| summarize times = count(), newest = max(timestamp) by {keys}", "| order by newest desc"]
    last = [_wrapped(line, "    ").replace("@", " ") for line in last]  # so that no line ends before a column's "="
    found = f'| where message == "slipway.decision" and customDimensions["slipway.reason"] == "{reason}"'
    return "\n".join(["traces", found, "| extend d = customDimensions", *last])


def decided_in(references: Iterable[str]) -> str:
    """A line for each file, with the names to read in it."""
    names: dict[str, list[str]] = {}
    for reference in references:
        module, _, name = reference.partition(":")
        path = file_of(module)
        if path is None:
            raise SourceError(f"{reference} does not exist")
        names.setdefault(path.relative_to(ROOT).as_posix(), []).append(f"`{name}`")
    return "\n".join(
        _wrapped(f"- [`{path}`](../../../{path}): {', '.join(found)}", "  ") for path, found in names.items()
    )


def index(text: Index) -> str:
    """The index: every reason under its group."""
    parts = [text.intro.strip()]
    for group, reasons in groups().items():
        rows = [f"| [{reason}]({reason}.md) | {reason.severity} | {reason.meaning} |" for reason in reasons]
        parts.append(f"## {group}")
        parts.append("\n".join(["| code | severity | meaning |", "|---|---|---|", *rows]))
    return "\n\n".join([*parts, text.service_codes.strip()]) + "\n"


def groups() -> dict[str, list[Reason]]:
    """Group -> its reasons: a comment of core/reasons.py heads each group."""
    found: dict[str, list[Reason]] = {}
    for group, code in re.findall(r"^    (?:# ([A-Z].*)|([A-Z_]+) = \"[A-Z_]+\", .*)$", ENUM.read_text(), re.MULTILINE):
        if group:
            found[group] = []
        else:
            found[next(reversed(found))].append(Reason[code])
    return found


def differences(expected: Mapping[str, str], folder: Path) -> list[str]:
    """The pages that are missing, outdated or left over in the folder."""
    existing = {path.name: path.read_text() for path in folder.glob("*.md")}
    different = [name for name in expected if existing.get(name) != expected[name]]
    problems = [f"{name} is {'outdated' if name in existing else 'missing'}" for name in different]
    return [*problems, *(f"{name} is left over" for name in existing if name not in expected)]


def write(pages: Mapping[str, str], folder: Path) -> None:
    """Write every page, and delete the pages of removed reasons."""
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text)


def _wrapped(text: str, indent: str) -> str:
    lines = textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def main(arguments: list[str]) -> str | None:
    """Write or check; returns what is wrong, or None."""
    try:
        source = read(SOURCE.read_text())
        pages, commands = files(source), remedies(source)
    except SourceError as error:
        return f"core/reasons.yaml is wrong:\n{error}"
    if arguments != ["--check"]:
        write(pages, PAGES)
        REMEDIES.write_text(commands)
        return None
    problems = differences(pages, PAGES)
    problems += [] if REMEDIES.read_text() == commands else ["core/remedies.py is outdated"]
    return "\n".join([*problems, "run: make docs"]) if problems else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
