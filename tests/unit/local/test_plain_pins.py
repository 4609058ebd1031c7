"""Tests for the second pin of packages that a lock names with an extra."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.plain_pins import with_plain_pins

ROOT = Path(__file__).resolve().parents[3]
LOCK = """\
pydantic[email]==2.14.3 \\
    --hash=sha256:10 \\
    --hash=sha256:3f
    # via
    #   sigstore
rich==15.0.0 \\
    --hash=sha256:00
    # via sigstore
"""


def test_a_package_with_an_extra_is_pinned_without_it_too() -> None:
    plain = "pydantic==2.14.3 \\\n    --hash=sha256:10 \\\n    --hash=sha256:3f\n"
    assert with_plain_pins(LOCK) == plain + LOCK
    assert with_plain_pins(plain + LOCK) == plain + LOCK


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_extra_of_a_lock_is_pinned_twice(lock: str) -> None:
    text = (ROOT / lock).read_text()
    extras = re.findall(r"^([a-z0-9-]+)\[[a-z0-9,-]+\]==(\S+)", text, re.MULTILINE)
    assert extras
    for name, version in extras:
        assert f"\n{name}=={version} " in text
