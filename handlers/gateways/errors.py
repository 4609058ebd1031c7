"""The two errors that may leave a gateway."""

from __future__ import annotations

from handlers.redaction import redact

STORAGE = "storage"
"""What a GatewayError of the ledger, the journal or the queue names as its service."""


TOO_MANY_VERSIONS = "TOO_MANY_VERSIONS"
"""Our code for a create at Foundry's own limit, which it answers as a UserError (docs/reference/wire.md)."""


class GatewayError(Exception):
    """What an outside service made of a request, in one line without any secret value.

    ``code`` is the service's own code or the HTTP status as text, ``service`` which gateway speaks.
    """

    def __init__(self, service: str, code: str, message: str) -> None:
        code, message = redact(code), redact(message)
        super().__init__(f"{service}: {code}: {message}")
        self.service = service
        self.code = code
        self.message = message


class TransientError(GatewayError):
    """Asking again later may help.

    ``unclear`` is True when the request may have taken effect although its answer was lost or an error (a timeout, a
    5xx): the caller must look before it sends again. ``retry_after`` is the service's own wish in seconds;
    ``throttled`` is True for a 429 of Foundry's: we asked too often.
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
    ) -> None:
        super().__init__(service, code, message)
        self.unclear = unclear
        self.throttled = throttled
        self.retry_after = retry_after


class PermanentError(GatewayError):
    """Asking again will not help; ``status`` is the HTTP status where there was one."""

    def __init__(self, service: str, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(service, code, message)
        self.status = status
