"""Answers the expressions that an evaluated template leaves: those whose values only Azure knows."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(\w+)|([(),.]))")
OPERATOR = "00000000-0000-0000-0000-0000000000dd"
"""The object id of the account that deploys."""
Reference = Callable[[str], dict[str, Any]]


class Expressions:
    """Evaluates texts in brackets; ``reference`` returns a resource by its id."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def resolve(self, value: Any) -> Any:
        """Return the value with each expression in it, at any depth, replaced by its answer."""
        if isinstance(value, dict):
            return {self.resolve(key): self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if isinstance(value, str) and value.startswith("[") and value.endswith("]") and not value.startswith("[["):
            return self._expression(_tokens(value[1:-1]))
        return value

    def _expression(self, tokens: list[tuple[str, str]]) -> Any:
        kind, text = tokens.pop(0)
        result: Any = text if kind == "text" else self._call(text, tokens)
        while tokens and tokens[0] == ("sign", "."):
            tokens.pop(0)
            result = result[tokens.pop(0)[1]]
        return result

    def _call(self, name: str, tokens: list[tuple[str, str]]) -> Any:
        if not tokens or tokens[0] != ("sign", "("):
            return name  # a number
        tokens.pop(0)
        arguments = []
        while tokens[0] != ("sign", ")"):
            arguments.append(self._expression(tokens))
            if tokens[0] == ("sign", ","):
                tokens.pop(0)
        tokens.pop(0)
        functions: dict[str, Callable[..., Any]] = {
            "format": lambda text, *values: text.format(*values),
            "guid": lambda *values: str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(map(str, values)))),
            "extensionResourceId": lambda scope, kind, name: f"{scope}/providers/{kind}/{name}",
            "createArray": lambda *values: list(values),
            "true": lambda: True,
            "false": lambda: False,
            "and": lambda *values: all(values),
            "or": lambda *values: any(values),
            "not": lambda value: not value,
            "empty": lambda value: not value,
            "deployer": lambda: {"objectId": OPERATOR},
            "reference": self._answer,
        }
        return functions[name](*arguments)

    def _answer(self, identifier: str, version: str = "", full: str = "") -> Any:
        resource = self._reference(identifier)
        return resource if full else resource["properties"]


def _tokens(text: str) -> list[tuple[str, str]]:
    found = []
    position = 0
    while match := TOKEN.match(text, position):
        position = match.end()
        if match[1] is not None:
            found.append(("text", match[1].replace("''", "'")))
        else:
            found.append(("name", match[2]) if match[2] else ("sign", match[3]))
    return found
