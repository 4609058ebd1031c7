"""docs/explanation/architecture.md names the rules in their order, and the layers, as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

from core.release.decide import RULES

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
RULE = re.compile(r"^\| \[`(\w+)`\]\(\.\./\.\./(core/release/\S+?)\) \|", re.MULTILINE)


def test_the_rules_of_the_page_are_those_of_the_code_in_their_order() -> None:
    rules = PAGE.partition("## The rules")[2].partition("## The gates")[0]
    code = [(rule.__name__, f"{rule.__module__.replace('.', '/')}.py") for rule in RULES]
    assert RULE.findall(rules) == code
