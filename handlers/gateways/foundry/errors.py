"""Foundry's failures as our two errors: one table from HTTP outcomes."""

from __future__ import annotations

from aiohttp import ClientConnectorError
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
)

from core.model import Definition, SecretValue
from handlers.gateways.azure_http import RETRYABLE_STATUSES, retry_after
from handlers.gateways.errors import TOO_MANY_VERSIONS, GatewayError, PermanentError, TransientError
from handlers.redaction import redact

SERVICE = "Foundry"
MAX_MESSAGE_CHARS = 300
"""Of the service's own message."""


def read_failed(what: str, error: Exception) -> GatewayError | None:
    """None where the thing does not exist; a read without an answer may simply be repeated."""
    failed = _gateway_error(what, error, None, unclear=False)
    return None if isinstance(failed, PermanentError) and is_not_found(failed) else failed


def is_not_found(failed: PermanentError) -> bool:
    """True for a 404 about the agent, version or toolbox that was requested.

    A project that does not exist answers 404 with the code ``ResourceNotFound``; a proxy or a wrong host answers 404
    without a code. Neither means that an agent was deleted.
    """
    return failed.status == 404 and failed.code not in ("404", "ResourceNotFound")


def write_failed(what: str, error: Exception, sent: Definition | None) -> GatewayError:
    """After a timeout, a broken answer or a 5xx it is unclear whether the write took effect; after a 4xx it did not."""
    return _gateway_error(what, error, sent, unclear=True)


def _gateway_error(what: str, error: Exception, sent: Definition | None, *, unclear: bool) -> GatewayError:
    if isinstance(error, HttpResponseError) and error.status_code is not None and error.status_code >= 300:
        message = str(getattr(error.error, "message", None) or error.reason or "no message")
        values = sent.environment.values() if sent else ()
        secrets = [value.reveal() for value in values if isinstance(value, SecretValue)]
        shown = f"{what}: {redact(message, secrets)[:MAX_MESSAGE_CHARS]}"
        if error.status_code in RETRYABLE_STATUSES or error.status_code >= 500:
            busy, delay = error.status_code == 429, retry_after(error)
            unclear = unclear and not busy
            return TransientError(SERVICE, _code(error), shown, unclear=unclear, retry_after=delay, throttled=busy)
        code = TOO_MANY_VERSIONS if "Too many valid agent revisions" in message else _code(error)
        return PermanentError(SERVICE, code, shown, status=error.status_code)
    if _never_sent(error):
        return TransientError(SERVICE, "unreachable", f"{what}: {type(error).__name__}")
    return TransientError(SERVICE, "no answer", f"{what}: the answer was lost or is not readable", unclear=unclear)


def _never_sent(error: Exception) -> bool:
    """No token, or no connection: azure-core's aio transport gives a break *after* sending the same type."""
    if isinstance(error, ClientAuthenticationError | ServiceRequestTimeoutError):
        return getattr(error, "status_code", None) is None
    return isinstance(error, ServiceRequestError) and isinstance(error.inner_exception, ClientConnectorError)


def _code(error: HttpResponseError) -> str:
    """The service's code; that of a preview_feature_required is in the model (azure-ai-projects 2.10.0)."""
    model = getattr(getattr(error, "model", None), "error", None)
    return str(getattr(error.error, "code", None) or getattr(model, "code", None) or error.status_code)
