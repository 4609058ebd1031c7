"""Reads the text of agents.yaml: typed rules, or every mistake with its place and line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.positions import Document, Place, YamlMistake, read
from core.rules import AgentRule, Agents, ConnectionRef, KeepRule, Probe, ReleaseRule, SecretRef, TagRule

LARGEST = 1_000_000
"""Bytes: a thousand agents fit; what is larger is not an agents.yaml."""
TOP = ("defaults", "agents")
KNOWN: Mapping[str, tuple[str, ...]] = {
    model.__name__: tuple(model.model_fields)
    for model in (AgentRule, TagRule, ReleaseRule, KeepRule, Probe, SecretRef, ConnectionRef)
}
EVERY_KEY = sorted({key for keys in KNOWN.values() for key in keys} - {"name"})
TOOLS = ("code_interpreter", "file_search", "mcp")
PAIRS = {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}
"""The sandbox sizes that Foundry documents; any other is tried, and refused by the service if it does not exist."""
UNION_TAGS = re.compile(r"^(str|SecretRef|ConnectionRef|tuple\[.*|\[key\])$")
"""What pydantic adds to a place that is no key of the file."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, where, and what to write instead."""

    where: str
    line: int
    what: str

    def __str__(self) -> str:
        place = f"{self.where}, line {self.line}" if self.where else f"line {self.line}"
        return f"{place}: {self.what}"


class RulesError(Exception):
    """agents.yaml is wrong; ``mistakes`` lists everything that is."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(f"agents.yaml: {mistake}" for mistake in mistakes))
        self.mistakes = mistakes


def read_rules(data: bytes) -> Agents:
    """The rules of a file; raises RulesError with every mistake at once."""
    document = _document(data)
    mistakes: list[YamlMistake | Mistake] = [*(document.mistakes or _shape(document))]
    if not mistakes:
        rules, mistakes = _agents(document)
        if not mistakes:
            return Agents.model_construct(agents=rules)
    raise RulesError(tuple(sorted({_told(m) for m in mistakes}, key=lambda m: (m.line, m.where, m.what))))


def warnings(agents: Agents) -> tuple[str, ...]:
    """What is unusual and may be refused by Foundry, one line each."""
    return tuple(
        f"agents.{rule.name}: cpu {rule.cpu} with memory {rule.memory} is no documented size (0.5:1Gi, 1:2Gi, 2:4Gi)"
        for rule in agents.agents.values()
        if (rule.cpu, rule.memory) not in PAIRS
    )


def _told(mistake: YamlMistake | Mistake) -> Mistake:
    return mistake if isinstance(mistake, Mistake) else Mistake(".".join(mistake.place), mistake.line, mistake.what)


def _document(data: bytes) -> Document:
    if len(data) > LARGEST:
        raise RulesError((Mistake("", 1, f"the file has {len(data):,} bytes; {LARGEST:,} are the most"),))
    try:
        return read(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RulesError((Mistake("", line, "the file is not UTF-8 text; save it as UTF-8"),)) from error


def _shape(document: Document) -> Iterator[Mistake]:
    top = document.value
    if not isinstance(top, dict) or not isinstance(top.get("agents"), dict) or not top["agents"]:
        yield Mistake("", 1, "expected `agents:` with at least one agent below it")
        return
    for key in sorted(set(top) - set(TOP)):
        yield Mistake(key, document.line(key), _unknown(key, TOP))
    if not isinstance(top.get("defaults", {}), dict):
        yield Mistake("defaults", document.line("defaults"), "expected a map of what every agent shares")


def _agents(document: Document) -> tuple[dict[str, AgentRule], list[YamlMistake | Mistake]]:
    defaults = document.value.get("defaults", {})
    rules: dict[str, AgentRule] = {}
    mistakes: list[YamlMistake | Mistake] = []
    for name, body in document.value["agents"].items():
        if not isinstance(body, dict):
            mistakes.append(Mistake(f"agents.{name}", document.line("agents", name), "expected a map: repository, …"))
            continue
        try:
            rules[name] = AgentRule.model_validate({**_merged(defaults, body), "name": name})
            mistakes += _tools(document, name, rules[name])
        except ValidationError as error:
            mistakes += [_mistake(document, name, one) for one in error.errors()]
    return rules, mistakes


def _merged(defaults: Any, own: Any) -> Any:
    """Maps merge, everything else is replaced."""
    if not isinstance(defaults, dict) or not isinstance(own, dict):
        return own
    return {**defaults, **{key: _merged(defaults.get(key), value) for key, value in own.items()}}


def _tools(document: Document, name: str, rule: AgentRule) -> Iterator[Mistake]:
    for index, tool in enumerate(rule.tools):
        place = ("agents", name, "tools", str(index))
        if tool.get("type") not in TOOLS:
            what = f"unknown tool {tool.get('type')!r}; Slipway knows {', '.join(TOOLS)}"
            yield Mistake(".".join(place), document.line(*place), what)
        elif tool["type"] == "mcp" and not (
            tool.get("server_label") and str(tool.get("server_url", "")).startswith("https://")
        ):
            yield Mistake(
                ".".join(place), document.line(*place), "an mcp tool needs server_label and an https server_url"
            )


def _mistake(document: Document, name: str, error: ErrorDetails) -> Mistake:
    keys = tuple(str(part) for part in error["loc"] if not UNION_TAGS.match(str(part)))
    place: Place = ("agents", name, *(() if keys == ("name",) else keys))
    return Mistake(".".join(place), document.line(*place), _sentence(error, keys))


def _sentence(error: ErrorDetails, keys: tuple[str, ...]) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return _unknown(keys[-1], EVERY_KEY)
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "string_type" and isinstance(value, int | float):
        return f'expected text, not {value!r}; write "{value}"'
    told = _PATTERNS.get(keys[-1]) if kind == "string_pattern_mismatch" else _KINDS.get(kind)
    return told or f"{error['msg'][:1].lower()}{error['msg'][1:]}, not {value!r}"


_KINDS = {
    "missing": "is missing",
    "union_tag_not_found": "expected text, {secret: name} or {connection: name.credentials.field}",
    "string_type": "expected text",
    "tuple_type": "expected a list",
    "model_type": "expected a map",
    "mapping_type": "expected a map",
}
_PATTERNS = {
    "name": "an agent's name is letters, digits and hyphens inside, 63 characters at most",
    "repository": "write the repository alone, as in agents/hello: no registry before it, no tag or digest behind it",
    "secret": "a Key Vault name has letters, digits and hyphens, 127 at most",
    "version": "a secret's version is 32 hexadecimal digits",
    "connection": "write connection.credentials.field, connection.target or connection.metadata.field",
}


def _unknown(key: str, known: tuple[str, ...] | list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"unknown key; did you mean {near[0]}?" if near else "unknown key"
