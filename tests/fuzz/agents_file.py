"""agents.yaml: any file is either valid and usable, or rejected with readable issues."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import yaml
from hypothesis import strategies as st

from core.agents_file.loader import AgentsFileError, load_agents, warnings
from core.agents_file.spec import AgentSpec
from core.agents_file.tag_policy import check_newer, check_tag
from core.definition import ResolvedDefinition, metadata, resolve, secret_refs
from core.intake.events import runtime_hash
from core.model import Push, Secret, SecretValue
from tests.fuzz.target import Target
from tests.fuzz.values import DEEP, LEAVES, VALUES, as_bytes, mutated

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TAGS = ("v1.2.3", "1.0.0-rc.1", "42", "latest", "_", "0" * 128)
SPEC: dict[str, Any] = {
    "repository": "agents/support",
    "tags": {"order": "semver", "range": ">=1.0.0 <2.0.0", "allow": ["^v"], "ignore": ["-dev$"], "extract": "v(.*)"},
    "cpu": "1",
    "memory": "2Gi",
    "image": "amd64",
    "inspect": "never",
    "protocols": {"responses": "2.0.0", "invocations": "1.0.0"},
    "env": {
        "MODEL": "gpt-4o-mini",
        "KEY": {"secret": "search-key"},
        "PINNED": {"secret": "crm-key", "version": "4387e9f3d6e14c459867679a90fd0f79"},
        "TOKEN": {"connection": "crm.credentials.key"},
    },
    "env_from_vault": False,
    "tools": [{"type": "code_interpreter"}, {"type": "mcp", "server_label": "d", "server_url": "https://d.example"}],
    "more_definition": {"session_configuration": {"idle_timeout_seconds": 900}},
    "release": {
        "mode": "manual",
        "min_push_age": "1h30m",
        "debounce": "30s",
        "on_secret_change": "notify",
        "provision_within": "10m",
        "verify": [{"ask": "ping", "expect": "pong", "within": "60s"}, {"post": {"a": 1}, "status": 200}],
        "check": {"ask": "ping", "expect": "(?i)pong"},
        "hold_for": "7d",
    },
    "keep": {"newest": 5, "min_age": "14d", "failed": "2d", "tags": [r"^v\d+$"], "foreign": True, "limit": 100},
}
FILES: list[Any] = [
    {"agents": {"hello-agent": {"repository": "agents/hello"}}},
    {"defaults": {"cpu": "2", "memory": "4Gi", "env": {"A": "b"}}, "agents": {"a": SPEC, "b": {"repository": "b"}}},
    *({"agents": {"a": {"repository": "a/b", key: value}}} for key, value in SPEC.items() if key != "repository"),
]
LINES = [
    "agents:", "  a:", "    repository: agents/a", "    env:", "      A: no", "      B: {secret: key}", "defaults: {}",
    "    release: {mode: auto", "    tags: &t [", "    keep: *t", "  <<: *t", "- a", "? x", ": y", "%YAML 1.2", "---",
    "...", "\tx: 1", "    cpu: 0x1F", "    memory: 1_0:30", "    at: 2026-11-24", "    on: !!python/object:os.system x",
    "    s: |", "      text", "    'q: 1", '    "\\ud800": 1', "    n: .nan", "    d: 2026-13-45",
    "    m: 9" + "9" * 99, "# comment", "  b: {repository: agents/a}", "  a: {repository: agents/b}",
    "    more_definition: " + DEEP,
    "    env: {A: &a [*a]}", "\ufeff", "\x00", "    x: !!binary =", "    f: !!float x", "    i: !!int ''",
]  # fmt: skip


def _dumped(value: Any) -> str:
    """Plain YAML if possible, otherwise JSON."""
    try:
        return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
    except (yaml.YAMLError, RecursionError):
        return json.dumps(value)


@st.composite
def _file(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["json", "json", "json", "yaml", "lines", "lines", "bytes", "value"]))
    if kind == "lines":
        return as_bytes("\n".join(draw(st.lists(st.sampled_from(LINES), max_size=12))))
    if kind == "bytes":
        return draw(st.binary(max_size=60))
    if kind == "value":
        return as_bytes(
            json.dumps({"agents": {"a": {"repository": "a", draw(st.sampled_from(list(SPEC))): draw(VALUES)}}})
        )
    value = draw(mutated(*FILES))
    return as_bytes(_dumped(value) if kind == "yaml" else json.dumps(value))


async def _load(data: bytes) -> None:
    try:
        agents = load_agents(data)
    except AgentsFileError as error:
        assert error.issues, "rejected without a reason"
        for issue in error.issues:
            text = str(issue)
            text.encode()
            assert "\n" not in text, "an issue of several lines"
            assert len(text) < 1_000, f"an issue of {len(text)} characters"
        raise
    warnings(agents)
    for spec in agents.agents.values():
        _use(spec)


def _use(spec: AgentSpec) -> None:
    """Use an agent spec: check tags, and resolve a definition."""
    runtime_hash(spec)
    push = Push(spec.repository, f"sha256:{'a' * 64}", "v1", NOW, "event")
    for tag in TAGS:
        if check_tag(spec.tags, tag) is None:
            check_newer(spec.tags, Push(spec.repository, f"sha256:{'b' * 64}", tag, NOW, "event"), push)
    refs = secret_refs(spec, {})
    assert isinstance(refs, dict), "secrets without a tag conflict"
    secrets = {name: (ref, Secret(ref.secret, "0" * 32, SecretValue("value"))) for name, ref in refs.items()}
    resolved = resolve(spec, push, "demo.azurecr.io", secrets, None, NOW)
    assert isinstance(resolved, ResolvedDefinition), "nothing is missing, but it does not resolve"
    json.dumps(metadata(push, resolved, None, 1)).encode()


TARGETS = (
    Target("agents.yaml", "bytes of the file, up to definitions", _file(), _load, (AgentsFileError,), share=20),
    Target(
        "tags",
        "tags against every kind of tag policy",
        st.tuples(
            st.sampled_from(["pushed", "semver", "number", "alphabetical"]), st.text(max_size=40) | LEAVES.map(str)
        ),
        lambda order_and_tag: _compare_tags(*order_and_tag),
        share=5,
    ),
)


async def _compare_tags(order: str, tag: str) -> None:
    text = tag.encode("utf-8", "replace").decode()  # as in an event
    for extract in (None, "v?(.*)", "([0-9]+)"):
        tags = {"order": order} | ({"extract": extract} if extract else {})
        agents = load_agents(json.dumps({"agents": {"a": {"repository": "a", "tags": tags}}}).encode())
        policy = agents.agents["a"].tags
        first = Push("a", f"sha256:{'a' * 64}", text, NOW, "event")
        second = Push("a", f"sha256:{'b' * 64}", "42", NOW, "event")
        if check_tag(policy, text) or check_tag(policy, second.tag):
            continue
        assert check_newer(policy, first, first) is not None, "a push is newer than itself"
        is_newer = [check_newer(policy, first, second) is None, check_newer(policy, second, first) is None]
        assert sum(is_newer) == 1, "neither push is newer, or both are"
