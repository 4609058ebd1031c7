"""Times that several rules and handlers share."""

from __future__ import annotations

from datetime import timedelta

CONSISTENCY_LAG = timedelta(seconds=75)
"""How long an act may take to show: an answer that was lost may still land, and reads lag up to 30 s."""


MAX_READ_AGE_SECONDS = 20.0
"""Seconds after the last look within which an act may begin."""


MAX_WRITE_SECONDS = 35.0
"""Seconds that an act may take with its connection and read timeouts: the lease must outlast them."""
