"""README and the how-to pages as a reader follows them: their command blocks run on a stack, unchanged and in order.

A block that cannot run here says why in a comment above it: ``<!-- not run: … -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from local.endpoints import PORTS, ROOT
from local.stack_client import StackClient, eventually, stack
from tests.e2e.transcripts import Shell, create_stray_agent
from tests.support.markdown import Block, blocks

DONE_BY_THE_TEST = re.compile(r"^(?:make |source \.venv/).*$", re.MULTILINE)
"""The test has started a stack, and has the checkout on its path."""
DOCTOR = re.compile(r"^slipway doctor.*$", re.MULTILINE)
"""It exits with 1 where something is wrong, which an earlier page may have left."""
PRINTS = re.compile(r"# prints: (.*)$", re.MULTILINE)
HOW_TO = ROOT / "docs" / "how-to"
FIRST = HOW_TO / "move-from-azd-deploy.md"
"""It begins with an agent that Slipway has never seen."""
PAGES = [FIRST, ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted(set(HOW_TO.glob("*.md")) - {FIRST})]
SHOP = "  shop-agent:\n    repository: agents/shop\n"


def has_commands(page: Path) -> bool:
    return any(command_of(block) for block in blocks(page.read_text()))


def command_of(block: Block) -> str:
    """What of a block runs here."""
    is_run = block.kind == "bash" and not block.why_not_run
    return DONE_BY_THE_TEST.sub("", block.text).strip() if is_run else ""


def write(running: StackClient, block: Block) -> None:
    """Write a file of a page, with the address of this stack's Foundry."""
    name = "agents.yaml" if block.title.endswith("agents.yaml") else block.title
    address = f"https://127.0.0.1:{PORTS['foundry']}"
    (running.folder / name).write_text(block.text.replace(address, running.endpoints["foundry"]))


def put_live(running: StackClient, agent: str, *references: str) -> None:
    """Push images, each once the one before has the traffic."""
    for reference in references:
        repository, _, tag = reference.partition(":")
        digest = running.push(repository, tag, salt=reference)
        eventually(lambda digest=digest: live_image(running, agent).endswith(digest), f"{reference} is live")  # type: ignore[misc]


def live_image(running: StackClient, agent: str) -> str:
    with suppress(ResourceNotFoundError), running.foundry() as project:
        endpoint: Any = project.agents.get(agent).agent_endpoint
        (rule,) = endpoint.version_selector.version_selection_rules
        version: Any = project.agents.get_version(agent, rule.agent_version)
        return str(version["definition"]["container_configuration"]["image"])
    return ""


def put_secret(running: StackClient, name: str) -> None:
    running.put("vault", f"/_local/secrets/{name}", {"value": "made-up-value"})


def put_orders_live(running: StackClient) -> None:
    put_secret(running, "orders-api-key")
    put_live(running, "orders-assistant", "orders/assistant:v1")


BEFORE: dict[str, Callable[[StackClient], None]] = {
    "alerts.md": lambda running: put_live(running, "hello-agent", "agents/hello:v1", "agents/hello:v2"),
    "incident.md": lambda running: put_live(running, "shop-agent", "agents/shop:v1", "agents/shop:v2"),
    "move-from-azd-deploy.md": lambda running: create_stray_agent(running, "support-agent", "agents/support", "v7"),
    "move-traffic-back.md": lambda running: put_live(running, "shop-agent", "agents/shop:v3", "agents/shop:v4"),
    "nothing-happened.md": lambda running: put_live(running, "hello-agent", "agents/hello:v1"),
    "private-registry.md": lambda running: put_live(running, "hello-agent", "agents/hello:v1"),
    "several-teams.md": put_orders_live,
    "tutorial.md": lambda running: put_secret(running, "greeter-key"),
}
"""What a page assumes to have happened."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "agents.yaml").write_text((ROOT / "agents.yaml").read_text())
    with stack(folder, "--agents", str(folder / "agents.yaml")) as running:
        yield running


@pytest.mark.timeout(600)  # some pages start thirty programs
@pytest.mark.parametrize("page", [page for page in PAGES if has_commands(page)], ids=lambda page: page.name)
def test_every_command_of_a_page_works_in_order(page: Path, running: StackClient) -> None:
    (running.folder / "agents.yaml").write_text((ROOT / "agents.yaml").read_text() + SHOP)
    files = [block for block in blocks(page.read_text()) if block.title]
    for block in reversed(files):  # the first version of a file that the page changes later
        write(running, block)
    if before := BEFORE.get(page.name):
        before(running)
    shell = Shell(running, running.folder)
    for block in blocks(page.read_text()):
        if block.title:
            write(running, block)
        if command := command_of(block):
            output = shell.run("set -e\n" + DOCTOR.sub(r"{ \g<0>\n} || [ $? = 1 ]", command))
            assert "(exit code" not in output, f"{command}\n{output}"
            assert all(expected in output for expected in PRINTS.findall(command)), output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_with_commands_is_read_whole(page: Path) -> None:
    text = page.read_text()
    assert len(re.findall(r"^ *```bash", text, re.MULTILINE)) == sum(b.kind == "bash" for b in blocks(text))
