"""The platform that an image or an entry of an index names, in the words of Go and containerd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_TEXT_CHARS = 80
ARCHITECTURES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
"""Other names, as containerd/platforms reads them (database.go, ``normalizeArch``)."""
DEFAULT_VARIANTS = {"amd64": "v1", "arm64": "v8"}
"""The variant that is the same as none."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Platform:
    """Normalized names; empty where the image does not say it."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    @property
    def is_complete(self) -> bool:
        """True if it names an operating system and an architecture."""
        return bool(self.os and self.architecture)

    @property
    def is_unknown(self) -> bool:
        """True for what BuildKit writes for an attestation, which runs nowhere."""
        return self.os == self.architecture == UNKNOWN

    @property
    def is_linux_amd64(self) -> bool:
        """True if hosted agents can run it: linux/amd64 is their only platform (docs/reference/wire.md).

        One of the two may be missing: containerd, which starts the containers, runs such an image, and some builds
        write no architecture (bazel-contrib/rules_oci#117).
        """
        is_named = bool(self.os or self.architecture)
        return is_named and self.os in ("linux", "") and self.architecture in ("amd64", "")

    def __str__(self) -> str:
        names = (self.os or UNKNOWN, self.architecture or UNKNOWN, self.variant)
        return "/".join(name for name in names if name)


def read_platform(value: Mapping[str, object]) -> Platform:
    """The platform of an index entry or of an image's configuration; both have the same three keys."""
    os, architecture, variant = (printable(value.get(key)).lower() for key in ("os", "architecture", "variant"))
    architecture = ARCHITECTURES.get(architecture, architecture)
    if architecture == "386" or variant == DEFAULT_VARIANTS.get(architecture):
        variant = ""
    return Platform(os, architecture, variant)


def variant_order(variant: str) -> tuple[int, str]:
    """The least is deployed first: an image without a variant runs on every amd64 processor, v3 on fewer than v2."""
    number = variant.removeprefix("v")
    return (0 if not variant else int(number) if number.isdecimal() and len(number) < 3 else 1_000), variant


def printable(value: object) -> str:
    """A text of a manifest, cut and printable, because anybody can have written it."""
    text = value if isinstance(value, str) else ""
    return "".join(char for char in text[: MAX_TEXT_CHARS * 2] if char.isprintable())
