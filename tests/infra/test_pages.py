"""The pages about infra/ against the files: parameters, resources, roles, settings and calculated costs."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from cli.doctor import role_assignments
from handlers.settings import Settings
from infra.hooks.deploy_request import from_env
from infra.hooks.preflight_settings import required_variables
from tests.infra.checks import HOST_SETTINGS, UNSET_SETTINGS, Infra, variable_of

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = (ROOT / "docs/how-to/deploy.md").read_text()
LIVE = (ROOT / "docs/how-to/first-live-run.md").read_text()
INFRA = Infra(ROOT / "infra")


def rows(text: str, header: str) -> list[list[str]]:
    """The cells of the table whose header begins like this."""
    (table,) = re.findall(rf"^\| {re.escape(header)}.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]


def test_the_page_lists_every_parameter_and_the_readme_the_required_ones() -> None:
    parameters = json.loads((ROOT / "infra/main.parameters.json").read_text())["parameters"]
    required = required_variables(from_env({"CREATE_REGISTRY": "true", "CREATE_VAULT": "true"}))
    expected = []
    for name, parameter in INFRA.main.parameters.items():
        variable, default = variable_of(parameters[name]["value"])
        is_required = parameter.required or variable in required
        shown = "required" if is_required else f"`{default}`" if default else ""
        expected.append([f"`{variable}`", shown, parameter.decorators["description"]])
    assert rows(DEPLOY, "variable | default") == expected
    by_azd = ("`AZURE_ENV_NAME`", "`AZURE_LOCATION`")  # azd env new sets them
    assert rows((ROOT / "README.md").read_text(), "variable | default") == [
        row for row in expected if "required" in row and row[0] not in by_azd
    ]


def test_the_page_lists_exactly_the_created_resource_types() -> None:
    created = {item.type for file in INFRA.files for item in file.resources.values() if not item.existing}
    by_hook = {"Microsoft.EventGrid/systemTopics/eventSubscriptions"}
    listed = [row[0].strip("`") for row in rows(DEPLOY, "resource | group")]
    assert len(listed) == len(set(listed))
    assert set(listed) == created | by_hook


def test_the_page_lists_every_role_as_in_roles_json() -> None:
    expected = [[row[key] for key in ("role", "who", "where", "why", "when")] for row in INFRA.roles.values()]
    assert rows(DEPLOY, "role | who") == expected


def test_the_page_lists_every_setting() -> None:
    listed = {row[0].strip("`"): row[2] for row in rows(DEPLOY, "setting | value")}
    ours = {setting.metadata["name"] for setting in fields(Settings)} - UNSET_SETTINGS
    expected = dict.fromkeys(ours, "the product") | dict.fromkeys(HOST_SETTINGS, "the host and its worker")
    assert listed == expected


def test_the_azd_environment_has_every_setting_of_the_command_line() -> None:
    parameters = json.loads((ROOT / "infra/main.parameters.json").read_text())["parameters"]
    known = {variable_of(item["value"])[0] for item in parameters.values()} | set(INFRA.main.outputs)
    example = {
        "REGISTRY_NAME": "contoso",
        "FOUNDRY_PROJECT_ENDPOINT": "https://contoso.services.ai.azure.com/api/projects/agents",
        "KEY_VAULT_URL": "https://contoso-kv.vault.azure.net/",
        "AzureWebJobsStorage__accountName": "stslipway",
        "PRUNE_SCHEDULE": "0 0 3 * * *",
        "RESUME_SCHEDULE": "0 */5 * * * *",
    }
    assert set(example) <= known
    assert Settings.from_env(example | {"AZURE_TOKEN_CREDENTIALS": "AzureCliCredential"}).registry_name == "contoso"


def test_infra_assigns_every_role_that_doctor_checks() -> None:
    roles = (item for item in vars(role_assignments).values() if isinstance(item, role_assignments.RequiredRole))
    checked = {role.role_id: role.role for role in roles}
    assert checked.items() <= {row["id"]: row["role"] for row in INFRA.roles.values()}.items()


def test_the_costs_are_calculated_from_the_prices() -> None:
    price = {row[0]: float(row[1]) for row in rows(DEPLOY, "price | dollars")}
    second, idle = price["Flex Consumption, a gigabyte-second"], price["the same, kept warm and idle"]
    telemetry, endpoint = price["telemetry, a gigabyte"], price["private endpoint, an hour"]
    zone, registry = price["private DNS zone, a month"], price["registry of SKU Basic, a day"]
    series, operation = (
        price["metric alert, a time series and month"],
        price["ten thousand storage operations"] / 10_000,
    )
    five_minutes, rarer = (dollars for item, dollars in price.items() if item.startswith("log alert"))
    alerts = json.loads((ROOT / "infra/modules/alerts.json").read_text())
    frequent = sum(alert["evaluationFrequency"] == "PT5M" for alert in alerts)
    month = 30 * 24 * 3600
    timers = month // 300 * 2
    calculated = [
        (timers, timers * second),
        (frequent, frequent * five_minutes + (len(alerts) - frequent) * rarer),
        (6, 6 * series),
        (1000 * 180 * 2, 1000 * 180 * 2 * second),
        (1000 * 180 // 2, 1000 * 180 / 2 * second),
        (0.16, 0.16 * telemetry),
        (0.1, 0.1 * telemetry),
        (month * 2, month * 2 * idle),
        (month * 10, month * 10 * operation),
        (3, 3 * 730 * endpoint),
        (3, 3 * zone),
        (30, 30 * registry),
    ]
    for (item, quantity, dollars), (amount, cost) in zip(rows(DEPLOY, "what | how much"), calculated, strict=True):
        assert quantity.startswith(f"{amount:,}"), item
        assert dollars == f"{cost:.2f}", item
    assert timers < price["free gigabyte-seconds a month and subscription"]


@pytest.mark.parametrize("page", [DEPLOY, LIVE], ids=["deploy", "first live run"])
def test_every_variable_named_on_a_page_exists(page: str) -> None:
    parameters = json.loads((ROOT / "infra/main.parameters.json").read_text())["parameters"]
    known = {variable_of(item["value"])[0] for item in parameters.values()} | set(INFRA.main.outputs)
    named = set(re.findall(r"azd env set (\w+)", page)) | set(re.findall(r"\$([A-Z_]{6,})", page))
    assert named <= known


def test_every_row_of_the_first_live_run_has_a_check_and_a_fallback() -> None:
    tables = re.findall(r"^\| fact .*\n\|[-|]+\n((?:\|.*\n)+)", LIVE, re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()]
    assert len(lines) > 15
    for line in lines:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 3, line
        assert all(cells), line
