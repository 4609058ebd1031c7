"""Reads the text of agents.yaml: typed rules, or every mistake with its place and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.agents_file.fields import short
from core.agents_file.messages import REFS, TOP, no_value, noun, sentence, unknown
from core.agents_file.spec import Agents, AgentSpec
from core.agents_file.yaml_positions import Document, Place, YamlMistake, read

MAX_FILE_BYTES = 1_000_000
"""Bytes: a thousand agents fit; what is larger is not an agents.yaml."""
PAIRS = {("0.5", "1Gi"), ("1", "2Gi"), ("2", "4Gi")}
"""The sandbox sizes that Foundry documents; any other is tried, and refused by the service if it does not exist."""
EXAMPLE = "hello-agent: {repository: agents/hello}"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, where, and what to write instead."""

    where: str
    line: int
    problem: str

    def __str__(self) -> str:
        place = f"{self.where}, line {self.line}" if self.where else f"line {self.line}"
        return "".join(one if one.isprintable() else repr(one)[1:-1] for one in f"{place}: {self.problem}")


class AgentsFileError(Exception):
    """agents.yaml is wrong; ``mistakes`` lists everything that is."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = mistakes
        super().__init__(self.text_for("agents.yaml"))

    def text_for(self, file: str) -> str:
        """A line for each mistake, beginning with the file's name as whoever asked knows it."""
        return "\n".join(f"{file}: {mistake}" for mistake in self.mistakes)


def load_agents(data: bytes) -> Agents:
    """The rules of a file; raises RulesError with every mistake at once."""
    document = _document(data)
    rules: dict[str, AgentSpec] = {}
    found: list[YamlMistake] = []
    if document.readable:
        defaults = _below(document, "defaults")
        found += [*_top(document), *_shared(document, defaults)]
        for name, body in _below(document, "agents").items():
            rule = _agent(document, name, defaults, body)
            if isinstance(rule, AgentSpec):
                rules[name] = rule
            else:
                found += rule
    mistakes = {*document.mistakes, *(one for one in found if not _is_echo(one, document))}
    if mistakes:
        told = (Mistake(".".join(short(key) for key in one.place), one.line, one.what) for one in mistakes)
        raise AgentsFileError(tuple(sorted(told, key=lambda one: (one.line, one.where, one.problem))))
    return Agents.model_construct(agents=rules)


def warnings(agents: Agents) -> tuple[str, ...]:
    """What is unusual and may be refused by Foundry, one line each."""
    return tuple(
        f"agents.{spec.name}: cpu {spec.cpu} with memory {spec.memory} is no documented size (0.5:1Gi, 1:2Gi, 2:4Gi)"
        for spec in agents.agents.values()
        if (spec.cpu, spec.memory) not in PAIRS
    )


