"""The documents are correct: their links, make targets and local commands exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from handlers.gateways.storage.state_store import CONTAINER
from local.__main__ import app
from tests.support.markdown import blocks

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)
LOCAL = re.compile(r"python -m local ([a-z-]+)")
COMMANDS = set(getattr(get_command(app), "commands", {}))

BICEP = (ROOT / "infra" / "modules" / "storage.bicep").read_text()
STORAGE_NAMES = {
    kind: set(re.findall(r"'([\w-]+)'", BICEP.partition(f"[for {kind} in [")[2].partition("]:")[0]))
    for kind in ("container", "queue")
}
"""What infra/ makes in the storage account."""
NAMED = {
    "container": re.compile(
        r"""download-batch .*?-s ([\w-]+)|--container-name ([\w-]+)|[Cc]ontainers? `([\w-]+)`"""
        r"""|blobContainerName["': ]+([\w-]+)"""
    ),
    "queue": re.compile(r"--queue-name ([\w-]+)|[Qq]ueues? `([\w-]+)`"),
}
SCREEN_LINES = 48
OTHER_NAMES = {"docs/how-to/teams-message.md": {"outcomes"}}
"""What a page makes itself."""
PLACES = [*PAGES, ROOT / "core" / "reasons.yaml", *sorted((ROOT / "cli").rglob("*.py"))]
PLACES += [*sorted((ROOT / "local").rglob("*.py")), *sorted((ROOT / "infra").rglob("*.bicep"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_exists(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    text = page.read_text()
    assert set(MAKE.findall(text)) <= TARGETS
    assert set(LOCAL.findall(text)) <= COMMANDS


def test_the_index_lists_every_decision_once_by_its_title() -> None:
    decisions = ROOT / "docs" / "decisions"
    listed = re.findall(r"^- \[(.+)\]\((\S+)\)$", (decisions / "README.md").read_text(), re.MULTILINE)
    pages = [page for page in decisions.glob("*.md") if page.name != "README.md"]
    titles = [(page.read_text().splitlines()[0].removeprefix("# "), page.name) for page in pages]
    assert sorted(listed) == sorted(titles)


def test_the_readme_starts_with_its_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```bash\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)
    assert blocks[:2] == ["make demo", "make up"]
    assert "make test" in blocks


def test_the_readme_is_two_screens_long_before_its_settings() -> None:
    start, _, _ = (ROOT / "README.md").read_text().partition("\n## Settings")
    assert len(start.splitlines()) <= 2 * SCREEN_LINES
    assert all(heading in start for heading in ("## Two commands", "## agents.yaml", "## Command line", "## Deploy"))


def test_make_lists_its_targets() -> None:
    described = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "up", "test", "check", "lock", "clean"} <= described


@pytest.mark.parametrize("kind", NAMED)
def test_containers_and_queues_have_the_names_that_infra_gives_them(kind: str) -> None:
    assert STORAGE_NAMES["queue"] == {
        "events",
        "events-poison",
        "releases",
        "releases-poison",
        "commit-statuses",
        "commit-statuses-poison",
    }
    assert STORAGE_NAMES["container"] == {"packages", "deadletters", CONTAINER}
    for place in PLACES:
        found = {"".join(groups) for groups in NAMED[kind].findall(place.read_text())}
        assert found - STORAGE_NAMES[kind] - OTHER_NAMES.get(name(place), set()) == set(), name(place)


def test_every_function_that_a_page_disables_exists() -> None:
    functions = set(re.findall(r"^async def (\w+)", (ROOT / "function_app.py").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"AzureWebJobs\.(\w+)\.", page.read_text())) <= functions


OUTPUTS = set(re.findall(r"^output (\w+)", (ROOT / "infra" / "main.bicep").read_text(), re.MULTILINE))
SET_BY_GITHUB = {"GITHUB_ACTOR", "AZURE_CLIENT_ID", "PWD", "PATH"}


@pytest.mark.parametrize("page", [page for page in PAGES if "docs/decisions" not in str(page)], ids=name)
def test_every_variable_of_a_command_is_set_on_its_page(page: Path) -> None:
    commands = "\n".join(block.text for block in blocks(page.read_text()) if block.kind == "bash")
    is_set = set(re.findall(r"(?:^|[\s;])(\w+)=|^ *for (\w+) in", commands, re.MULTILINE))
    known = {variable for pair in is_set for variable in pair} | OUTPUTS | SET_BY_GITHUB
    assert set(re.findall(r"\$\{?([A-Za-z_]\w*)", commands)) - known == set()


def test_every_alert_has_a_section_in_the_runbook() -> None:
    page = (ROOT / "docs" / "how-to" / "alerts.md").read_text()
    sections = {heading.casefold() for heading in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    alerts = json.loads((ROOT / "infra" / "modules" / "alerts.json").read_text())
    titles = {alert["title"].removeprefix("Slipway: ").casefold() for alert in alerts}
    assert sections == titles | {"events are not delivered"}
    bicep = (ROOT / "infra" / "modules" / "alerts.bicep").read_text()
    assert all(metric in page for metric in re.findall(r"metric: '(\w+)'", bicep))
