"""Properties have no time limit: how long an example takes says nothing about it on a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", settings(deadline=None))
settings.load_profile("untimed")
