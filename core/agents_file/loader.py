"""Reads the text of agents.yaml into agent specs, or lists everything that is wrong, with path and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.agents_file import evaluation, messages, release_windows, signers, stages
from core.agents_file.github import GitHubSpec
from core.agents_file.projects import Problem, Projects, read_projects
from core.agents_file.signers import ReadFile
from core.agents_file.spec import Agents, AgentSpec
from core.agents_file.warnings import find_warnings
from core.agents_file.yaml_positions import AgentsFileError, Document, Issue, KeyPath, read
from core.target import ALL_AGENTS, DEFAULT_PROJECT

__all__ = ["AgentsFileError", "load_agents", "past_freezes", "warnings"]

MAX_FILE_BYTES = 1_000_000
"""Enough for a thousand agents."""
EXAMPLE = "hello-agent: {repository: agents/hello}"
WINDOWS, SIGNED_BY = ("release", "windows"), ("release", "signed_by")
Homes = tuple[KeyPath, ...]
"""Where the keys of a target stand, in the order in which they count: its stage, its agent, the defaults."""


def _no_files(name: str) -> bytes:
    raise FileNotFoundError(0, "no file is read here", name)


def load_agents(data: bytes, read_file: ReadFile = _no_files) -> Agents:
    """The targets of a file, and the files that they name; raises AgentsFileError with every issue at once."""
    document = _document(data)
    read_file = cache(read_file)  # agents and their stages often name the same file
    defaults, projects = _map_at(document, "defaults"), Projects()
    issues = [*_top_level_issues(document), *_defaults_issues(document, defaults), *_name_issues(document)]
    if isinstance(document.value, dict) and "projects" in document.value:
        projects, problems = read_projects(document.value["projects"])
        issues += _issues_below(document, ("projects",), problems)
    agents, homes = dict[str, AgentSpec](), dict[str, Homes]()
    for name, body in _map_at(document, "agents").items():
        found, wrong = _specs(document, name, defaults, body, projects.endpoints)
        issues += wrong
        for number, (home, stage, spec) in enumerate(found):
            filled, in_files = _with_files(spec, read_file)
            issues += [_located(document, home, ("release", *keys), message) for keys, message in in_files]
            found[number] = home, stage, filled
        for target in stages.targets([(stage, spec) for _, stage, spec in found]):
            agents[target.name] = target
            homes[target.name] = found[target.place.number - 1][0]
    github, github_issues = _github(document)
    issues += github_issues
    all_issues = {*document.issues, *(issue for issue in issues if not _is_consequence(issue, document))}
    if all_issues:
        raise AgentsFileError(*sorted(all_issues, key=lambda issue: (issue.line, issue.path, issue.message)))
    return Agents.model_construct(
        agents=agents,
        projects=projects.endpoints,
        vaults=projects.vaults,
        github=github,
        lines=document.lines,
        homes=homes,
    )


def warnings(agents: Agents) -> tuple[str, ...]:
    """What is valid and probably not meant, one line each, with its position."""
    return tuple(f"{'.'.join(issue.path)}: {issue.message} (line {issue.line})" for issue in find_warnings(agents))


def _document(data: bytes) -> Document:
    if len(data) > MAX_FILE_BYTES:
        raise AgentsFileError(Issue((), 1, f"the file has {len(data):,} bytes; the maximum is {MAX_FILE_BYTES:,}"))
    try:
        if b"\0" in data[:2]:
            raise _not_utf_8(1)  # UTF-16 without a BOM, which decodes as UTF-8
        return read(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _not_utf_8(data[: error.start].count(b"\n") + 1) from error


def _not_utf_8(line: int) -> AgentsFileError:
    return AgentsFileError(Issue((), line, "the file is not UTF-8 text; save it as UTF-8"))


def _map_at(document: Document, key: str) -> Mapping[str, Any]:
    value = document.value.get(key) if isinstance(document.value, dict) else None
    return value if isinstance(value, dict) else {}


def _top_level_issues(document: Document) -> Iterator[Issue]:
    top = document.value
    if not isinstance(top, dict):
        problem = "the file is empty" if top is None else f"the file is {messages.kind_of(top)}"
        yield Issue((), 1, f"{problem}; expected `agents:` and under it {EXAMPLE}")
        return
    valid = messages.TOP_LEVEL_KEYS
    unknown = {key: messages.unknown_key(key, valid) for key in top if key not in valid}
    for key, message in unknown.items():
        yield Issue((key,), document.line(key), message)
    if "agents" not in top and not any("did you mean agents" in message for message in unknown.values()):
        yield Issue((), 1, f"expected `agents:` and under it {EXAMPLE}")
    agents, defaults = top.get("agents", {}), top.get("defaults", {})
    if "agents" in top and (not isinstance(agents, dict) or not agents):
        problem = f"expected a map of agents, found {messages.kind_of(agents)}" if agents else "has no agent"
        yield Issue(("agents",), document.line("agents"), f"{problem}; write under it {EXAMPLE}")
    if not isinstance(defaults, dict):
        shared = f"expected a map of the keys that all agents share, found {messages.kind_of(defaults)}"
        yield Issue(("defaults",), document.line("defaults"), messages.NO_VALUE if defaults is None else shared)


def _name_issues(document: Document) -> Iterator[Issue]:
    """Names that people and portals take for the same agent, and the one that commands take for every agent."""
    earlier: dict[str, str] = {}
    for name in _map_at(document, "agents"):
        if name == ALL_AGENTS:
            message = "commands mean every agent by this name; give the agent another one"
            yield Issue(("agents", name), document.line("agents", name), message)
        same = earlier.setdefault(name.lower(), name)
        if same != name:
            line = document.line("agents", same)
            message = f"differs from {same} in line {line} only in case; give each agent a name of its own"
            yield Issue(("agents", name), document.line("agents", name), message)


def _defaults_issues(document: Document, defaults: Mapping[str, Any]) -> Iterator[Issue]:
    """What is wrong in the defaults themselves, listed once; keys that are missing there may be in the agents."""
    if "name" in defaults:
        yield Issue(("defaults", "name"), document.line("defaults", "name"), messages.OWN_NAME)
    try:
        own = {key: value for key, value in defaults.items() if key != "stages"}
        AgentSpec.model_validate({"repository": "shared", **own, "name": "shared"})
    except ValidationError as failure:
        for error in failure.errors():
            if error["type"] not in ("missing", "incomplete"):
                yield _issue(document, (("defaults",),) * 2, error)


def _specs(
    document: Document, name: str, defaults: Mapping[str, Any], body: Any, projects: Mapping[str, str]
) -> tuple[list[tuple[Homes, stages.Stage, AgentSpec]], list[Issue]]:
    """What the file says about an agent in each of its stages, with where that stands; and what is wrong."""
    homes: Homes = (("agents", name), ("defaults",))
    if not isinstance(body, dict):
        message = f"expected a map such as {{repository: agents/hello}}, found {messages.kind_of(body)}"
        return [], [Issue(homes[0], document.line(*homes[0]), message)]
    own = {**_with_env(defaults, body), "name": name}
    at, found, issues = homes[0], [stages.Stage((), (DEFAULT_PROJECT,))], list[Issue]()
    if "stages" in own:
        at = (*homes["stages" not in body], "stages")
        read, problems = stages.read_stages(own.pop("stages"), projects)
        found, issues = read or [stages.Stage((), ())], _issues_below(document, at, problems)
    specs = list[tuple[Homes, stages.Stage, AgentSpec]]()
    for stage in found:
        places = ((*at, *stage.keys), *homes) if stage.keys else homes
        spec = _spec(document, places, _with_env(own, stage.overrides))
        if isinstance(spec, AgentSpec):
            specs.append((places, stage, spec))
        else:
            issues += spec
    return specs, issues


def _spec(document: Document, homes: Homes, keys: Mapping[str, Any]) -> AgentSpec | list[Issue]:
    own_name = (*homes[-2], "name")
    issues = [Issue(own_name, document.line(*own_name), messages.OWN_NAME)] if own_name in document.lines else []
    try:
        spec = AgentSpec.model_validate(keys)
    except ValidationError as failure:
        return issues + [_issue(document, homes, error) for error in failure.errors()]
    return [*issues, *_window_issues(document, homes, spec)] or spec


def _issues_below(document: Document, home: KeyPath, problems: list[Problem]) -> list[Issue]:
    return [Issue((*home, *keys), document.line(*home, *keys), message) for keys, message in problems]


def _with_env(outer: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of both; a variable's value is replaced, also {secret: …}."""
    merged: dict[str, Any] = _merge(outer, own)
    if isinstance(outer.get("env"), dict) and isinstance(own.get("env"), dict):
        merged["env"] = {**outer["env"], **own["env"]}
    return merged


