"""Error codes of Foundry that are public: what each means for a probe, and which may be shown by anybody.

A code can hold any text, because an agent can answer in the service's place. A public code says nothing secret.
"""

from __future__ import annotations

import re

from core.reasons import SERVICE_CODES


def normalized(code: str) -> str:
    """The code without case and separators: the service spells the same code in two ways."""
    return re.sub(r"[\W_]", "", code.casefold())


def _codes(*codes: str) -> frozenset[str]:
    return frozenset(map(normalized, codes))


STARTING = _codes("AgentVersionNotReady", "agent_version_not_ready")
NOT_UP = _codes(
    "session_not_ready", "ReadinessTimeout", "ProxyTimeout", "SandboxIdle", "AgentVersionProvisioningFailed"
)
"""The service says that the version's container does not answer: if that lasts, the version has failed."""
QUOTA = _codes(
    "QuotaExceeded",
    "RegionalQuotaExceeded",
    "rate_limit_exceeded",
    "too_many_requests",
    "RateLimitReached",
    "insufficient_quota",
)
SESSION_GONE = _codes("SandboxNotFound")
DISABLED = _codes("AgentDisabled")
PREVIEW = _codes("preview_feature_required")
AGENT_SERVER = _codes(
    "invalid_request", "invalid_request_error", "invalid_mode", "invalid_parameters", "unsupported_parameter"
)
"""Codes with which Microsoft's server for agents refuses a question: azure-ai-agentserver-responses, _validation.py."""
OF_THE_SERVICE = STARTING | NOT_UP | QUOTA | SESSION_GONE | DISABLED | PREVIEW
"""Codes that no agent gives, so that a probe which expects an error status does not pass on them."""

RESPONSE_WORDS = _codes(
    "completed", "failed", "in_progress", "queued", "incomplete", "cancelled", "max_output_tokens", "content_filter"
)
"""Of the Responses protocol: ``status``, and ``incomplete_details.reason``."""
COMMON = _codes(
    *("bad_request", "BadArgument", "invalid_payload", "validation_error", "UserError", "unauthorized"),
    *("AuthenticationFailed", "authentication_error", "InvalidAuthenticationToken", "AuthorizationFailed"),
    *("forbidden", "PermissionDenied", "permission_error", "AccessDenied", "PublicNetworkAccessDisabled"),
    *("not_found", "not_found_error", "ResourceNotFound", "DeploymentNotFound", "AgentNotFound", "conflict"),
    *("ResourceAlreadyExists", "PreconditionFailed", "Throttled", "internal_error", "InternalServerError"),
    *("server_error", "SystemError", "ServiceUnavailable", "GatewayTimeout", "BadGateway", "timeout"),
    *("OperationTimedOut", "cut off", "TooManyRequests", "UnsupportedApiVersion", "UnsupportedMediaType"),
)
PUBLIC = OF_THE_SERVICE | AGENT_SERVER | RESPONSE_WORDS | COMMON | _codes(*SERVICE_CODES)
MAX_PUBLIC_DIGITS = 6
"""Of an HTTP status, or of a version's number."""


def is_service_code(code: str) -> bool:
    """True for a code that no agent gives."""
    return normalized(code) in OF_THE_SERVICE


def is_public(code: str) -> bool:
    """True for a code that says nothing secret, from any source."""
    number = code.isascii() and code.isdecimal() and len(code) <= MAX_PUBLIC_DIGITS
    return number or normalized(code) in PUBLIC
