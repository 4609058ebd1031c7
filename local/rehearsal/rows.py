"""The rows of the rehearsal: each brings a deployment up and down, and says what is there afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from local.rehearsal.azd import Azd, StoppedError
from local.rehearsal.world import REGISTRY, SHARED, VAULT, World

ROOT = Path(__file__).resolve().parents[2]
ROLES = json.loads((ROOT / "infra" / "modules" / "roles.json").read_text()).values()
COMMAND = re.compile(r'az role assignment create --role "([^"]+)" --assignee-object-id (\S+).* --scope (\S+)')
TOPIC = f"{SHARED}/providers/Microsoft.EventGrid/systemTopics/orders-topic"
Row = Callable[[World], Awaitable[str]]


class WrongError(Exception):
    """A row did not end as it should; the text says how."""


async def default_wishes(world: World) -> str:
    """Existing sources, every default."""
    return await _up_again_and_down(world, world.azd("dev"))


async def created_sources(world: World) -> str:
    """A first try with a registry and a vault of its own."""
    new = {"CREATE_REGISTRY": "true", "CREATE_VAULT": "true", "GRANT_PROJECT_PULL": "true"}
    return await _up_again_and_down(world, world.azd("try", **new, VAULT_NAME="try-vault"))


async def more_projects(world: World) -> str:
    """A second project, with a vault of its own, in another group."""
    group = SHARED.replace("rg-shared", "rg-eu")
    account = f"{group}/providers/Microsoft.CognitiveServices/accounts/demo-eu"
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/demo-eu-vault"
    world.arm.put(group, location="swedencentral")
    world.arm.put(account, properties={"customSubDomainName": "demo-eu"})
    world.arm.put(f"{account}/projects/demo", identity={"principalId": "eu-project"}, name="demo-eu/demo")
    properties = {"vaultUri": "https://demo-eu-vault.vault.azure.net/", "enableRbacAuthorization": True}
    world.arm.put(vault, location="swedencentral", properties=properties)
    world.guard()
    more = {"MORE_PROJECT_IDS": f"{account}/projects/demo", "MORE_VAULT_IDS": vault}
    azd = world.azd("more", **more)
    await azd.up()
    _expect(len(_subscriptions(world)) == 3, f"subscriptions are {_subscriptions(world)}")
    return await _down(world, azd)


async def straight_delivery(world: World) -> str:
    """Events go straight to the functions; then to the queue again."""
    azd = world.azd("dev", EVENT_DELIVERY="function")
    await azd.up()
    _expect(_subscriptions(world) == ["function", "function"], f"subscriptions are {_subscriptions(world)}")
    azd.env["EVENT_DELIVERY"] = "queue"
    await azd.up()
    _expect(_subscriptions(world) == ["queue", "queue"], f"subscriptions are {_subscriptions(world)}")
    return await _down(world, azd)


async def no_roles(world: World) -> str:
    """An administrator runs the commands that postprovision prints."""
    azd = world.azd("noroles", ASSIGN_ROLES="false")
    printed = await _refused(azd, "az role assignment create")
    ids = {row["role"]: row["id"] for row in ROLES if "id" in row}
    commands = COMMAND.findall(printed)
    for number, (role, principal, scope) in enumerate(commands):
        properties = {"principalId": principal, "scope": scope, "roleDefinitionId": f"/x/{ids.get(role, role)}"}
        assignment = f"{scope}/providers/Microsoft.Authorization/roleAssignments/admin-{number}"
        world.arm.create(assignment, {"properties": properties})
    await azd.up()
    return f"{len(commands)} commands, then {await _down(world, azd)}"


async def lists_with_spaces(world: World) -> str:
    """Spaces around the items of lists belong to no name."""
    for name in ("support-search-key", "crm-key"):
        world.arm.put(f"{VAULT}/secrets/{name}", properties={})
    world.guard()
    azd = world.azd("spaces", VAULT_SECRETS=" support-search-key , crm-key ", ALERT_EMAILS="a@x.io, b@x.io")
    await azd.up()
    scopes = sorted(
        key.rpartition("/providers/microsoft.authorization/")[0] for key in world.ids() if "/secrets/" in key
    )
    _expect([scope.rpartition("/")[2] for scope in scopes] == ["crm-key", "support-search-key"], f"roles at {scopes}")
    return await _down(world, azd)


async def two_environments_first_down_first(world: World) -> str:
    """The second uses the topics of the first; the first's topics stay while the second subscribes."""
    first, second = await _two(world)
    await first.down()
    _expect("stays: slipway-" in first.printed, "predown does not say that the topics stay")
    _expect(_subscriptions(world) == ["queue", "queue"], "the second gets no events any more")
    await second.down()
    left = {key.rpartition("/")[2] for key in world.ids()}
    _expect(all(name.startswith("evgs-slipway-") for name in left) and len(left) == 2, f"left: {sorted(left)}")
    _expect("az resource delete --ids" in second.printed, "nobody says how to delete the topics")
    return "topics stay for the second, which says how to delete them"


