"""Exit codes; docs/reference/cli.md says what each means."""

from __future__ import annotations

DONE = 0
NOT_WELL = 1
"""It was looked at, and something about it is not as it should be: a check of doctor, a release that was watched."""
WRONG_INPUT = 2
UNANSWERED = 3
REFUSED = 4
INTERRUPTED = 130
