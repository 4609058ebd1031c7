"""The documented deployments, evaluated by ``bicep snapshot``: exactly the listed resources, roles and settings."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from handlers.settings import Settings
from infra.hooks.deploy_request import from_env
from infra.hooks.role_assignments import ROLES, role_assignments
from local.rehearsal.bicep import MISSING
from tests.infra import snapshots
from tests.infra.checks import HOST_SETTINGS, UNSET_SETTINGS, variable_of
from tests.infra.snapshots import APP, BASE, BICEP, EXPECTED, REQUESTS, ROOT, RoleAssignment, Snapshot, Values

pytestmark = [pytest.mark.skipif(BICEP is None, reason=MISSING), pytest.mark.timeout(300)]
NAMES = list(REQUESTS)
SETTINGS = {setting.metadata["name"] for setting in fields(Settings)} - UNSET_SETTINGS | HOST_SETTINGS


def env_of(values: Values, snapshot: Snapshot) -> Mapping[str, str]:
    """The environment of the hooks after this deployment: its variables and its outputs."""
    parameters = json.loads((ROOT / "infra" / "main.parameters.json").read_text())["parameters"]
    variables = {variable_of(parameters[name]["value"])[0]: str(value) for name, value in values.items()}
    outputs = {name: value if isinstance(value, str) else json.dumps(value) for name, value in snapshot.outputs.items()}
    arrays = {name: _as_json(value) for name, value in outputs.items() if value.startswith("[createArray(")}
    return {**variables, **outputs, **arrays, "AZURE_SUBSCRIPTION_ID": APP}


def _as_json(expression: str) -> str:
    """An array of values that only Azure knows, as azd keeps an array."""
    return json.dumps([f"[{item}]" for item in re.findall(r"reference\([^()]+\)[\w.]*", expression)])


def expected_assignments(values: Values, snapshot: Snapshot) -> Iterator[RoleAssignment]:
    """The assignments that the hooks print for an administrator if ASSIGN_ROLES is false."""
    env = env_of(values, snapshot)
    for item in role_assignments(from_env(env), env):
        yield RoleAssignment(item.role, item.principal, item.scope)


def problems(values: Values, snapshot: Snapshot) -> Iterator[str]:
    """What a deployment has too much or too little: settings and roles."""
    (app,) = snapshot.of_type("Microsoft.Web/sites")
    names = Counter(setting["name"] for setting in app["properties"]["siteConfig"]["appSettings"])
    yield from (f"the setting {name} is missing" for name in sorted(SETTINGS - set(names)))
    yield from (f"nothing reads the setting {name}" for name in sorted(set(names) - SETTINGS))
    yield from (f"the setting {name} is there twice" for name, count in names.items() if count > 1)
    custom = {item["name"]: ROLES["agentVersions"]["role"] for item in snapshot.of_type(ROLE_DEFINITION)}
    actual = {
        RoleAssignment(custom.get(item.role, item.role), item.principal, item.scope) for item in snapshot.assignments()
    }
    expected = set(expected_assignments(values, snapshot)) if values.get("assignRoles", True) else set()
    yield from (f"missing: {item}" for item in expected - actual)
    yield from (f"too much: {item}" for item in actual - expected)
    for assignment in snapshot.of_type(snapshots.ROLE_ASSIGNMENT):
        principal = assignment["properties"]["principalId"]
        kind = {DEPLOYER: None, values.get("operatorGroupId"): "Group"}.get(principal, "ServicePrincipal")
        if assignment["properties"].get("principalType") != kind:
            yield f"the kind of a principal is not declared: {principal}"


DEPLOYER = "[deployer().objectId]"
ROLE_DEFINITION = "Microsoft.Authorization/roleDefinitions"


@pytest.mark.parametrize("name", NAMES)
def test_the_deployment_is_as_expected(name: str) -> None:
    """After a change: ``python -m tests.infra.snapshots``, and read the difference."""
    assert snapshots.of_request(name).diagnostics == ()
    assert snapshots.expected_text(name) == (EXPECTED / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_roles_and_settings_are_exact(name: str) -> None:
    assert list(problems({**BASE, **REQUESTS[name]}, snapshots.of_request(name))) == []


@pytest.mark.parametrize("name", NAMES)
def test_no_role_is_for_a_whole_group_or_subscription(name: str) -> None:
    for assignment in snapshots.of_request(name).assignments():
        assert re.match(r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/", assignment.scope), assignment


@pytest.mark.parametrize("name", NAMES)
def test_people_may_write_the_state_and_wake_the_app_and_nothing_else_in_storage(name: str) -> None:
    snapshot = snapshots.of_request(name)
    people = {DEPLOYER, REQUESTS[name].get("operatorGroupId")}
    scopes = {item.scope for item in snapshot.assignments() if item.principal in people}
    parts = {scope.partition("/storageAccounts/")[2].partition("/")[2] for scope in scopes}
    state = {"blobServices/default/containers/slipway", "queueServices/default/queues/releases"}
    smoke = {"queueServices/default/queues/events"}
    expected = state | smoke if REQUESTS[name].get("assignRoles", True) else set()
    assert parts - {""} == expected
    group = {item.scope for item in snapshot.assignments() if item.principal == REQUESTS[name].get("operatorGroupId")}
    assert {scope.partition("/storageAccounts/")[2].partition("/")[2] for scope in group} <= state


@pytest.mark.parametrize("name", NAMES)
def test_every_write_of_state_and_queues_is_recorded_with_its_caller(name: str) -> None:
    settings = snapshots.of_request(name).of_type("Microsoft.Insights/diagnosticSettings")
    recorded = {
        item["id"]
        .partition("/providers/Microsoft.Insights/")[0]
        .rpartition("/storageAccounts/")[2]
        .partition("/")[2]: {log.get("category") for log in item["properties"]["logs"] if log["enabled"]}
        for item in settings
        if "/storageAccounts/" in item["id"]
    }
    assert recorded == {
        "blobServices/default": {"StorageWrite", "StorageDelete"},
        "queueServices/default": {"StorageWrite"},
    }


def test_nobody_publishes_with_a_password() -> None:
    policies = snapshots.of_request("existing-sources").of_type(
        "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
    )
    allowed = {item["id"].rpartition("/")[2]: item["properties"]["allow"] for item in policies}
    assert allowed == {"ftp": False, "scm": False}


def test_the_documented_deployments_create_every_resource_type_of_the_page() -> None:
    """Except the event subscriptions, which a hook creates."""
    page = (ROOT / "docs/how-to/deploy.md").read_text()
    (table,) = re.findall(r"^\| resource \| group.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    listed = {line.split("|")[1].strip(" `").lower() for line in table.splitlines()}
    created = {item["type"].lower() for name in NAMES for item in snapshots.of_request(name).resources}
    assert listed - created == {"microsoft.eventgrid/systemtopics/eventsubscriptions"}
    assert created <= listed


def test_every_row_of_the_roles_table_is_assigned_by_a_documented_deployment() -> None:
    env = env_of(BASE, snapshots.of_request("existing-sources"))
    every = {**env, "GRANT_PROJECT_PULL": "true", "CREATE_VAULT": "true"}
    requests = [from_env({**every, "FOUNDRY_ROLE": role}) for role in ("user", "versions")]
    assert {item.key for request in requests for item in role_assignments(request, every)} == set(ROLES)


def test_a_name_in_other_letters_assigns_no_role_again() -> None:
    """Azure refuses a second assignment of a role to a principal, and ignores the case of names."""
    changes: Values = {"grantProjectPull": True, "vaultSecretNames": "search-key", "resourceGroupName": "rg-app"}
    typed = {"registryName", "vaultName", "foundryAccountName", "foundryProjectName", "vaultSecretNames"}
    typed |= {name for name in {**BASE, **changes} if name.endswith("Group") or name == "resourceGroupName"}
    values = {**BASE, **changes}
    shouted = {name: str(value).upper() if name in typed else value for name, value in values.items()}
    first, second = (
        sorted(item["id"].lower() for item in snapshots.take(taken).of_type(snapshots.ROLE_ASSIGNMENT))
        for taken in (values, shouted)
    )
    assert first == second


def test_a_region_has_one_spelling_for_the_names_of_what_is_deployed() -> None:
    """The other one must not make a second app beside the first, with an empty state."""
    first, second = (
        sorted(item["id"] for item in snapshots.take({**BASE, "location": location}).resources)
        for location in ("westeurope", "West Europe")
    )
    assert first == second


def test_a_subscription_in_other_letters_is_the_same_one() -> None:
    """Else no alert would watch the topics of the registry and the vaults."""
    own = "abcdef00-0000-0000-0000-0000000000ab"
    more: Values = {
        "registrySubscriptionId": own.upper(),
        "moreVaultIds": f"{snapshots.place(own.upper(), 'rg-eu')}KeyVault/vaults/contoso-eu-kv",
    }
    taken = snapshots.take({**BASE, **more}, subscription=own)
    watched = {
        scope for alert in taken.of_type("Microsoft.Insights/metricAlerts") for scope in alert["properties"]["scopes"]
    }
    assert len(watched) == len(taken.of_type("Microsoft.EventGrid/systemTopics")) == 3


def test_two_environments_share_no_name_of_a_role_or_of_an_assignment() -> None:
    shared: Values = {"grantProjectPull": True, "foundryRole": "versions"}
    types = (snapshots.ROLE_ASSIGNMENT, ROLE_DEFINITION)
    names = [
        {
            item["id"]
            for item in snapshots.take({**BASE, **shared, "environmentName": name}).resources
            if is_of(item, types)
        }
        for name in ("dev", "staging")
    ]
    assert names[0] & names[1] == set()


def is_of(resource: Mapping[str, object], types: tuple[str, ...]) -> bool:
    return resource["type"] in types


MISTAKES = [
    pytest.param(
        "main.bicep",
        "      PRUNE_SCHEDULE:",
        "      PRUNE_TIME:",
        "the setting PRUNE_SCHEDULE is",
        id="missing setting",
    ),
    pytest.param(
        "main.bicep", "      PRUNE_SCHEDULE:", "      PRUNE_TIME:", "reads the setting PRUNE_TIME", id="unknown setting"
    ),
    pytest.param(
        "modules/function.bicep",
        "'AZURE_CLIENT_ID'",
        "'POLL_SECONDS'",
        "POLL_SECONDS is there twice",
        id="setting twice",
    ),
    pytest.param(
        "modules/function.bicep", "'OTEL_TRACES_SAMPLER'", "'OTEL_SAMPLER'", "OTEL_SAMPLER", id="host setting"
    ),
    pytest.param("modules/vault-access.bicep", "  scope: vault\n", "", "role='4633458b", id="a role without scope"),
    pytest.param(
        "modules/topic-access.bicep", "  scope: deadletters", "  scope: storage", "ba92f5b4", id="a wide role"
    ),
    pytest.param(
        "modules/foundry-access.bicep",
        "    principalType: 'ServicePrincipal'\n",
        "",
        "the kind of a principal is not declared",
        id="no principal type",
    ),
    pytest.param(
        "modules/operator-access.bicep",
        "  scope: state",
        "  scope: storage",
        "role='ba92f5b4-2d11-453d-a403-e96b0029c9fe', principal='[deployer().objectId]'",
        id="an operator who may replace the code",
    ),
    pytest.param("modules/roles.json", "7f951dda-4ed3", "8f951dda-4ed3", "missing: RoleAssignment", id="another role"),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The problems of a copy with every mistake; one run, as each takes seconds."""
    folder = shutil.copytree(ROOT / "infra", tmp_path_factory.mktemp("broken") / "infra")
    for mistake in MISTAKES:
        name, original, planted, *_ = map(str, mistake.values)
        text = (folder / name).read_text()
        assert original in text or planted in text, f"{original!r} is not in {name}"
        (folder / name).write_text(text.replace(original, planted))
    return list(problems(BASE, snapshots.take(BASE, folder)))


@pytest.mark.parametrize(("file", "original", "planted", "problem"), MISTAKES)
def test_a_planted_mistake_is_found(broken: list[str], file: str, original: str, planted: str, problem: str) -> None:
    assert any(problem in found for found in broken), broken


def test_a_role_despite_assign_roles_false_is_found(tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "infra", tmp_path / "infra")
    text = (folder / "main.bicep").read_text()
    assert "if (assignRoles)" in text
    (folder / "main.bicep").write_text(text.replace("if (assignRoles)", "if (true)", 1))
    values: Values = {**BASE, "assignRoles": False}
    assert any(found.startswith("too much") for found in problems(values, snapshots.take(values, folder)))