def _github(document: Document) -> tuple[GitHubSpec | None, list[Issue]]:
    """The key ``github``, where the file has it."""
    if not isinstance(document.value, dict) or "github" not in document.value:
        return None, []
    try:
        return GitHubSpec.model_validate(document.value["github"]), []
    except ValidationError as failure:
        paths = [(("github", *map(str, error["loc"])), error) for error in failure.errors()]
        return None, [Issue(path, document.line(*path), _message(document, path, path, error)) for path, error in paths]


def _with_files(spec: AgentSpec, read_file: ReadFile) -> tuple[AgentSpec, list[tuple[KeyPath, str]]]:
    """The spec with its dataset, keys and trusted root, and what is wrong below ``release`` and in these files."""
    files = signers.read_files(spec.release.signed_by, spec.release.trusted_root, read_file)
    release, issues = spec.release.with_signers(files.signers, files.root), list(files.issues)
    asked = release.evaluate
    if asked is not None:
        issues += [(("evaluate", *keys), message) for keys, message in evaluation.find_issues(asked)]
        data, problem = signers.read(asked.dataset, read_file)
        filled, problems = (asked, (problem,)) if problem else asked.with_dataset(data)
        release = release.model_copy(update={"evaluate": filled})
        issues += [(("evaluate", "dataset"), f"{asked.dataset} {problem}") for problem in problems]
    return spec if release is spec.release else spec.model_copy(update={"release": release}), issues


