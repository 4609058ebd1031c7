"""Times that several rules and handlers share."""

from __future__ import annotations

from datetime import timedelta

CONSISTENCY_LAG = timedelta(seconds=75)
"""How long a write may take to show: a request whose answer was lost may still be applied, and reads lag up to 30 s."""

MAX_READ_AGE = timedelta(seconds=20)
"""How old the reads may be on which a write to Foundry is decided."""

MAX_WRITE_SECONDS = 35.0
"""How long a write may take with its connection and read timeouts: the lease must last longer."""
