"""What went wrong outside, as one sentence: which service, which role is missing, what to do."""

from __future__ import annotations

from handlers.gateways.errors import GatewayError, PermanentError

ROLES = {
    "Foundry": "Foundry User on the project",
    "storage": "Storage Blob Data Contributor and Storage Queue Data Contributor on the app's storage account",
    "Key Vault": "Key Vault Secrets User on the vault",
    "registry": "Container Registry Repository Reader (ABAC mode) or AcrPull (any other) on the registry",
    "Event Grid": "EventGrid Data Sender on the topic",
    "ARM": "Reader on the subscription or the resource groups",
}
"""Service, as a GatewayError names it -> the least role that the command line needs on it."""
NO_LOGIN = ("ClientAuthenticationError", "CredentialUnavailableError")
DENIED = frozenset({"401", "403", "FORBIDDEN", "Forbidden", "Unauthorized", "AuthorizationPermissionMismatch"})


def sentence(error: GatewayError) -> str:
    """One line for a person; never more of a cause than its first line."""
    if (cause := _no_login(error)) is not None:
        return f"{error.service}: not signed in: {cause}\nrun `az login`, or see AZURE_TOKEN_CREDENTIALS"
    if error.code == "STATE_UNREADABLE":
        return f"{error}\na newer Slipway may have written it: use the checkout of the version that is deployed"
    status = error.status if isinstance(error, PermanentError) else None
    if status == 401:
        return (
            f"{error}\n{error.service} refuses the sign-in: is it the right tenant? see "
            "`az account show --query tenantId`, then `az login --tenant <the subscription's>`"
        )
    if status == 403 or error.code in DENIED:
        return f"{error}\nyou lack {role(error.service)}; a role that was just granted takes some minutes"
    if isinstance(error, PermanentError):
        return str(error)
    return f"{error}\n{error.service} does not answer: is the address right, and can this machine reach it?"


def role(service: str) -> str:
    """The role that is missing, with its scope."""
    return ROLES.get(service, f"a role on {service}")


def _no_login(error: BaseException) -> str | None:
    """The first line of what the sign-in itself said, where that is what failed: it has no HTTP answer."""
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__name__ in NO_LOGIN and getattr(seen, "status_code", None) is None:
            told = [line.strip() for line in str(seen).strip().splitlines()]
            return next((line for line in told if ": " in line), told[0])[:200]
        seen = seen.__cause__ or seen.__context__
    return None
