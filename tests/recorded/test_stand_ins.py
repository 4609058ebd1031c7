"""Each recorded request is sent to a stand-in, and its answer compared with the recorded one.

What differs and stays stands in a table of docs/reference/wire.md; the test fails for a difference that is not there,
and for one there that does not occur.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from local.foundry.evaluation_json import Evaluation
from local.foundry.server import Foundry
from local.foundry.state import Provisioning
from local.registry.repository import Repository
from local.registry.server import Registry
from local.vault import SecretVersion, Vault
from tests.recorded.exchanges import Exchange, Json, exchange, exchanges, needs_recordings
from tests.recorded.laptop import HOSTED, Laptop
from tests.recorded.shapes import Answer, differences

pytestmark = needs_recordings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "wire.md"
HEADING = "## Where a stand-in differs"
AGENT, OTHER, SESSIONS = "sanitized-hosted-agent-name", "cs-e2e-hosted2", "java-hosted-agent-sample-sessions-test"
SECRET, REPOSITORY = "crudsecretname-cantgetadisabledsecret-", "repo605d41ad"
TOOLBOX = "toolbox_with_mcp_tool"
EVAL, RUN = "eval_fdda3d1f8c09428faab0a43073de72f7", "evalrun_dc8e945b63614fa485f3f2351b54e3d4"


Prepare = Callable[[Laptop, Json], None]
"""Puts what the request met into the state; it gets the recorded body."""


def nothing(_: Laptop, __: Json) -> None:
    """The request meets an empty state."""


@dataclass(frozen=True)
class Asked:
    """How a recorded request is sent to a stand-in."""

    prepare: Prepare = nothing
    path: str = ""
    """In place of a path that was left out of the recording."""
    body: Callable[[Json], Json] | None = None
    """Makes the body of the recorded answer's, where the request's was not recorded, or cannot be sent."""
    has_token: bool = True


def first_of_new_numbers(laptop: Laptop, body: Json) -> None:
    laptop.agent(body["name"]).last_number = int(body["version"]) - 1


def active_at_once(laptop: Laptop, _: Json) -> None:
    laptop.foundry.project.provisioning.seconds = 0


def creating(laptop: Laptop, body: Json) -> None:
    laptop.put_version(body, ready=False)


def active(laptop: Laptop, body: Json) -> None:
    laptop.put_version(body)


def pinned_to_an_older_version(laptop: Laptop, body: Json) -> None:
    agent = laptop.put_hosted(AGENT, "21", "31")
    rule = {"type": "FixedRatio", "agent_version": "21", "traffic_percentage": 100}
    agent.endpoint["version_selector"] = {"version_selection_rules": [rule]}
    laptop.foundry.project.provisioning.answer = {".*": body["output"][0]["content"][0]["text"]}


def versions(name: str, *numbers: str) -> Prepare:
    def prepare(laptop: Laptop, _: Json) -> None:
        laptop.put_hosted(name, *numbers)

    return prepare


def session(key: str) -> Prepare:
    def prepare(laptop: Laptop, _: Json) -> None:
        laptop.put_session(AGENT, key)

    return prepare


def listed(laptop: Laptop, body: Json) -> None:
    for version in reversed(body["data"]):
        laptop.put_version(version)


def latest(laptop: Laptop, body: Json) -> None:
    laptop.put_version(body["versions"]["latest"])


def from_an_image(body: Json) -> Json:
    """The definition of a version, with an image in place of what it was made of."""
    return HOSTED | {key: value for key, value in body["definition"].items() if key in ("cpu", "memory")}


def same_definition(laptop: Laptop, body: Json) -> None:
    laptop.put_version(body | {"definition": from_an_image(body)})
    laptop.foundry.project.provisioning.service_metadata = body["metadata"]


def same_definition_without_metadata(laptop: Laptop, body: Json) -> None:
    laptop.put_version(body | {"definition": from_an_image(body), "version": "1", "metadata": {}})
    laptop.foundry.project.provisioning = Provisioning(seconds=0, metadata_counts=True, service_metadata={})


def without_reminders(laptop: Laptop, _: Json) -> None:
    laptop.foundry.project.provisioning.disabled_tools = ["reminder_preview"]


def two_toolbox_versions(laptop: Laptop, _: Json) -> None:
    versions = [{"version": number} for number in ("1", "2")]
    laptop.foundry.project.toolboxes[TOOLBOX] = {"versions": versions, "last_number": 2, "default": None}


def disabled_secret(laptop: Laptop, _: Json) -> None:
    laptop.vault.secrets[SECRET] = [SecretVersion("x", enabled=False)]


def two_tags(laptop: Laptop, body: Json) -> None:
    tags = {tag["name"]: tag["digest"] for tag in body["tags"]}
    times = {name: -float(index) for index, name in enumerate(tags)}
    laptop.registry.repositories[REPOSITORY] = Repository(tags=tags, tagged_at=times)


def evaluation_of(laptop: Laptop, number: str, key: str) -> Evaluation:
    """The evaluation that a recorded request created, by the id that it got."""
    return laptop.foundry.evaluations.create(exchange(number).request["body"], key)


def evaluation(laptop: Laptop, _: Json) -> None:
    evaluation_of(laptop, "50", EVAL)


def run(seconds: float) -> Prepare:
    def prepare(laptop: Laptop, _: Json) -> None:
        evaluations, sent = laptop.foundry.evaluations, exchange("52").request["body"]
        evaluations.script.seconds = seconds
        evaluations.start(evaluation_of(laptop, "50", EVAL), sent, RUN)

    return prepare


def agent_evaluation(laptop: Laptop, _: Json) -> None:
    evaluation_of(laptop, "50", "eval_0c222b50ca9c494badfed4b921c953b3")


def run_of_graders(laptop: Laptop, body: Json) -> None:
    evaluations, row = laptop.foundry.evaluations, body["data"][0]
    evaluations.script.seconds = 0
    content = [{"item": row["datasource_item"]}] * int(body["last_id"])
    source = {"type": "jsonl", "source": {"type": "file_content", "content": content}}
    created = evaluation_of(laptop, "51", row["eval_id"])
    evaluations.start(created, {"name": "graders", "data_source": source}, row["run_id"])


ASKED = {
    "01": Asked(first_of_new_numbers),
    "02": Asked(creating),
    "03": Asked(active),
    "04": Asked(pinned_to_an_older_version),
    "05": Asked(listed),
    "06": Asked(versions(AGENT, "21")),
    "07": Asked(latest),
    "08": Asked(session("9cfbf0b166bd3cc600CpdH2kCbUF21dlYaDKp3zbQ35OHWdtLG")),
    "09": Asked(session("8c82c4e1feccd47a0043CRLE0UACkvyyUk5ZrMi3qm5unmcTWz")),
    "10": Asked(same_definition, body=lambda body: {"definition": from_an_image(body)}),
    "11": Asked(same_definition, body=lambda body: {"definition": from_an_image(body)}),
    "12": Asked(latest),
    "13": Asked(
        same_definition_without_metadata,
        body=lambda body: {"definition": from_an_image(body), "metadata": body["metadata"]},
    ),
    "14": Asked(),
    "15": Asked(),
    "16": Asked(without_reminders),
    "17": Asked(versions(SESSIONS, "1"), path=f"/api/projects/p/agents/{SESSIONS}/versions/1?api-version=v1"),
    "18": Asked(active_at_once, body=lambda body: {"definition": body["definition"]}),
    "19": Asked(versions(OTHER, "1")),
    "20": Asked(body=lambda body: {"description": body["description"], "tools": body["tools"]}),
    "21": Asked(two_toolbox_versions),
    "30": Asked(has_token=False),
    "31": Asked(disabled_secret),
    "40": Asked(has_token=False),
    "41": Asked(two_tags),
    "50": Asked(),
    "51": Asked(),
    "52": Asked(evaluation),
    "53": Asked(run(16)),
    "54": Asked(run(0)),
    "55": Asked(run(0)),
    "56": Asked(evaluation),
    "57": Asked(run_of_graders),
    "58": Asked(agent_evaluation),
    "59": Asked(),
}
"""By the number of the exchange."""


def service_of(laptop: Laptop, exchange: Exchange) -> Foundry | Vault | Registry:
    """The stand-in of the service that answered."""
    path = exchange.request["path"]
    return laptop.vault if path.startswith("/secrets/") else laptop.registry if "/acr/" in path else laptop.foundry


async def ask(laptop: Laptop, exchange: Exchange) -> Answer:
    """Send a recorded request to a stand-in."""
    asked, recorded = ASKED[exchange.number], exchange.response["body"] or {}
    asked.prepare(laptop, recorded)
    service, body = service_of(laptop, exchange), exchange.request["body"]
    token = await laptop.registry_token() if service is laptop.registry else "entra"
    headers = {"Authorization": f"Bearer {token}"} if asked.has_token else {}
    body = asked.body(recorded) if asked.body else body
    url = service.url + (asked.path or exchange.request["path"])
    return await laptop.ask(exchange.request["method"], url, body, headers)


def differences_on_the_page() -> list[tuple[str, str]]:
    """The number of an exchange and what differs, as the page lists it."""
    table = PAGE.read_text().partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ") and "`" in line]
    found = [(re.findall(r"\b\d\d\b", numbers), re.findall(r"`([^`]+)`", what)) for numbers, what, _ in rows]
    return [(number, pattern) for numbers, patterns in found for number in numbers for pattern in patterns]


@pytest.fixture
async def laptop(tmp_path: Path) -> AsyncIterator[Laptop]:
    laptop = Laptop()
    await laptop.start(tmp_path)
    yield laptop
    await laptop.stop()


@pytest.mark.parametrize("exchange", exchanges(), ids=lambda exchange: exchange.name)
async def test_a_stand_in_answers_as_recorded(laptop: Laptop, exchange: Exchange) -> None:
    assert exchange.number in ASKED, "say in ASKED how this request is sent to a stand-in"
    recorded = exchange.response
    ours = await ask(laptop, exchange)
    found = differences(ours, Answer(recorded["status"], recorded["headers"], recorded["body"]))
    patterns = [pattern for number, pattern in differences_on_the_page() if number == exchange.number]
    assert [line for line in found if not any(fnmatchcase(line, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatchcase(line, pattern) for line in found)] == []


def test_the_tables_name_no_exchange_that_does_not_exist() -> None:
    numbers = {exchange.number for exchange in exchanges()}
    assert numbers == set(ASKED)
    assert {number for number, _ in differences_on_the_page()} <= numbers


AGENTS = [exchange for exchange in exchanges() if re.search("/(agents|toolboxes)/|REDACTED", exchange.request["path"])]


@pytest.mark.parametrize("exchange", AGENTS, ids=lambda exchange: exchange.name)
async def test_every_answer_of_foundry_has_its_ids(laptop: Laptop, exchange: Exchange) -> None:
    ours = await ask(laptop, exchange)
    request_id = ours.headers["X-Request-ID"]
    assert uuid.UUID(ours.headers["apim-request-id"]).hex == request_id
    if isinstance(ours.body, dict) and "error" in ours.body:
        assert ours.body["error"]["additionalInfo"] == {"request_id": request_id}
        assert ours.body["error"]["message"].endswith(f" [Request ID: {request_id}]")
