"""Explains a service error in one sentence: which service, which role is missing, what to do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from handlers.gateways.errors import GatewayError, PermanentError, TransientError

if TYPE_CHECKING:
    from cli.json_documents.shared import ServiceError

ROLES = {
    "Foundry": "Foundry User on the project",
    "storage": (
        "Storage Blob Data Contributor on the container slipway, or Storage Queue Data Message Sender on the queue, "
        "of the app's storage account"
    ),
    "Key Vault": "Key Vault Secrets User on the vault",
    "registry": "Container Registry Repository Reader (ABAC mode) or AcrPull (any other) on the registry",
    "Event Grid": "EventGrid Data Sender on the topic",
    "ARM": "Reader on the subscription or the resource groups",
}
"""GatewayError.service -> the least role that the command line needs there."""
SIGN_IN_ERRORS = ("ClientAuthenticationError", "CredentialUnavailableError")
DENIED = frozenset({"401", "403", "FORBIDDEN", "Forbidden", "Unauthorized", "AuthorizationPermissionMismatch"})


def explain(error: GatewayError) -> str:
    """Return the error and, on a second line, what to do; of a cause only its first line."""
    if (cause := sign_in_failure(error)) is not None:
        return f"{error.service}: not signed in: {cause}\nrun `az login`, or see AZURE_TOKEN_CREDENTIALS"
    if error.code == "STATE_UNREADABLE":
        return f"{error}\na newer Slipway may have written it: use the checkout of the deployed version"
    if error.code == "PROJECT_UNKNOWN":
        return (
            f"{error}\nput the project back under projects; where it is gone for good, see "
            "docs/reference/reasons/IMAGES_IN_USE_UNKNOWN.md"
        )
    if isinstance(error, PermanentError) and error.other_tenant:
        return (
            f"{error}\nit belongs to another tenant than this sign-in: `az login --tenant <its tenant>`; "
            "the app reaches only projects of its own tenant"
        )
    status = error.status if isinstance(error, PermanentError) else None
    if status == 401:
        return (
            f"{error}\n{error.service} refuses the sign-in: is it the right tenant? see "
            "`az account show --query tenantId`, then `az login --tenant <the subscription's>`"
        )
    if status == 403 or error.code in DENIED:
        role = ROLES.get(error.service, f"a role on {error.service}")
        return f"{error}\nyou lack {role}; a new assignment takes some minutes"
    return f"{error}\n{_when_it_answers(error)}" if isinstance(error, TransientError) else str(error)


def _when_it_answers(error: TransientError) -> str:
    wait = f"{math.ceil(error.retry_after)} s" if error.retry_after else "a minute"
    if error.throttled or error.code == "429":
        return f"{error.service} gets too many calls: ask again in {wait}"
    if error.code.isdecimal():  # a status: it was reached
        return f"{error.service} is busy or has a fault: ask again in {wait}"
    return f"{error.service} does not answer: is the address right, and can this machine reach it?"


def as_json(error: GatewayError) -> ServiceError:
    """Return the error as fields."""
    return {"service": error.service, "code": f"{error.code}", "detail": error.message}


def as_text(error: ServiceError) -> str:
    """Return the error of JSON in one line, as ``str(error)`` was."""
    return f"{error['service']}: {error['code']}: {error['detail']}"


def sign_in_failure(error: BaseException) -> str | None:
    """Return the first line of a failed sign-in among the causes; unlike a refusal it has no HTTP status."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ in SIGN_IN_ERRORS and getattr(cause, "status_code", None) is None:
            lines = [line.strip() for line in str(cause).strip().splitlines()]
            return next((line for line in lines if ": " in line), lines[0])[:200]
        cause = cause.__cause__ or cause.__context__
    return None
