"""The sentence for each service error."""

from __future__ import annotations

import pytest
from azure.identity import CredentialUnavailableError

from cli.errors import explain
from handlers.gateways.errors import PermanentError, TransientError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermanentError("Foundry", "403", "get agent", status=403), "you lack Foundry User on the project"),
        (PermanentError("Key Vault", "FORBIDDEN", "list"), "you lack Key Vault Secrets User on the vault"),
        (PermanentError("storage", "403", "read", status=403), "Storage Queue Data Message Sender"),
        (PermanentError("registry", "401", "list", status=401), "is it the right tenant?"),
        (
            PermanentError("storage", "STATE_UNREADABLE", "x is of another schema"),
            "a newer Slipway may have written it",
        ),
        (
            TransientError("Foundry", "PROJECT_UNKNOWN", "read hello@eu: agents.yaml has no project eu"),
            "put the project back under projects; where it is gone for good, see docs/reference/reasons/",
        ),
        (PermanentError("Foundry", "invalid_request", "no"), "Foundry: invalid_request: no"),
        (TransientError("Foundry", "unreachable", "get agent"), "does not answer"),
        (TransientError("Foundry", "429", "get agent", throttled=True), "too many calls: ask again in a minute"),
        (TransientError("Foundry", "429", "get agent", throttled=True, retry_after=20.0), "ask again in 20 s"),
        (TransientError("registry", "429", "list tags", retry_after=0.2), "too many calls: ask again in 1 s"),
        (TransientError("registry", "503", "list tags"), "is busy or has a fault: ask again in a minute"),
    ],
)
def test_an_error_names_the_service_and_the_role(error: PermanentError | TransientError, text: str) -> None:
    assert text in explain(error)


def test_a_missing_sign_in_shows_the_first_line_of_its_cause() -> None:
    error = TransientError("storage", "no answer", "read")
    error.__cause__ = CredentialUnavailableError("Azure CLI not found on path\nmore")
    text = explain(error)
    assert text == "storage: not signed in: Azure CLI not found on path\nrun `az login`, or see AZURE_TOKEN_CREDENTIALS"


def test_a_project_of_another_tenant_is_named_and_no_role_is_advised() -> None:
    text = explain(PermanentError("Foundry", "400", "read agent hello", status=400, other_tenant=True))
    assert "belongs to another tenant than this sign-in: `az login --tenant <its tenant>`" in text
    assert "you lack" not in text
