"""azure.yaml and the workflows: valid for azd and GitHub, with no more rights than needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft201909Validator

from tests.infra.checks import Infra

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOK = {
    "type": "object",
    "required": ["run"],
    "additionalProperties": False,
    "properties": {
        "run": {"type": "string", "pattern": r"^\./.+\.py$"},
        "kind": {"enum": ["sh", "pwsh", "js", "ts", "python", "dotnet"]},
        **{name: {"type": "boolean"} for name in ("interactive", "continueOnError")},
    },
}
COMMANDS = ("infracreate", "infradelete", "provision", "package", "publish", "deploy", "restore", "down", "up")
SCHEMA = {
    "type": "object",
    "required": ["name", "services"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 2, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
        "metadata": {"type": "object", "properties": {"template": {"type": "string", "pattern": "^[a-z]+@[0-9.]+$"}}},
        "requiredVersions": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"azd": {"type": "string", "pattern": r"^>= [0-9]+\.[0-9]+\.[0-9]+$"}},
        },
        "infra": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"provider": {"const": "bicep"}, "path": {"type": "string"}, "module": {"type": "string"}},
        },
        "services": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["project", "language", "host"],
                "additionalProperties": False,
                "properties": {
                    "project": {"type": "string"},
                    "language": {"enum": ["py", "python"]},
                    "host": {"const": "function"},
                    "remoteBuild": {"type": "boolean"},
                },
            },
        },
        "hooks": {
            "type": "object",
            "additionalProperties": False,
            "properties": {f"{when}{command}": HOOK for when in ("pre", "post") for command in COMMANDS},
        },
        "pipeline": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "provider": {"enum": ["github", "azdo"]},
                "variables": {"type": "array", "uniqueItems": True, "items": {"type": "string"}},
            },
        },
    },
}
"""The part of Azure/azure-dev, schemas/v1.0/azure.yaml.json, that this repository uses, narrowed: it rejects valid keys
that are not used here. The workflow validates azure.yaml against the whole schema."""


ENVIRONMENTS = ("dev", "staging", "prod")


def azure_yaml() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text())
    return content


def mistakes(content: dict[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft201909Validator(SCHEMA).iter_errors(content)]


def test_azure_yaml_is_valid() -> None:
    assert mistakes(azure_yaml()) == []
    Draft201909Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"hooks": {"preprovison": {"run": "./x.py"}}}, "preprovison"),
        ({"hooks": {"predown": {"runs": "./x.py"}}}, "runs"),
        ({"services": {"slipway": {"project": ".", "language": "python", "host": "functions"}}}, "was expected"),
        ({"pipelines": {}}, "pipelines"),
    ],
)
def test_a_planted_mistake_is_detected(change: dict[str, Any], mistake: str) -> None:
    assert any(mistake in found for found in mistakes(azure_yaml() | change))


def test_every_hook_exists_with_its_requirements_beside_it() -> None:
    hooks = {ROOT / hook["run"] for hook in azure_yaml()["hooks"].values()}
    assert {path.name for path in hooks if path.is_file()} == {path.name for path in hooks}
    assert all((path.parent / "requirements.txt").is_file() for path in hooks)
    runnable = {path for path in (ROOT / "infra/hooks").glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert runnable == hooks


def test_every_hook_shows_what_it_prints() -> None:
    assert {
        name: hook.get("interactive") for name, hook in azure_yaml()["hooks"].items() if not hook.get("interactive")
    } == {}


def test_azd_is_new_enough_to_delete_only_its_own_group_and_to_show_hooks() -> None:
    """Before 1.24.1 azd deletes foreign groups (azure-dev #7698); 1.25.0 to 1.25.2 swallow hooks' output (#8263)."""
    (version,) = re.findall(r"^>= (\d+)\.(\d+)\.(\d+)$", azure_yaml()["requiredVersions"]["azd"])
    assert tuple(map(int, version)) >= (1, 25, 3)
    (documented,) = re.findall(
        r"azd\]\(https://aka\.ms/azd\) (\S+) or newer", (ROOT / "docs/how-to/deploy.md").read_text()
    )
    assert documented == ".".join(version)


def test_azd_finds_the_service_by_its_tag() -> None:
    (service,) = azure_yaml()["services"]
    infra = Infra(ROOT / "infra")
    assert f"'azd-service-name': '{service}'" in infra.modules["function.bicep"].text
    assert f"SERVICE_{service.upper()}_NAME" in infra.main.outputs
    assert "'azd-env-name': environmentName" in infra.main.text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_with_its_version_as_a_comment(path: Path) -> None:
    text = path.read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_have_only_the_rights_they_need_and_no_secret(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        expected = {"contents": "read", "id-token": "write"} if path.stem == "azure-dev" else None
        assert job.get("permissions") == expected
    assert "secrets." not in path.read_text()
    assert "pull_request_target" not in path.read_text()


def deployment_jobs() -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/azure-dev.yml").read_text())["jobs"]
    return jobs


def test_the_deployment_workflow_passes_every_variable() -> None:
    azd_variables = ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_ENV_NAME", "AZURE_LOCATION"]
    variables = [*azd_variables, *azure_yaml()["pipeline"]["variables"]]
    for job in deployment_jobs().values():
        assert job["env"] == {name: f"${{{{ vars.{name} }}}}" for name in variables}


def test_each_environment_is_approved_for_itself_and_follows_the_one_before() -> None:
    jobs = deployment_jobs()
    assert {name: job["environment"] for name, job in jobs.items()} == {name: name for name in ENVIRONMENTS}
    assert [job.get("needs", []) for job in jobs.values()] == [[], "dev", ["dev", "staging"]]
    for name, job in jobs.items():
        assert f"contains(vars.SLIPWAY_ENVIRONMENTS, '{name}')" in job["if"]
        assert job["steps"] == jobs["dev"]["steps"]


def test_azure_devops_deploys_the_same_environments_by_the_same_steps() -> None:
    pipeline = yaml.safe_load((ROOT / ".azdo/pipelines/azure-dev.yml").read_text())
    (parameter,) = pipeline["parameters"]
    assert tuple(parameter["default"]) == ENVIRONMENTS
    (((_, (stage,)),),) = (item.items() for item in pipeline["stages"])
    (job,) = stage["jobs"]
    assert job["environment"] == "slipway-${{ environment }}"
    *_, deploy = job["strategy"]["runOnce"]["deploy"]["steps"]
    commands = [line for line in deploy["inputs"]["inlineScript"].splitlines() if "azd config" not in line]
    assert commands == [step["run"] for step in deployment_jobs()["dev"]["steps"][-2:]]


def test_no_pipeline_that_may_deploy_runs_on_pull_requests() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/azure-dev.yml").read_text())
    assert set(workflow[True]) == {"workflow_dispatch", "push"}  # YAML 1.1 reads the key "on" as true
    pipeline = yaml.safe_load((ROOT / ".azdo/pipelines/azure-dev.yml").read_text())
    assert pipeline["pr"] == "none"
    assert pipeline["trigger"] == {"branches": {"include": ["main"]}}
    page = (ROOT / "docs/how-to/deploy.md").read_text()
    assert re.findall(r"--subject (\S+)", page) == ["repo:<owner>/<repository>:environment:prod"]
