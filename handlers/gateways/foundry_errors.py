"""What Foundry's failures mean to us: one table from HTTP outcomes to our two errors."""

from __future__ import annotations

from aiohttp import ClientConnectorError
from azure.core.exceptions import HttpResponseError, ServiceRequestError

from core.model import Definition, SecretValue
from handlers.gateways import GatewayError, PermanentError, TransientError
from handlers.gateways.http import BUSY, retry_after

SERVICE = "Foundry"
LONGEST = 300
"""Characters of a service's own words that are told."""


def read_failed(what: str, error: Exception) -> GatewayError | None:
    """None where the thing does not exist; a read that is unclear may simply be asked again."""
    if isinstance(error, HttpResponseError) and error.status_code == 404:
        return None
    return _ours(what, error, None, unclear=False)


def act_failed(what: str, error: Exception, sent: Definition | None) -> GatewayError:
    """A timeout, a broken answer or a 5xx leaves unclear whether the act took effect; a 4xx did not."""
    return _ours(what, error, sent, unclear=True)


def _ours(what: str, error: Exception, sent: Definition | None, *, unclear: bool) -> GatewayError:
    if isinstance(error, HttpResponseError) and error.status_code is not None and error.status_code >= 300:
        told = f"{what}: {_hidden(_message(error), sent)[:LONGEST]}"
        if error.status_code in BUSY or error.status_code >= 500:
            landed = unclear and error.status_code != 429
            return TransientError(SERVICE, _code(error), told, unclear=landed, retry_after=retry_after(error))
        return PermanentError(SERVICE, _code(error), told, status=error.status_code)
    if isinstance(error, ServiceRequestError) and isinstance(error.inner_exception, ClientConnectorError):
        # azure-core's aio transport calls a connection that broke *after* sending a ServiceRequestError as well
        return TransientError(SERVICE, "unreachable", what)
    return TransientError(SERVICE, "no answer", f"{what}: the answer was lost or is not readable", unclear=unclear)


def _code(error: HttpResponseError) -> str:
    """The service's code; a preview_feature_required hides it in the model (azure-ai-projects 2.10.0)."""
    model = getattr(getattr(error, "model", None), "error", None)
    return str(getattr(error.error, "code", None) or getattr(model, "code", None) or error.status_code)


def _message(error: HttpResponseError) -> str:
    return str(getattr(error.error, "message", None) or error.reason or "no words")


def _hidden(text: str, sent: Definition | None) -> str:
    """The service may repeat what it was sent."""
    for value in sent.environment.values() if sent else ():
        if isinstance(value, SecretValue) and value.reveal():
            text = text.replace(value.reveal(), "***")
    return text
