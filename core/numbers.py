"""What a version's name must be so that one of two can be said to be newer."""

from __future__ import annotations
