"""The two errors that may leave a gateway."""

from __future__ import annotations

from core.foreign_text import LEFT_OUT, ForeignText
from handlers.masking.visible import visible
from handlers.redaction import HIDDEN, MAX_CODE_CHARS, opened, redact

STORAGE = "storage"
"""The service of a GatewayError from the state store, the journal or the queue."""
UNREADABLE_CONTENT = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What is raised by reading content that breaks the contract."""
TOO_MANY_VERSIONS = "TOO_MANY_VERSIONS"
"""Our code for a create at Foundry's own limit, which Foundry answers as a UserError (docs/reference/wire.md)."""


class GatewayError(Exception):
    """How a service failed a request, in one line without any secret value.

    ``code`` is the service's own code, or the HTTP status as text; it compares as it came. ``words`` are the service's.
    """

    def __init__(self, service: str, code: str, message: str, words: str = "") -> None:
        super().__init__(service, code, message)
        self.service = service
        self.code: str = code if isinstance(code, ForeignText) else opened(code, MAX_CODE_CHARS)
        self.words = words
        self._request = visible(redact(message))

    def __str__(self) -> str:
        return f"{self.service}: {self.code}: {self.message}"

    @property
    def message(self) -> str:
        """What was asked for, and the service's words as far as they may be shown."""
        return f"{self._request}: {self.words}" if self.words else self._request

    @property
    def leaves_words_out(self) -> bool:
        """True where a part of what the service said is not shown."""
        return f"{self.code}" == HIDDEN or LEFT_OUT in self.message

    def open_words(self) -> None:
        """Show what the service said, without secrets: only where the secrets that it may hold have been read."""
        self.code, self.words = opened(self.code, MAX_CODE_CHARS), opened(self.words)


class TransientError(GatewayError):
    """A retry may help.

    ``unclear``: the request may have taken effect although its answer was lost or an error (a timeout, a 5xx); the
    caller must read before it sends again. ``retry_after``: seconds that the service asks for. ``throttled``: Foundry
    answered 429. ``conflict``: it answered 409 and asks to retry, which may last for ever.
    """

    def __init__(  # noqa: PLR0913 - what a caller must know of a fault
        self,
        service: str,
        code: str,
        message: str,
        words: str = "",
        *,
        unclear: bool = False,
        retry_after: float | None = None,
        throttled: bool = False,
        conflict: bool = False,
    ) -> None:
        super().__init__(service, code, message, words)
        self.unclear = unclear
        self.throttled = throttled
        self.conflict = conflict
        self.retry_after = retry_after


class PermanentError(GatewayError):
    """A retry will not help; ``status`` is the HTTP status where there was one.

    ``names_preview``: the refusal is about a preview feature, so no role helps (Azure/azure-dev#8442).
    ``other_tenant``: what was asked for belongs to another tenant than the token, so no role helps.
    """

    def __init__(
        self,
        service: str,
        code: str,
        message: str,
        words: str = "",
        *,
        status: int | None = None,
        names_preview: bool = False,
        other_tenant: bool = False,
    ) -> None:
        super().__init__(service, code, message, words)
        self.status = status
        self.names_preview = names_preview
        self.other_tenant = other_tenant