async def two_environments_second_down_first(world: World) -> str:
    """The first keeps its events, and takes its topics with it in the end."""
    first, second = await _two(world)
    await second.down()
    _expect(_subscriptions(world) == ["queue", "queue"], "the first gets no events any more")
    return await _down(world, first)


async def topic_of_somebody_else(world: World) -> str:
    """A source has one system topic: preflight names it, it is used, and it stays."""
    identity = {"type": "SystemAssigned", "principalId": "of-orders"}
    world.arm.put(TOPIC, location="westeurope", identity=identity, properties={"source": REGISTRY})
    world.arm.put(f"{TOPIC}/eventSubscriptions/orders", properties={"provisioningState": "Succeeded"})
    world.guard()
    azd = world.azd("dev")
    await _refused(azd, "azd env set REGISTRY_TOPIC_NAME orders-topic", changed=False, world=world)
    azd.env["REGISTRY_TOPIC_NAME"] = "orders-topic"
    return f"refused, then {await _up_again_and_down(world, azd)}"


async def group_of_somebody_else(world: World) -> str:
    """Azd down would delete the SQL server in it."""
    azd = world.azd("dev", AZURE_RESOURCE_GROUP_NAME="rg-shared")
    return await _refused_unchanged(world, azd, "azd down would delete all that is in it")


async def deployment_that_fails(world: World) -> str:
    """It stops half-way; azd down takes away what is there, and the next azd up succeeds."""
    azd = world.azd("dev")
    world.arm.fails_at = "Microsoft.Web/sites"
    await _refused(azd, "DeploymentFailed")
    _expect(bool(world.ids()), "nothing was created")
    world.arm.fails_at = ""
    await azd.up()
    await azd.down()
    _expect(not world.ids(), f"left: {sorted(world.ids())}")
    again = world.azd("dev")
    world.arm.fails_at = "Microsoft.Web/sites"
    await _refused(again, "DeploymentFailed")
    return f"up again succeeds; after a failure {await _down(world, again)}"


async def region_without_zones(world: World) -> str:
    """ZRS is asked for where there is none."""
    azd = world.azd("dev", AZURE_LOCATION="northcentralus", STORAGE_SKU="Standard_ZRS")
    return await _refused_unchanged(world, azd, "northcentralus has no storage of Standard_ZRS")


async def missing_rights(world: World) -> str:
    """Roles cannot be assigned on the registry."""
    denied = [{"actions": ["*"], "notActions": ["Microsoft.Authorization/roleAssignments/write"]}]
    world.arm.lists[f"{REGISTRY}/providers/Microsoft.Authorization/permissions".lower()] = denied
    return await _refused_unchanged(world, world.azd("dev"), "azd env set ASSIGN_ROLES false")


ROWS: Sequence[Row] = (
    default_wishes,
    created_sources,
    more_projects,
    straight_delivery,
    no_roles,
    lists_with_spaces,
    two_environments_first_down_first,
    two_environments_second_down_first,
    topic_of_somebody_else,
    group_of_somebody_else,
    deployment_that_fails,
    region_without_zones,
    missing_rights,
)


async def _two(world: World) -> tuple[Azd, Azd]:
    first = world.azd("one")
    await first.up()
    second = world.azd("two")
    printed = await _refused(second, "azd env set REGISTRY_TOPIC_NAME evgs-slipway-registry-")
    second.env |= dict(re.findall(r"azd env set (\w+_TOPIC_NAME) (\S+)", printed))
    await second.up()
    _expect(len(_subscriptions(world)) == 4, f"subscriptions are {_subscriptions(world)}")
    return first, second


async def _up_again_and_down(world: World, azd: Azd) -> str:
    await azd.up()
    _expect("no desired state changed" in azd.printed, f"the smoke check does not pass:\n{azd.printed}")
    before = world.ids()
    await azd.up()
    _expect(world.ids() == before, f"the second up changes {sorted(world.ids() ^ before)}")
    return f"{len(before)} made, nothing new, {await _down(world, azd)}"


async def _down(world: World, azd: Azd) -> str:
    await azd.down()
    _expect(not world.ids(), f"left: {sorted(world.ids())}")
    return "all gone"


async def _refused_unchanged(world: World, azd: Azd, message: str) -> str:
    await _refused(azd, message, changed=False, world=world)
    return "refused, nothing made"


async def _refused(azd: Azd, message: str, *, changed: bool = True, world: World | None = None) -> str:
    """Return what azd printed when it stopped."""
    try:
        await azd.up()
    except StoppedError as stopped:
        text = str(stopped)
        _expect(message in text, f"instead of {message!r}: {text}")
        _expect(changed or world is None or not world.ids(), "something was made")
        return text
    raise WrongError(f"not refused; expected {message!r}")


def _subscriptions(world: World) -> list[str]:
    """Return the delivery of each subscription of Slipway."""
    keys = sorted(key for key in world.ids() if "/eventsubscriptions/slipway-" in key)
    return [key.rpartition("-")[2] for key in keys]


def _expect(condition: bool, message: str) -> None:
    if not condition:
        raise WrongError(message)
