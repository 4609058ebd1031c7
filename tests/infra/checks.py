"""Checks of infra/: each is a function that yields one sentence for each problem."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from handlers.gateways.storage.state_store import CONTAINER
from tests.infra import bicep
from tests.infra.bicep import Declared

BUILT_IN = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Foundry User": "53ca6127-db72-4b80-b1b0-d745d6d5456d",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Container Registry Repository Reader": "b93aa761-3e63-49ed-ac28-beffa264f7ac",
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "EventGrid Data Sender": "d5a91429-5739-47e2-a06b-3470a27159e7",
}
"""learn.microsoft.com/azure/role-based-access-control/built-in-roles, copied independently of infra/."""
HOST_SETTINGS = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
    "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
    "AZURE_SDK_TRACING_IMPLEMENTATION",
}
"""Settings of the Functions host and the worker."""
UNSET_SETTINGS = {"AzureWebJobsStorage", "KEY_VAULT_HOST", "GITHUB_ENDPOINT"}
"""A connection string contains a key; the two service URIs replace it. The vault's host is that of its address, and
agents.yaml names GitHub's."""
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"


@dataclass(frozen=True)
class Infra:
    """The folder infra/, parsed once."""

    folder: Path

    @cached_property
    def main(self) -> bicep.File:
        return bicep.read(self.folder / "main.bicep")

    @cached_property
    def modules(self) -> dict[str, bicep.File]:
        return {path.name: bicep.read(path) for path in sorted((self.folder / "modules").glob("*.bicep"))}

    @cached_property
    def roles(self) -> dict[str, dict[str, str]]:
        rows: dict[str, dict[str, str]] = json.loads((self.folder / "modules" / "roles.json").read_text())
        return rows

    @property
    def files(self) -> list[bicep.File]:
        return [self.main, *self.modules.values()]

    def all_of(self, type_: str) -> Iterator[tuple[str, Declared]]:
        """File name and resource for every new resource of a type."""
        for file in self.files:
            yield from ((file.path.name, resource) for resource in file.of_type(type_))


def topics(infra: Infra) -> Iterator[str]:
    """A topic has an identity: Event Grid delivers with it."""
    for file, topic in infra.all_of("Microsoft.EventGrid/systemTopics"):
        if topic.body.get("identity") != {"type": "SystemAssigned"}:
            yield f"{file} creates a topic without a system-assigned identity"


def role_ids(infra: Infra) -> Iterator[str]:
    """The role ids are those that Microsoft documents, and every row is complete."""
    for name, row in infra.roles.items():
        if name != "agentVersions" and BUILT_IN.get(row["role"]) != row["id"]:
            yield f"{name}: {row['id']} is not the id of {row['role']}"
        if set(row) != {"role", "id", "who", "where", "why", "when"} or not all(row.values()):
            yield f"{name} does not have all of role, id, who, where, why and when"


def storage(infra: Infra) -> Iterator[str]:
    """No shared keys, no public blobs, the containers and queues of the app, and an expiry for old blobs."""
    file = infra.modules["storage.bicep"]
    properties = file.resources["account"].body["properties"]
    expected = {"allowSharedKeyAccess": False, "allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"}
    wrong = {key: value for key, value in expected.items() if properties.get(key) != value}
    yield from (f"storage.bicep: {key} is not {value}" for key, value in wrong.items())
    if properties["networkAcls"].get("bypass") != "AzureServices":
        yield "storage.bicep blocks Event Grid when it is private"
    if file.resources["containers"].each != ["packages", CONTAINER, "deadletters"]:
        yield "storage.bicep creates different containers than the app uses"
    app = (infra.folder.parent / "function_app.py").read_text()
    if set(file.resources["queues"].each) != set(re.findall(r'queue_name="([\w-]+)"', app)):
        yield "storage.bicep creates different queues than function_app.py reads"
    rules = file.resources["expiry"].body["properties"]["policy"]["rules"]
    expiring = {rule["definition"]["filters"]["prefixMatch"][0] for rule in rules if "delete" in _base_blob(rule)}
    if expiring != {f"{CONTAINER}/journal/", "deadletters/"}:
        yield f"storage.bicep expires {', '.join(sorted(expiring))}"


