"""Foundry's failures as our two errors: one table from HTTP outcomes."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import ClientConnectorError
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
)

from core.foreign_text import ForeignText
from core.model import Definition, SecretValue
from handlers.gateways.azure_http import (
    RETRYABLE_STATUSES,
    answer_headers,
    request_id,
    retry_after,
    with_request_id,
)
from handlers.gateways.errors import TOO_MANY_VERSIONS, GatewayError, PermanentError, TransientError
from handlers.redaction import ServiceCode, opened, redact

SERVICE = "Foundry"
PREVIEW_WORDS = re.compile(r"(?i)preview_?feature|foundry-features|\bis in preview\b|\bpreview features?\b")
TENANT_WORDS = re.compile(r"does not match resource t|InvalidAuthenticationTokenTenant|wrong issuer", re.IGNORECASE)
"""Of another tenant: a project answers 400 (Azure/azure-dev#5974), its account 401 (foundry-for-vscode#151)."""
RETRY_WORDS = re.compile(r"(?<!not )\b(retry|try again)\b|\bconcurren|\banother (operation|request|update)\b")


def read_failed(what: str, error: Exception) -> GatewayError | None:
    """None where the thing does not exist; a read without an answer may simply be repeated."""
    failed = _gateway_error(what, error, None, is_write=False)
    return None if isinstance(failed, PermanentError) and is_not_found(failed) else failed


def is_not_found(failed: PermanentError) -> bool:
    """True for a 404 about the agent, version or toolbox that was requested.

    A project that does not exist answers 404 with the code ``ResourceNotFound``; a proxy or a wrong host answers 404
    without a code. Neither means that an agent was deleted.
    """
    return failed.status == 404 and failed.code not in ("404", "ResourceNotFound")


def write_failed(what: str, error: Exception, sent: Definition | None) -> GatewayError:
    """After a timeout, a broken answer or a 5xx it is unclear whether the write took effect; after a 4xx it did not."""
    return _gateway_error(what, error, sent, is_write=True)


def _gateway_error(what: str, error: Exception, sent: Definition | None, *, is_write: bool) -> GatewayError:
    if isinstance(error, HttpResponseError) and error.status_code is not None and error.status_code >= 300:
        return _refusal(what, error, error.status_code, sent, is_write=is_write)
    if _never_sent(error):
        return TransientError(SERVICE, "unreachable", f"{what}: {type(error).__name__}")
    request = with_request_id(what, error)
    return TransientError(SERVICE, "no answer", f"{request}: the answer was lost or is not readable", unclear=is_write)


def _refusal(
    what: str, error: HttpResponseError, status: int, sent: Definition | None, *, is_write: bool
) -> GatewayError:
    """An answer with an error status; after a 4xx other than 408 the request took no effect."""
    message, came = error_message(error), _code(error)
    code, said = ServiceCode(came), f"{came} {message}"  # a ServiceCode in a text is masked
    values = sent.environment.values() if sent else ()
    secrets = [value.reveal() for value in values if isinstance(value, SecretValue)]
    # the process that sends a definition has read its secrets, also those that are too short to be hidden everywhere
    words = opened(redact(message, secrets)) if sent else ForeignText(message)
    request = with_request_id(what, error)
    conflict = status == 409 and asks_to_retry(message)
    if conflict or status in RETRYABLE_STATUSES or status >= 500:
        return TransientError(
            SERVICE,
            code,
            request,
            words,
            unclear=is_write and (status >= 500 or status == 408),
            retry_after=retry_after(error),
            throttled=status == 429,
            conflict=is_write and conflict,
        )
    if "Too many valid agent revisions" in message:
        code = ServiceCode(TOO_MANY_VERSIONS)
    names_preview = status == 403 and PREVIEW_WORDS.search(said) is not None
    other_tenant = status in (400, 401, 403) and TENANT_WORDS.search(said) is not None
    known: dict[str, Any] = {"names_preview": names_preview, "other_tenant": other_tenant}
    return PermanentError(SERVICE, code, request, words, status=status, **known)


def asks_to_retry(message: str) -> bool:
    """True for a conflict that another request of the same moment caused.

    "The resource already exists or was modified concurrently. Please retry." (Azure/azure-sdk-for-net#58060). A version
    with active sessions answers 409 too, and no retry ends those.
    """
    text = message.casefold()
    return RETRY_WORDS.search(text) is not None and "session" not in text


def _never_sent(error: Exception) -> bool:
    """No token, or no connection: azure-core's aio transport gives a break *after* sending the same type."""
    if isinstance(error, ClientAuthenticationError | ServiceRequestTimeoutError):
        return getattr(error, "status_code", None) is None
    return isinstance(error, ServiceRequestError) and isinstance(error.inner_exception, ClientConnectorError)


def _code(error: HttpResponseError) -> str:
    """The service's code; that of a preview_feature_required is in the model (azure-ai-projects 2.10.0)."""
    return str(getattr(error.error, "code", None) or getattr(_model(error), "code", None) or error.status_code)


def error_message(error: HttpResponseError) -> str:
    """The service's own words, without the request's id at their end: that is shown also where words are left out."""
    found = getattr(error.error, "message", None) or getattr(_model(error), "message", None)
    text = str(found or error.reason or "no message").encode("utf-8", "replace").decode()
    found_id = request_id(answer_headers(error))
    return text.removesuffix(f"[Request ID: {found_id}]").rstrip() if found_id else text


def _model(error: HttpResponseError) -> Any:
    return getattr(getattr(error, "model", None), "error", None)
