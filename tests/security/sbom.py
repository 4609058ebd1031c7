"""``python -m tests.security.sbom [FILE]``: print or write the SBOM of requirements.txt, as a CycloneDX document."""

from __future__ import annotations

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.txt"
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
VIA = re.compile(r"^    # (?:via |  )(\S.*)$", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """A package of the lock file."""

    name: str
    version: str
    marker: str
    """Environment marker; empty if it is always installed."""
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]
    """Packages that require it, from the lock file's comments; ``-r requirements.in`` if the product does."""


def pins(lock: str) -> Iterator[Pin]:
    """Every package of a lock file; a plain pin beside one with an extra (local/plain_pins.py) is no package more."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock):
        match = PIN.match(block.splitlines()[0]) if block else None
        if match and VIA.search(block):
            name, version, marker = match.groups()
            yield Pin(
                name.lower(), version, marker or "", tuple(sorted(HASH.findall(block))), tuple(VIA.findall(block))
            )


def document(lock: str, version: str) -> dict[str, Any]:
    """The SBOM of a lock file, without a timestamp: the same lock file always gives the same document."""
    components = {pin: _component(pin) for pin in pins(lock)}
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, lock), components=components.values())
    product = Component(name="slipway", version=version, type=ComponentType.APPLICATION, bom_ref="slipway")
    bom.metadata.component = product
    parents = [("-r requirements.in", product), *((pin.name, component) for pin, component in components.items())]
    for parent, component in parents:
        needed = [dependency for pin, dependency in components.items() if parent in pin.needed_by]
        bom.register_dependency(component, needed)
    sbom: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del sbom["metadata"]["timestamp"]
    return sbom


def _component(pin: Pin) -> Component:
    url = PackageURL("pypi", None, pin.name, pin.version)
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=str(url),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.hashes],
        properties=[Property(name="slipway:only-where", value=pin.marker)] if pin.marker else [],
    )


def build() -> str:
    """The SBOM of the checkout's lock file, as JSON text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return json.dumps(document(LOCK.read_text(), project["version"]), indent=1, sort_keys=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the SBOM to the file, or print it if none is named."""
    if arguments:
        file = Path(arguments[0])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(build())
    else:
        sys.stdout.write(build())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
