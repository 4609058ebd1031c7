"""What Foundry's failures mean to us: one table from HTTP outcomes to our two errors."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote

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
"""Characters of a service's own words that are told."""


def read_failed(what: str, error: Exception) -> GatewayError | None:
    """None where the thing does not exist; a read that is unclear may simply be asked again."""
    failed = _ours(what, error, None, unclear=False)
    return None if isinstance(failed, PermanentError) and is_not_found(failed) else failed


def is_not_found(failed: PermanentError) -> bool:
    """True for a 404 about the agent, version or toolbox that was asked for.

    A project that does not exist answers 404 with the code ``ResourceNotFound``, and whatever stands between us and
    the service (a proxy, a wrong host) answers 404 without a code: neither says that an agent was deleted.
    """
    return failed.status == 404 and failed.code not in ("404", "ResourceNotFound")


def write_failed(what: str, error: Exception, sent: Definition | None) -> GatewayError:
    """A timeout, a broken answer or a 5xx leaves unclear whether the act took effect; a 4xx did not."""
    return _ours(what, error, sent, unclear=True)


def _ours(what: str, error: Exception, sent: Definition | None, *, unclear: bool) -> GatewayError:
    if isinstance(error, HttpResponseError) and error.status_code is not None and error.status_code >= 300:
        told = f"{what}: {_hidden(_message(error), sent)[:MAX_MESSAGE_CHARS]}"
        if error.status_code in RETRYABLE_STATUSES or error.status_code >= 500:
            busy, wish = error.status_code == 429, retry_after(error)
            return TransientError(
                SERVICE, _code(error), told, unclear=unclear and not busy, retry_after=wish, throttled=busy
            )
        code = TOO_MANY_VERSIONS if "Too many valid agent revisions" in _message(error) else _code(error)
        return PermanentError(SERVICE, code, told, status=error.status_code)
    if _never_sent(error):
        return TransientError(SERVICE, "unreachable", f"{what}: {type(error).__name__}")
    return TransientError(SERVICE, "no answer", f"{what}: the answer was lost or is not readable", unclear=unclear)


def _never_sent(error: Exception) -> bool:
    """No token, or no connection: azure-core's aio transport calls one that broke *after* sending the same."""
    if isinstance(error, ClientAuthenticationError | ServiceRequestTimeoutError):
        return getattr(error, "status_code", None) is None
    return isinstance(error, ServiceRequestError) and isinstance(error.inner_exception, ClientConnectorError)


def _code(error: HttpResponseError) -> str:
    """The service's code; a preview_feature_required hides it in the model (azure-ai-projects 2.10.0)."""
    model = getattr(getattr(error, "model", None), "error", None)
    return str(getattr(error.error, "code", None) or getattr(model, "code", None) or error.status_code)


def _message(error: HttpResponseError) -> str:
    return str(getattr(error.error, "message", None) or error.reason or "no words")


def _hidden(text: str, sent: Definition | None) -> str:
    """The service may repeat what it was sent, and whatever else this process has read."""
    for value in sent.environment.values() if sent else ():
        if isinstance(value, SecretValue) and value.reveal():
            for written in _ways_to_write(value.reveal()):
                text = text.replace(written, "***")
    return redact(text)


def _ways_to_write(value: str) -> list[str]:
    """The value as it is, and as JSON, HTML and addresses write it; the longest first."""
    ways = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], escape(value), quote(value)}
    return sorted(ways, key=len, reverse=True)