def past_freezes(agents: Agents, now: datetime) -> list[Issue]:
    """The freezes that are over, each once; the file is valid all the same."""
    document = Document(lines=dict(agents.lines))
    found = set[Issue]()
    for name, spec in agents.agents.items():
        windows = spec.release.windows
        over = release_windows.past_freezes(windows, now) if windows else ()
        found |= {_located(document, agents.homes[name], (*WINDOWS, *keys), message) for keys, message in over}
    return sorted(found, key=lambda issue: issue.line)


def _window_issues(document: Document, homes: Homes, spec: AgentSpec) -> list[Issue]:
    windows = spec.release.windows
    found = release_windows.find_issues(windows) if windows else ()
    return [_located(document, homes, (*WINDOWS, *keys), message) for keys, message in found]


def _merge(defaults: Any, own: Any) -> Any:
    """Merge maps; replace everything else, but for signers, which are added to those of the defaults."""
    if not isinstance(defaults, dict) or not isinstance(own, dict):
        return own
    merged = {**defaults, **{key: _merge(defaults.get(key), value) for key, value in own.items()}}
    added, shared = own.get("signed_by"), defaults.get("signed_by")
    if isinstance(added, list) and added and isinstance(shared, list):
        merged["signed_by"] = [*added, *shared]
    return merged


def _issue(document: Document, homes: Homes, error: ErrorDetails) -> Issue:
    """An error of pydantic, at the line of the value: in the stage, in the agent, or in the defaults."""
    keys = tuple(str(part) for part in error["loc"])
    keys = keys[:-1] if keys[-1] == "[key]" else keys
    kind = {"env": 2, "release": 3}.get(keys[0], len(keys))  # where pydantic names the form of a value
    keys = keys[:kind] + keys[kind + 1 :] if keys[kind : kind + 1] and keys[kind] in messages.REFERENCE_KEYS else keys
    in_file = () if keys == ("name",) else keys  # the name of an agent is the key above its spec
    path = _path(document, homes, _without_added_index(document, homes, in_file))
    return Issue(path, document.line(*path), _message(document, path, keys, error))


def _message(document: Document, path: KeyPath, keys: KeyPath, error: ErrorDetails) -> str:
    return messages.message_of(error, keys, document.scalars.get(path))


def _located(document: Document, homes: Homes, keys: KeyPath, message: str) -> Issue:
    path = _path(document, homes, _without_added_index(document, homes, keys))
    return Issue(path, document.line(*path), message)


def _path(document: Document, homes: Homes, keys: KeyPath) -> KeyPath:
    """Where the value is; one that is missing belongs in the agent. The signers of all places are one list."""
    if keys[:2] == SIGNED_BY and keys[2:]:
        items = [(*home, *SIGNED_BY, str(number)) for home in homes for number in range(int(keys[2]) + 1)]
        return (*[item for item in items if item in document.lines][int(keys[2])], *keys[3:])
    depths = [_depth(document, home, keys) for home in homes]
    home = homes[depths.index(max(depths))] if any(depths) else homes[-2]
    return (*home, *keys)


def _without_added_index(document: Document, homes: Homes, keys: KeyPath) -> KeyPath:
    """The path in the file, where a single probe or window may stand without a list around it."""
    index = 3 if keys[:2] == WINDOWS else 2
    listed = any((*root, *keys[: index + 1]) in document.lines for root in homes)
    added = keys[:1] == ("release",) and keys[index : index + 1] == ("0",) and not listed
    return keys[:index] + keys[index + 1 :] if added else keys


def _depth(document: Document, home: KeyPath, keys: KeyPath) -> int:
    return max(count for count in range(len(keys) + 1) if count == 0 or (*home, *keys[:count]) in document.lines)


def _is_consequence(issue: Issue, document: Document) -> bool:
    """Whether an issue only follows from an issue of the YAML: of the same value, of one in it, or of a merge key."""
    return any(
        (cause.path, cause.line) == (issue.path, issue.line)
        or cause.path[:-1] == issue.path
        or (cause.path == (*issue.path[:-1], "<<") and issue.message.startswith("is missing"))
        for cause in document.issues
    )
