"""The two errors that may leave a gateway."""

from __future__ import annotations

from handlers.masking.visible import visible
from handlers.redaction import ServiceCode, redact

STORAGE = "storage"
"""The service of a GatewayError from the state store, the journal or the queue."""
TOO_MANY_VERSIONS = "TOO_MANY_VERSIONS"
"""Our code for a create at Foundry's own limit, which Foundry answers as a UserError (docs/reference/wire.md)."""


class GatewayError(Exception):
    """How a service failed a request, in one line without any secret value.

    ``code`` is the service's own code, or the HTTP status as text; it compares as it came.
    """

    def __init__(self, service: str, code: str, message: str) -> None:
        message = visible(redact(message))
        self.code: str = ServiceCode(code)
        super().__init__(f"{service}: {self.code}: {message}")
        self.service = service
        self.message = message


class TransientError(GatewayError):
    """A retry may help.

    ``unclear``: the request may have taken effect although its answer was lost or an error (a timeout, a 5xx); the
    caller must read before it sends again. ``retry_after``: seconds that the service asks for. ``throttled``: Foundry
    answered 429. ``conflict``: it answered 409 and asks to retry, which may last for ever.
    """

    def __init__(
        self,
        service: str,
        code: str,
        message: str,
        *,
        unclear: bool = False,
        retry_after: float | None = None,
        throttled: bool = False,
        conflict: bool = False,
    ) -> None:
        super().__init__(service, code, message)
        self.unclear = unclear
        self.throttled = throttled
        self.conflict = conflict
        self.retry_after = retry_after


class PermanentError(GatewayError):
    """A retry will not help; ``status`` is the HTTP status where there was one.

    ``names_preview``: the refusal is about a preview feature, so no role helps (Azure/azure-dev#8442).
    """

    def __init__(
        self, service: str, code: str, message: str, *, status: int | None = None, names_preview: bool = False
    ) -> None:
        super().__init__(service, code, message)
        self.status = status
        self.names_preview = names_preview
