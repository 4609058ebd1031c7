"""A resource's body held against the type that Microsoft's Azure MCP server carries of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.infra.bicep import Choice, Code, Declared, Each

PLAIN = {"string": str, "int": int, "bool": bool}
ARM_ONLY = {"parent", "scope", "dependsOn"}
"""Bicep's own words in a body."""
Json = Mapping[str, Any]


class Types:
    """The answer of ``azmcp bicepschema get`` for one resource type."""

    def __init__(self, answer: Json) -> None:
        told = answer["results"]["BicepSchemaResult"]
        self.resource = next(one for one in told if one["$type"] == "Resource")
        self._named = {one["name"]: one for one in told if one["$type"] in ("Object", "DiscriminatedObject")}

    @property
    def version(self) -> str:
        """The one API version that it knows."""
        return str(self.resource["name"].partition("@")[2])

    def problems(self, resource: Declared) -> list[str]:
        """What the service would refuse, or silently not understand."""
        if self.version != resource.what.partition("@")[2]:
            return [f"{resource.what} is known as {self.version}"]
        body = {key: content for key, content in resource.body.items() if key not in ARM_ONLY}
        return list(self._object(self.resource["bodyType"], body, resource.symbol, named=resource.existing))

    def _check(self, desired: str, given: Any, where: str) -> Iterator[str]:
        if isinstance(given, Choice):
            for one in given.values:
                yield from self._check(desired, one, where)
        elif isinstance(given, Code) or given is None:
            return
        elif desired.endswith("[]"):
            yield from self._list(desired[:-2], given, where)
        elif desired in self._named:
            yield from self._named_object(self._named[desired], given, where)
        else:
            yield from _scalar(desired, given, where)

    def _list(self, desired: str, given: Any, where: str) -> Iterator[str]:
        if isinstance(given, Each):
            yield from self._check(desired, given.body, f"{where}[]")
        elif not isinstance(given, list):
            yield f"{where} is a list"
        else:
            for one in given:
                yield from self._check(desired, one, f"{where}[]")

    def _named_object(self, kind: Json, given: Any, where: str) -> Iterator[str]:
        if not isinstance(given, dict):
            yield f"{where} is an object"
        elif kind["$type"] == "Object":
            yield from self._object(kind, given, where)
        else:
            yield from self._discriminated(kind, given, where)

    def _discriminated(self, kind: Json, given: dict[str, Any], where: str) -> Iterator[str]:
        key = kind["discriminator"]
        kinds = {prop["type"]: one for one in kind["elements"] for prop in one["properties"] if prop["name"] == key}
        chosen = given.get(key)
        if isinstance(chosen, Code):
            return
        if chosen not in kinds:
            yield f"{where}.{key} is one of {', '.join(sorted(kinds))}, not {chosen!r}"
            return
        whole = {"properties": [*kind["baseProperties"], *kinds[chosen]["properties"]]}
        yield from self._object(whole, given, where)

    def _object(self, kind: Json, given: dict[str, Any], where: str, *, named: bool = False) -> Iterator[str]:
        properties = {one["name"]: one for one in kind["properties"]}
        if not properties:
            return  # a map of anybody's keys
        for name, content in given.items():
            if name in properties:
                yield from self._property(properties[name], content, f"{where}.{name}")
            elif not kind.get("additionalPropertiesType"):
                yield f"{where}.{name} is no property"
        if not named:
            required = [name for name, one in properties.items() if "Required" in one.get("flags", "")]
            yield from (f"{where}.{name} is required" for name in required if name not in given)

    def _property(self, prop: Json, content: Any, where: str) -> Iterator[str]:
        if "ReadOnly" in prop.get("flags", ""):
            yield f"{where} can only be read"
        yield from self._check(prop["type"], content, where)


def _scalar(desired: str, given: Any, where: str) -> Iterator[str]:
    """``A | B | string`` takes any text by its type, and A or B by its service."""
    if desired in ("any", "object"):
        return
    if desired in PLAIN:
        if not isinstance(given, PLAIN[desired]) or (desired == "int" and isinstance(given, bool)):
            yield f"{where} is a {desired}, not {given!r}"
        return
    known = [one for one in desired.split(" | ") if one not in PLAIN]
    spelled_out = any(len(one) == 1 for one in known)  # it prints some words letter by letter
    if not spelled_out and str(given) not in known and str(given) not in desired:
        yield f"{where} is one of {', '.join(known)}, not {given!r}"
