"""What was pushed: an image that runs on linux/amd64, or why it is none, read from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.reasons import Reason

INDEXES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
CONFIGS = frozenset({"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"})
"""Media types of an image's configuration: whatever else a manifest configures is no image."""
PLATFORM = ("linux", "amd64")
"""The only platform that hosted agents run on (docs/reference/wire.md)."""
MAX_TEXT_CHARS = 80


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a digest is; kept in the ledger, so that the registry is asked once."""

    reason: str = ""
    """Why it cannot be deployed; empty where it can."""
    detail: str = ""
    amd64: str = ""
    """The digest of the linux/amd64 image: an index's child, or the image itself."""


@dataclass(frozen=True, slots=True)
class ConfigDigest:
    """The digest of a single image's configuration, which names the platform."""

    digest: str


@dataclass(frozen=True, slots=True)
class RegistryTag:
    """A tag as the registry lists it."""

    tag: str
    digest: str
    pushed_at: datetime


def inspect_manifest(manifest: object, media_type: str) -> ImageFacts | ConfigDigest:
    """The facts, or the configuration to read them from."""
    if not isinstance(manifest, Mapping):
        return _no_image("its manifest is not an object")
    kind = _text(manifest.get("mediaType")) or media_type.partition(";")[0].strip()
    if kind in INDEXES or isinstance(manifest.get("manifests"), list):
        return _of_index(manifest)
    config = manifest.get("config")
    config = config if isinstance(config, Mapping) else {}
    if artifact := _text(manifest.get("artifactType")):
        return _no_image(f"it is a {artifact}")
    if _text(config.get("mediaType")) not in CONFIGS:
        return _no_image(f"it is configured by {_text(config.get('mediaType')) or 'nothing'}")
    config_digest = _text(config.get("digest"))
    return ConfigDigest(config_digest) if config_digest else _no_image("its configuration has no digest")


def inspect_config(config: object, digest: str) -> ImageFacts:
    """The facts of a single image, from its configuration."""
    told = config if isinstance(config, Mapping) else {}
    platform = (_text(told.get("os")), _text(told.get("architecture")))
    return ImageFacts(amd64=digest) if platform == PLATFORM else _wrong_platform([platform])


def _of_index(index: Mapping[str, Any]) -> ImageFacts:
    listed = index.get("manifests")
    children = [child for child in listed if isinstance(child, Mapping)] if isinstance(listed, list) else []
    platforms = {_platform(child): _text(child.get("digest")) for child in reversed(children)}
    if platforms.get(PLATFORM):
        return ImageFacts(amd64=platforms[PLATFORM])
    real = [one for one in platforms if one != ("unknown", "unknown")]  # what buildx calls an attestation
    return _wrong_platform(sorted(real))


def _platform(child: Mapping[str, Any]) -> tuple[str, str]:
    told = child.get("platform")
    told = told if isinstance(told, Mapping) else {}
    return _text(told.get("os")) or "unknown", _text(told.get("architecture")) or "unknown"


def _wrong_platform(found: list[tuple[str, str]]) -> ImageFacts:
    there = ", ".join("/".join(part or "unknown" for part in one) for one in found)[:MAX_TEXT_CHARS]
    return ImageFacts(Reason.WRONG_PLATFORM.value, f"linux/amd64 is needed; there is {there or 'no image'}")


def _no_image(detail: str) -> ImageFacts:
    return ImageFacts(Reason.NOT_AN_IMAGE.value, detail)


def _text(value: object) -> str:
    """A text of the manifest, cut and printable: it is somebody else's."""
    text = value if isinstance(value, str) else ""
    return "".join(letter for letter in text[: MAX_TEXT_CHARS * 2] if letter.isprintable())
