"""What the pages say of infra/ is what is there: parameters, resources, roles, settings, and sums that are reckoned."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cli.doctor import rights
from handlers.settings import Settings
from tests.infra.checks import HOST, NOT_SET, Infra, variable_of

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = (ROOT / "docs/how-to/deploy.md").read_text()
LIVE = (ROOT / "docs/how-to/first-live-run.md").read_text()
INFRA = Infra(ROOT / "infra")


def rows(text: str, header: str) -> list[list[str]]:
    """The cells of the table that begins with the header."""
    (table,) = re.findall(rf"^\| {re.escape(header)}.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]


def test_the_readme_has_every_parameter_with_its_default_and_meaning() -> None:
    given = json.loads((ROOT / "infra/main.parameters.json").read_text())["parameters"]
    desired = []
    for name, one in INFRA.main.parameters.items():
        variable, default = variable_of(given[name]["value"])
        shown = "required" if one.required else f"`{default}`" if default else ""
        desired.append([f"`{variable}`", shown, one.decorators["description"]])
    assert rows((ROOT / "README.md").read_text(), "variable | default") == desired


def test_the_page_has_every_resource_and_no_other() -> None:
    made = {one.type for file in INFRA.files for one in file.resources.values() if not one.existing}
    listed = [row[0].strip("`") for row in rows(DEPLOY, "resource | group")]
    assert len(listed) == len(set(listed))
    assert set(listed) == made


def test_the_page_has_every_role_as_the_table_of_infra_has_it() -> None:
    desired = [[row[key] for key in ("role", "who", "where", "why", "when")] for row in INFRA.roles.values()]
    assert rows(DEPLOY, "role | who") == desired


def test_the_page_has_every_setting() -> None:
    listed = {row[0].strip("`"): row[2] for row in rows(DEPLOY, "setting | value")}
    ours = {one.metadata["name"] for one in fields(Settings)} - NOT_SET
    desired = dict.fromkeys(ours, "the product") | dict.fromkeys(HOST, "the host and its worker")
    assert listed == desired


def test_what_azd_knows_of_a_deployment_is_enough_for_the_command_line() -> None:
    given = json.loads((ROOT / "infra/main.parameters.json").read_text())["parameters"]
    known = {variable_of(one["value"])[0] for one in given.values()} | set(INFRA.main.outputs)
    made_up = {
        "REGISTRY_NAME": "contoso",
        "FOUNDRY_PROJECT_ENDPOINT": "https://contoso.services.ai.azure.com/api/projects/agents",
        "KEY_VAULT_URL": "https://contoso-kv.vault.azure.net/",
        "AzureWebJobsStorage__accountName": "stslipway",
        "PRUNE_SCHEDULE": "0 0 3 * * *",
        "RESUME_SCHEDULE": "0 */5 * * * *",
    }
    assert set(made_up) <= known
    assert Settings.from_env(made_up | {"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}).registry_name == "contoso"


def test_doctor_asks_for_roles_that_infra_gives() -> None:
    asked = {one.role_id: one.role for one in vars(rights).values() if isinstance(one, rights.Right)}
    assert asked.items() <= {row["id"]: row["role"] for row in INFRA.roles.values()}.items()


def test_what_it_costs_is_reckoned_from_the_prices() -> None:
    price = {row[0]: float(row[1]) for row in rows(DEPLOY, "price | dollars")}
    second, idle = price["Flex Consumption, a gigabyte-second"], price["the same, kept warm and idle"]
    telemetry, endpoint = price["telemetry, a gigabyte"], price["private endpoint, an hour"]
    often, seldom = (price[one] for one in price if one.startswith("log alert"))
    rules = json.loads((ROOT / "infra/modules/alerts.json").read_text())
    five = sum(one["evaluationFrequency"] == "PT5M" for one in rules)
    month = 30 * 24 * 3600
    timers = month // 300 * 2
    reckoned = [
        (timers, timers * second),
        (five, five * often + (len(rules) - five) * seldom),
        (1000 * 180 * 2, 1000 * 180 * 2 * second),
        (1000 * 180 // 2, 1000 * 180 / 2 * second),
        (0.1, 0.1 * telemetry),
        (month * 2, month * 2 * idle),
        (3, 3 * 730 * endpoint),
    ]
    for (what, much, dollars), (amount, sum_) in zip(rows(DEPLOY, "what | how much"), reckoned, strict=True):
        assert much.startswith(f"{amount:,}"), what
        assert dollars == f"{sum_:.2f}", what
    assert timers < price["free gigabyte-seconds a month and subscription"]


@pytest.mark.parametrize("page", [DEPLOY, LIVE], ids=["deploy", "first live run"])
def test_every_variable_that_a_page_names_is_one(page: str) -> None:
    given = json.loads((ROOT / "infra/main.parameters.json").read_text())["parameters"]
    known = {variable_of(one["value"])[0] for one in given.values()} | set(INFRA.main.outputs)
    named = set(re.findall(r"azd env set (\w+)", page)) | set(re.findall(r"\$([A-Z_]{6,})", page))
    assert named <= known


def test_every_row_of_the_first_live_run_says_how_to_see_it_and_what_else() -> None:
    tables = re.findall(r"^\| fact .*\n\|[-|]+\n((?:\|.*\n)+)", LIVE, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()]
    assert len(lines) > 15
    for line in lines:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 3, line
        assert all(cells), line
