"""Reads from a manifest whether a digest is an image that runs on linux/amd64."""

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
"""Media types of an image's configuration; a manifest with another configuration is not an image."""
PLATFORM = ("linux", "amd64")
"""The only platform that hosted agents run on (docs/reference/wire.md)."""
MAX_TEXT_CHARS = 80


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Whether a digest can be deployed; stored in the release state, so that the registry is asked once."""

    reason: str = ""
    """A reason code if it cannot be deployed."""
    detail: str = ""
    amd64: str = ""
    """The digest of the linux/amd64 image: of the index, or the digest itself."""


@dataclass(frozen=True, slots=True)
class ConfigDigest:
    """The digest of a single image's configuration, which names the platform."""

    digest: str


@dataclass(frozen=True, slots=True)
class RegistryTag:
    """A tag in the registry's list."""

    tag: str
    digest: str
    pushed_at: datetime


def inspect_manifest(manifest: object, media_type: str) -> ImageFacts | ConfigDigest:
    """The facts, or the configuration to read them from."""
    if not isinstance(manifest, Mapping):
        return _not_an_image("its manifest is not an object")
    media_type = _text(manifest.get("mediaType")) or media_type.partition(";")[0].strip()
    if media_type in INDEXES or isinstance(manifest.get("manifests"), list):
        return _of_index(manifest)
    config = _map(manifest.get("config"))
    if artifact := _text(manifest.get("artifactType")):
        return _not_an_image(f"it is a {artifact}")
    if _text(config.get("mediaType")) not in CONFIGS:
        return _not_an_image(f"its configuration is {_text(config.get('mediaType')) or 'missing'}")
    config_digest = _text(config.get("digest"))
    return ConfigDigest(config_digest) if config_digest else _not_an_image("its configuration has no digest")


def inspect_config(config: object, digest: str) -> ImageFacts:
    """The facts of a single image, from its configuration."""
    platform = _platform(_map(config))
    return ImageFacts(amd64=digest) if platform == PLATFORM else _wrong_platform([platform])


def _of_index(index: Mapping[str, Any]) -> ImageFacts:
    listed = index.get("manifests")
    children = [child for child in listed if isinstance(child, Mapping)] if isinstance(listed, list) else []
    platforms = {_platform(_map(child.get("platform"))): _text(child.get("digest")) for child in reversed(children)}
    if platforms.get(PLATFORM):
        return ImageFacts(amd64=platforms[PLATFORM])
    return _wrong_platform(sorted(platforms.keys() - {("unknown", "unknown")}))  # attestations of buildx


def _platform(platform: Mapping[str, Any]) -> tuple[str, str]:
    return _text(platform.get("os")) or "unknown", _text(platform.get("architecture")) or "unknown"


def _wrong_platform(platforms: list[tuple[str, str]]) -> ImageFacts:
    existing = ", ".join(map("/".join, platforms))[:MAX_TEXT_CHARS]
    return ImageFacts(Reason.WRONG_PLATFORM.value, f"linux/amd64 is needed; there is {existing or 'no image'}")


def _not_an_image(detail: str) -> ImageFacts:
    return ImageFacts(Reason.NOT_AN_IMAGE.value, detail)


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """A text of the manifest, cut and printable, because anybody can have written it."""
    text = value if isinstance(value, str) else ""
    return "".join(char for char in text[: MAX_TEXT_CHARS * 2] if char.isprintable())
