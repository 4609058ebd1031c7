"""Validates what commands print with ``--json`` against the published schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli-json"


def validated(command: str, printed: str) -> Any:
    """Return the last document that a command printed; raise ValidationError where its schema does not allow it.

    A watched release prints its decisions before.
    """
    decoder, text, document = json.JSONDecoder(), printed.strip(), None
    while text.startswith(("{", "[")):
        document, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
    schema = json.loads((FOLDER / f"{command}.schema.json").read_text())
    Draft202012Validator(schema).validate(document)
    return document