def _base_blob(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    actions: Mapping[str, Any] = rule["definition"]["actions"]["baseBlob"]
    return actions


def always_ready(infra: Infra) -> Iterator[str]:
    """ALWAYS_READY names a function of the app."""
    app = (infra.folder.parent / "function_app.py").read_text()
    named = re.findall(r"'function:(\w+)'", infra.modules["function.bicep"].text)
    if not named or f'function_name("{named[0]}")' not in app:
        yield "alwaysReady names something that is not a function of the app"


SITE_CONFIG = {"minTlsVersion", "scmMinTlsVersion", "appSettings"}
"""What Flex Consumption takes everywhere; some regions refuse others with error 51021 (azure-pipelines-tasks#21032)."""


def site_config(infra: Infra) -> Iterator[str]:
    """The site has only settings that Flex Consumption takes."""
    (app,) = infra.modules["function.bicep"].of_type("Microsoft.Web/sites")
    more = set(app.body["properties"]["siteConfig"]) - SITE_CONFIG
    yield from (f"Flex Consumption may refuse siteConfig.{name}" for name in sorted(more))


def secrets(infra: Infra) -> Iterator[str]:
    """No key or secret is read, output or written into a file."""
    for file in infra.files:
        name = file.path.name
        yield from (f"{name} calls {call}" for call in re.findall(r"\b(list(?:Keys|Secrets|\w*Sas))\(", file.text))
        if re.search(r"AccountKey=|SharedAccess|\?sig=", file.text):
            yield f"{name} contains a key"
    for output in set(infra.main.outputs) - {"KEY_VAULT_URL", "KEY_VAULT_ID"}:
        if re.search(r"KEY|PASSWORD|SECRET|SAS|CONNECTION", output):
            yield f"main.bicep has the output {output}"


def parameters(infra: Infra) -> Iterator[str]:
    """The same parameters and defaults in the template, the parameters file and the pipeline."""
    values = json.loads((infra.folder / "main.parameters.json").read_text())["parameters"]
    declared = infra.main.parameters
    yield from (f"main.parameters.json has no {name}" for name in sorted(set(declared) - set(values)))
    yield from (f"main.bicep has no {name}" for name in sorted(set(values) - set(declared)))
    for name, parameter in declared.items():
        if not parameter.decorators.get("description"):
            yield f"{name} has no description"
        variable, default = variable_of(values.get(name, {"value": "${}"})["value"])
        expected = _default_text(parameter)
        if default != expected:
            yield f"{variable} is {default!r} in main.parameters.json and {expected!r} in main.bicep"
    pipeline = yaml.safe_load((infra.folder.parent / "azure.yaml").read_text())["pipeline"]["variables"]
    set_by_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION"}
    variables = {variable_of(item["value"])[0] for item in values.values()} - set_by_azd
    if set(pipeline) != variables:
        yield f"azure.yaml passes different variables to the pipeline: {', '.join(sorted(variables ^ set(pipeline)))}"


def _default_text(parameter: bicep.Parameter) -> str:
    if parameter.default is None:
        return ""
    return str(parameter.default).lower() if parameter.type == "bool" else str(parameter.default)


def variable_of(text: str) -> tuple[str, str]:
    """Split ``${NAME=default}`` into name and default."""
    match = re.fullmatch(r"\$\{(\w*)=?(.*)\}", text)
    assert match is not None, text
    return match[1], match[2]


CHECKS: tuple[Callable[[Infra], Iterator[str]], ...] = (
    *(topics, role_ids, storage, always_ready, site_config, secrets, parameters),
)


def problems(folder: Path) -> list[str]:
    """Every problem in the folder."""
    infra = Infra(folder)
    return [problem for check in CHECKS for problem in check(infra)]
