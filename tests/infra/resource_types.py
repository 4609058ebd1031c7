"""Checks the body of a resource against its type from Microsoft's Azure MCP server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.infra.bicep import Choice, Code, Declared, Each

PLAIN = {"string": str, "int": int, "bool": bool}
ARM_ONLY = {"parent", "scope", "dependsOn"}
"""Bicep keywords in a body, which are not properties of the type."""
Json = Mapping[str, Any]


class Types:
    """The answer of ``azmcp bicepschema get`` for one resource type."""

    def __init__(self, answer: Json) -> None:
        schema = answer["results"]["BicepSchemaResult"]
        self.resource = next(item for item in schema if item["$type"] == "Resource")
        self._named = {item["name"]: item for item in schema if item["$type"] in ("Object", "DiscriminatedObject")}

    @property
    def version(self) -> str:
        """The API version of the type."""
        return str(self.resource["name"].partition("@")[2])

    def problems(self, resource: Declared) -> list[str]:
        """Properties and values that the service would reject or silently ignore."""
        if self.version != resource.reference.partition("@")[2]:
            return [f"{resource.reference} is known with version {self.version} only"]
        body = {key: content for key, content in resource.body.items() if key not in ARM_ONLY}
        return list(self._object(self.resource["bodyType"], body, resource.symbol, named=resource.existing))

    def _check(self, expected: str, value: Any, where: str) -> Iterator[str]:
        if isinstance(value, Choice):
            for choice in value.values:
                yield from self._check(expected, choice, where)
        elif isinstance(value, Code) or value is None:
            return
        elif expected.endswith("[]"):
            yield from self._list(expected[:-2], value, where)
        elif expected in self._named:
            yield from self._named_object(self._named[expected], value, where)
        else:
            yield from _scalar(expected, value, where)

    def _list(self, expected: str, value: Any, where: str) -> Iterator[str]:
        if isinstance(value, Each):
            yield from self._check(expected, value.body, f"{where}[]")
        elif not isinstance(value, list):
            yield f"{where} must be a list"
        else:
            for item in value:
                yield from self._check(expected, item, f"{where}[]")

    def _named_object(self, kind: Json, value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{where} must be an object"
        elif kind["$type"] == "Object":
            yield from self._object(kind, value, where)
        else:
            yield from self._discriminated(kind, value, where)

    def _discriminated(self, kind: Json, value: dict[str, Any], where: str) -> Iterator[str]:
        key = kind["discriminator"]
        kinds = {
            prop["type"]: element
            for element in kind["elements"]
            for prop in element["properties"]
            if prop["name"] == key
        }
        chosen = value.get(key)
        if isinstance(chosen, Code):
            return
        if chosen not in kinds:
            yield f"{where}.{key} must be one of {', '.join(sorted(kinds))}, not {chosen!r}"
            return
        whole = {"properties": [*kind["baseProperties"], *kinds[chosen]["properties"]]}
        yield from self._object(whole, value, where)

    def _object(self, kind: Json, value: dict[str, Any], where: str, *, named: bool = False) -> Iterator[str]:
        properties = {prop["name"]: prop for prop in kind["properties"]}
        if not properties:
            return  # a map with any keys
        for name, content in value.items():
            if name in properties:
                yield from self._property(properties[name], content, f"{where}.{name}")
            elif not kind.get("additionalPropertiesType"):
                yield f"{where}.{name} is not a property"
        if not named:
            required = [name for name, prop in properties.items() if "Required" in prop.get("flags", "")]
            yield from (f"{where}.{name} is required" for name in required if name not in value)

    def _property(self, prop: Json, content: Any, where: str) -> Iterator[str]:
        if "ReadOnly" in prop.get("flags", ""):
            yield f"{where} is read-only"
        yield from self._check(prop["type"], content, where)


def _scalar(expected: str, value: Any, where: str) -> Iterator[str]:
    """The type ``A | B | string`` allows any text, but the service accepts only A and B."""
    if expected in ("any", "object"):
        return
    if expected in PLAIN:
        if not isinstance(value, PLAIN[expected]) or (expected == "int" and isinstance(value, bool)):
            yield f"{where} must be a {expected}, not {value!r}"
        return
    known = [choice for choice in expected.split(" | ") if choice not in PLAIN]
    spelled_out = any(len(choice) == 1 for choice in known)  # the server prints some words letter by letter
    if not spelled_out and str(value) not in known and str(value) not in expected:
        yield f"{where} must be one of {', '.join(known)}, not {value!r}"
