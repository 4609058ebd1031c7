"""``python -m tests.security.sbom``: what ships, as a CycloneDX document made of the lock; ``--write`` stores it."""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[2]
LOCK, STORED = ROOT / "requirements.txt", ROOT / "docs" / "sbom.cdx.json"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
VIA = re.compile(r"^    # (?:via |  )(\S.*)$", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """A package of the lock."""

    name: str
    version: str
    marker: str
    """Where it is installed at all; empty for everywhere."""
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]
    """As the lock's comments say: packages, and ``-r requirements.in`` for what the product itself names."""


def pins(lock: str) -> Iterator[Pin]:
    """Every package of a lock file."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock):
        found = PIN.match(block.splitlines()[0]) if block else None
        if found:
            name, version, marker = found.groups()
            yield Pin(
                name.lower(), version, marker or "", tuple(sorted(HASH.findall(block))), tuple(VIA.findall(block))
            )


def document(lock: str, version: str) -> dict[str, Any]:
    """The SBOM; the same lock always makes the same one, so it has no time of day."""
    found = {pin: _component(pin) for pin in pins(lock)}
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, lock), components=found.values())
    product = Component(name="slipway", version=version, type=ComponentType.APPLICATION, bom_ref="slipway")
    bom.metadata.component = product
    for who, component in (("-r requirements.in", product), *((pin.name, one) for pin, one in found.items())):
        bom.register_dependency(component, [one for pin, one in found.items() if who in pin.needed_by])
    told: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del told["metadata"]["timestamp"]
    return told


def _component(pin: Pin) -> Component:
    url = PackageURL("pypi", None, pin.name, pin.version)
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in pin.hashes],
        properties=[Property(name="slipway:only-where", value=pin.marker)] if pin.marker else [],
    )


def current() -> str:
    """The SBOM of the lock as it is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return json.dumps(document(LOCK.read_text(), project["version"]), indent=1, sort_keys=True) + "\n"


def main() -> int:
    """Print or store it."""
    if "--write" in sys.argv[1:]:
        STORED.write_text(current())
    else:
        sys.stdout.write(current())
    return 0


if __name__ == "__main__":
    sys.exit(main())
