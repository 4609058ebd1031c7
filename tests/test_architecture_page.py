"""docs/explanation/architecture.md names the rules in their order, and the layers, as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

from core.release.decide import RULES
from tests.test_architecture import LAYERS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
RULE = re.compile(r"^\| \[`(\w+)`\]\(\.\./\.\./(core/release/\S+?)\) \|", re.MULTILINE)


def test_the_rules_of_the_page_are_those_of_the_code_in_their_order() -> None:
    rules = PAGE.partition("## The rules")[2].partition("## The gates")[0]
    code = [(rule.__name__, f"{rule.__module__.replace('.', '/')}.py") for rule in RULES]
    assert RULE.findall(rules) == code


def test_the_layers_of_the_page_are_those_of_the_code_from_the_top_down() -> None:
    table = PAGE.partition("| layer | packages |")[2].partition("\n\n")[0]
    rows = [set(re.findall(r"`((?:core|handlers|function_app)[\w.]*)`", row)) for row in table.splitlines()]
    assert [row for row in rows if row] == list(reversed(LAYERS))
