"""Ends a hook with a sentence on a Python that is too old: azd runs hooks with any Python from 3.7 on."""

from __future__ import annotations

import sys

REQUIRED = (3, 11)

if sys.version_info[:2] < REQUIRED:
    sys.exit(
        "Slipway's hooks need Python %d.%d or newer, and the first one on the PATH is %d.%d: "  # noqa: UP031
        "put a newer one before it" % (*REQUIRED, *sys.version_info[:2])
    )