def _document(data: bytes) -> Document:
    if len(data) > MAX_FILE_BYTES:
        raise AgentsFileError((Mistake("", 1, f"the file has {len(data):,} bytes; {MAX_FILE_BYTES:,} are the most"),))
    try:
        return read(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise AgentsFileError((Mistake("", line, "the file is not UTF-8 text; save it as UTF-8"),)) from error


def _below(document: Document, key: str) -> Mapping[str, Any]:
    found = document.value.get(key) if isinstance(document.value, dict) else None
    return found if isinstance(found, dict) else {}


def _top(document: Document) -> Iterator[YamlMistake]:
    top = document.value
    if not isinstance(top, dict):
        what = "the file is empty" if top is None else f"the file is {noun(top)}"
        yield YamlMistake((), 1, f"{what}; expected `agents:` and below it {EXAMPLE}")
        return
    strange = {key: unknown(key, TOP) for key in top if key not in TOP}
    for key, what in strange.items():
        yield YamlMistake((key,), document.line(key), what)
    if "agents" not in top and not any("did you mean agents" in what for what in strange.values()):
        yield YamlMistake((), 1, f"expected `agents:` and below it {EXAMPLE}")
    if "agents" in top and (not isinstance(top["agents"], dict) or not top["agents"]):
        what = f"expected a map of agents, not {noun(top['agents'])}" if top["agents"] else "has no agent"
        yield YamlMistake(("agents",), document.line("agents"), f"{what}; write below it {EXAMPLE}")
    if not isinstance(top.get("defaults", {}), dict):
        given = top["defaults"]
        what = no_value() if given is None else f"expected a map of what every agent shares, not {noun(given)}"
        yield YamlMistake(("defaults",), document.line("defaults"), what)


def _shared(document: Document, defaults: Mapping[str, Any]) -> Iterator[YamlMistake]:
    """Mistakes of the defaults alone, told once and not per agent; what is missing in them an agent may give."""
    if "name" in defaults:
        yield YamlMistake(("defaults", "name"), document.line("defaults", "name"), _own_name())
    try:
        AgentSpec.model_validate({"repository": "shared", **defaults, "name": "shared"})
    except ValidationError as wrong:
        for error in wrong.errors():
            if error["type"] not in ("missing", "incomplete"):
                yield _mistake(document, ("defaults",), error)


def _agent(document: Document, name: str, defaults: Mapping[str, Any], body: Any) -> AgentSpec | list[YamlMistake]:
    home = ("agents", name)
    if not isinstance(body, dict):
        what = f"expected a map such as {{repository: agents/hello}}, not {noun(body)}"
        return [YamlMistake(home, document.line(*home), what)]
    mistakes = [YamlMistake((*home, "name"), document.line(*home, "name"), _own_name())] if "name" in body else []
    whole = {**_merged(defaults, body), "name": name}
    if isinstance(defaults.get("env"), dict) and isinstance(body.get("env"), dict):
        whole["env"] = {**defaults["env"], **body["env"]}  # a variable's value is replaced, {secret: …} too
    try:
        rule = AgentSpec.model_validate(whole)
    except ValidationError as wrong:
        return mistakes + [_mistake(document, home, error) for error in wrong.errors()]
    return mistakes or rule


def _merged(defaults: Any, own: Any) -> Any:
    """Maps merge, everything else is replaced."""
    if not isinstance(defaults, dict) or not isinstance(own, dict):
        return own
    return {**defaults, **{key: _merged(defaults.get(key), value) for key, value in own.items()}}


def _mistake(document: Document, home: Place, error: ErrorDetails) -> YamlMistake:
    """What pydantic found, at the line where it was written: in the agent, or in the defaults."""
    keys = tuple(str(part) for part in error["loc"])
    keys = keys[:-1] if keys[-1] == "[key]" else keys
    keys = keys[:2] + keys[3:] if keys[0] == "env" and keys[2:3] and keys[2] in REFS else keys
    in_file = () if keys == ("name",) else keys  # an agent's name is the key above its rule
    in_file = _without_own_index(document, home, in_file)
    if _depth(document, ("defaults",), in_file) > _depth(document, home, in_file):
        home = ("defaults",)
    place = (*home, *in_file)
    return YamlMistake(place, document.line(*place), sentence(error, keys, document.written.get(place)))


def _without_own_index(document: Document, home: Place, keys: Place) -> Place:
    """The place as it is written: one question may stand without a list around it."""
    listed = any((*root, *keys[:3]) in document.lines for root in (home, ("defaults",)))
    return keys[:2] + keys[3:] if keys[:1] == ("release",) and keys[2:3] == ("0",) and not listed else keys


def _depth(document: Document, home: Place, keys: Place) -> int:
    return max(count for count in range(len(keys) + 1) if count == 0 or (*home, *keys[:count]) in document.lines)


def _is_echo(mistake: YamlMistake, document: Document) -> bool:
    """Whether a mistake only follows from one that YAML itself has at the same place, or from a merge key."""
    return any(
        (one.place, one.line) == (mistake.place, mistake.line)
        or (one.place == (*mistake.place[:-1], "<<") and mistake.what.startswith("is missing"))
        for one in document.mistakes
    )


def _own_name() -> str:
    return "unknown key; an agent's name is the key above it"
