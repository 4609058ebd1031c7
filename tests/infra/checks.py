"""What must hold of infra/, each as a function from its folder to the sentences that say where it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from core.events import IMAGE_PUSHED, SECRET_NEW_VERSION
from handlers.gateways.storage.state_store import CONTAINER
from handlers.settings import Settings
from tests.infra import bicep
from tests.infra.bicep import Code, Declared

BUILT_IN = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Foundry User": "53ca6127-db72-4b80-b1b0-d745d6d5456d",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Container Registry Repository Reader": "b93aa761-3e63-49ed-ac28-beffa264f7ac",
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "EventGrid Data Sender": "d5a91429-5739-47e2-a06b-3470a27159e7",
}
"""learn.microsoft.com/azure/role-based-access-control/built-in-roles, written down apart from infra/."""
HOST = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY",
    "PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
}
"""What the Functions host and the worker read beside the product."""
NOT_SET = {"AzureWebJobsStorage"}
"""A connection string holds a key; the two addresses take its place."""
GRANT = "Microsoft.Authorization/roleAssignments"
SUBSCRIPTION = "Microsoft.EventGrid/systemTopics/eventSubscriptions"


@dataclass(frozen=True)
class Infra:
    """The folder, read once."""

    folder: Path

    @cached_property
    def main(self) -> bicep.File:
        return bicep.read(self.folder / "main.bicep")

    @cached_property
    def modules(self) -> dict[str, bicep.File]:
        return {path.name: bicep.read(path) for path in sorted((self.folder / "modules").glob("*.bicep"))}

    @cached_property
    def roles(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads((self.folder / "modules" / "roles.json").read_text())
        return found

    @property
    def files(self) -> list[bicep.File]:
        return [self.main, *self.modules.values()]

    def all_of(self, type_: str) -> Iterator[tuple[str, Declared]]:
        for file in self.files:
            yield from ((file.path.name, one) for one in file.of_type(type_))


def readable(infra: Infra) -> Iterator[str]:
    """Every file parses, and every name that is declared is used."""
    for file in infra.files:
        if file.broken:
            yield f"{file.path.name} does not parse"
        declared = {*file.parameters, *file.variables}
        yield from (f"{file.path.name} never uses {name}" for name in sorted(declared - file.identifiers()))


def readings(infra: Infra) -> Iterator[str]:
    """What another resource says is known while a template runs, and ARM takes it inside ``properties`` only."""
    for file in infra.files:
        said = rf"\b(?:{'|'.join(file.resources) or '-'})\b[!\w\[\]]*\.(?!id\b|name\b|type\b)\w+"
        for one in file.resources.values():
            gateways = {
                key: content for key, content in one.body.items() if key not in ("properties", "parent", "scope")
            }
            for found in re.findall(said, repr(gateways)):
                yield f"{file.path.name}: {one.symbol} uses {found} outside of its properties"


def contracts(infra: Infra) -> Iterator[str]:
    """Every module gets the parameters that it has, and is asked for outputs that it has."""
    used = set(re.findall(r"\b(\w+)!?\.outputs\.(\w+)", infra.main.text))
    for symbol, module in infra.main.modules.items():
        file = infra.modules.get(Path(module.what).name)
        if file is None:
            yield f"{module.what} is not there"
            continue
        given = set(module.body.get("params", {}))
        yield from (
            f"{symbol} is given {name}, which it does not take" for name in sorted(given - set(file.parameters))
        )
        required = {name for name, one in file.parameters.items() if one.required}
        yield from (f"{symbol} is not given {name}" for name in sorted(required - given))
        asked = {output for owner, output in used if owner == symbol}
        yield from (f"{symbol} has no output {name}" for name in sorted(asked - set(file.outputs)))
    yield from (f"there is no module {owner}" for owner, _ in sorted(used) if owner not in infra.main.modules)


def events(infra: Infra) -> Iterator[str]:
    """Filtered by type alone, tried for a day, kept where that does not help, delivered with an identity."""
    found = list(infra.all_of(SUBSCRIPTION))
    if len(found) != 2:
        yield f"there are {len(found)} ways to subscribe, not 2"
    for file, one in found:
        yield from (f"{file} {what}" for what, holds in _kept_promises(one.body.get("properties", {})) if not holds)
    told = infra.modules["subscription.bicep"].resources["toQueue"].body["properties"]
    delivery = told.get("deliveryWithResourceIdentity", {})
    if delivery.get("identity") != {"type": "SystemAssigned"}:
        yield "subscription.bicep does not deliver with the topic's identity"
    if delivery.get("destination", {}).get("properties", {}).get("queueName") != "events":
        yield "subscription.bicep does not deliver into events"


def _kept_promises(told: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    letters = told.get("deadLetterWithResourceIdentity", {})
    where = letters.get("deadLetterDestination", {}).get("properties", {})
    yield "does not filter by the event's type alone", set(told.get("filter", {})) == {"includedEventTypes"}
    a_day = {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}
    yield "does not try for a day", told.get("retryPolicy") == a_day
    yield "keeps no dead letters in deadletters", where.get("blobContainerName") == "deadletters"
    yield "keeps dead letters without the topic's identity", letters.get("identity") == {"type": "SystemAssigned"}
    yield "does not deliver CloudEvents", told.get("eventDeliverySchema") == "CloudEventSchemaV1_0"


def topics(infra: Infra) -> Iterator[str]:
    """A topic has an identity, and what it may do is there before it is told to do it."""
    for file, topic in infra.all_of("Microsoft.EventGrid/systemTopics"):
        if topic.body.get("identity") != {"type": "SystemAssigned"}:
            yield f"{file} makes a topic without an identity of its own"
    for symbol, kind, access in (
        ("pushes", IMAGE_PUSHED, "registryTopicAccess"),
        ("rotations", SECRET_NEW_VERSION, "vaultTopicAccess"),
    ):
        module = infra.main.modules[symbol]
        if module.body["params"].get("eventType") != kind:
            yield f"{symbol} is not for {kind}"
        if Code(access) not in module.body.get("dependsOn", []):
            yield f"{symbol} does not wait for the topic's roles"


def roles(infra: Infra) -> Iterator[str]:
    """The table is the assignments, row by row; all of them can be left out."""
    grants = [(_row(one), file, one) for file, one in infra.all_of(GRANT)]
    assigned = {name for name, _, _ in grants}
    yield from (f"{name} is in the table and assigned nowhere" for name in sorted(set(infra.roles) - assigned))
    yield from (f"{name} is assigned and not in the table" for name in sorted(assigned - set(infra.roles)))
    for name, file, one in grants:
        if "scope" not in one.body:
            yield f"{file}: {name} is for a whole resource group"
        is_person = infra.roles.get(name, {}).get("who") == "who runs azd"
        if not is_person and one.body["properties"].get("principalType") != "ServicePrincipal":
            yield f"{file}: {name} does not say that it is for a service principal"
    for symbol, module in infra.main.modules.items():
        if Path(module.what).name.endswith("-access.bicep") and "assignRoles" not in module.condition:
            yield f"{symbol} assigns roles also with assignRoles=false"


def _row(assignment: Declared) -> str:
    found = re.search(r"roles\.(\w+)\.id\)$", assignment.body["properties"]["roleDefinitionId"].text)
    return found[1] if found else assignment.symbol


def role_ids(infra: Infra) -> Iterator[str]:
    """The ids are those that Microsoft documents, and each row says all that a reader asks."""
    for name, row in infra.roles.items():
        if name != "agentVersions" and BUILT_IN.get(row["role"]) != row["id"]:
            yield f"{name}: {row['id']} is not the id of {row['role']}"
        if set(row) != {"role", "id", "who", "where", "why", "when"} or not all(row.values()):
            yield f"{name} does not say all of role, id, who, where, why and when"


def storage(infra: Infra) -> Iterator[str]:
    """No keys, nothing public, what the app uses is there, and what is old goes."""
    file = infra.modules["storage.bicep"]
    told = file.resources["account"].body["properties"]
    desired = {"allowSharedKeyAccess": False, "allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"}
    yield from (f"storage.bicep: {key} is not {value}" for key, value in desired.items() if told.get(key) != value)
    if told["networkAcls"].get("bypass") != "AzureServices":
        yield "storage.bicep keeps Event Grid out once it is private"
    if file.resources["containers"].each != ["packages", CONTAINER, "deadletters"]:
        yield "storage.bicep makes other containers than the app uses"
    app = (infra.folder.parent / "function_app.py").read_text()
    if set(file.resources["queues"].each) != set(re.findall(r'queue_name="([\w-]+)"', app)):
        yield "storage.bicep makes other queues than function_app.py reads"
    rules = file.resources["expiry"].body["properties"]["policy"]["rules"]
    expire = {one["definition"]["filters"]["prefixMatch"][0] for one in rules if "delete" in _base(one)}
    if expire != {f"{CONTAINER}/journal/", "deadletters/"}:
        yield f"storage.bicep expires {', '.join(sorted(expire))}"


def _base(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    base: Mapping[str, Any] = rule["definition"]["actions"]["baseBlob"]
    return base


def settings(infra: Infra) -> Iterator[str]:
    """What the app reads is set, what the host reads is set, and nothing else."""
    given = [one["name"] for one in infra.main.modules["app"].body["params"]["settings"]]
    given += re.findall(r"^          name: '(\w+)'$", infra.modules["function.bicep"].text, re.MULTILINE)
    desired = {one.metadata["name"] for one in fields(Settings)} - NOT_SET | HOST
    yield from (f"the setting {name} is not set" for name in sorted(desired - set(given)))
    yield from (f"nobody reads the setting {name}" for name in sorted(set(given) - desired))
    yield from (f"the setting {name} is set twice" for name in sorted(set(given)) if given.count(name) > 1)
    app = (infra.folder.parent / "function_app.py").read_text()
    warm = re.findall(r"'function:(\w+)'", infra.modules["function.bicep"].text)
    if not warm or f'function_name("{warm[0]}")' not in app:
        yield "alwaysReady names no function of the app"


def secrets(infra: Infra) -> Iterator[str]:
    """Nothing that opens a door is asked for, put out, or written down."""
    for file in infra.files:
        name = file.path.name
        yield from (f"{name} asks for {found}" for found in re.findall(r"\b(list(?:Keys|Secrets|\w*Sas))\(", file.text))
        if re.search(r"AccountKey=|SharedAccess|\?sig=", file.text):
            yield f"{name} holds a key"
    for output in set(infra.main.outputs) - {"KEY_VAULT_URL"}:
        if re.search(r"KEY|PASSWORD|SECRET|SAS|CONNECTION", output):
            yield f"main.bicep puts out {output}"


def parameters(infra: Infra) -> Iterator[str]:
    """One list of parameters, in every place that has it: template, parameters file, pipeline."""
    given = json.loads((infra.folder / "main.parameters.json").read_text())["parameters"]
    declared = infra.main.parameters
    yield from (f"main.parameters.json has no {name}" for name in sorted(set(declared) - set(given)))
    yield from (
        f"main.parameters.json has {name}, which main.bicep has not" for name in sorted(set(given) - set(declared))
    )
    for name, one in declared.items():
        if not one.decorators.get("description"):
            yield f"{name} has no description"
        variable, default = variable_of(given.get(name, {"value": "${}"})["value"])
        desired = "" if one.default is None else str(one.default).lower() if one.type == "bool" else str(one.default)
        if default != desired:
            yield f"{variable} is {default!r} in main.parameters.json and {desired!r} in main.bicep"
    pipeline = yaml.safe_load((infra.folder.parent / "azure.yaml").read_text())["pipeline"]["variables"]
    of_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID"}
    handed = {variable_of(one["value"])[0] for one in given.values()} - of_azd
    if set(pipeline) != handed:
        yield f"azure.yaml hands other variables to the pipeline: {', '.join(sorted(handed ^ set(pipeline)))}"


def variable_of(text: str) -> tuple[str, str]:
    """``${NAME=default}`` as its two parts."""
    found = re.fullmatch(r"\$\{(\w*)=?(.*)\}", text)
    assert found is not None, text
    return found[1], found[2]


CHECKS: tuple[Callable[[Infra], Iterator[str]], ...] = (
    *(readable, readings, contracts, events, topics, roles),
    *(role_ids, storage, settings, secrets, parameters),
)


def problems(folder: Path) -> list[str]:
    """Everything that is wrong with the folder."""
    infra = Infra(folder)
    return [told for check in CHECKS for told in check(infra)]
