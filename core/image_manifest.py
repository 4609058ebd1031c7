"""Reads from manifests and configurations whether a digest is an image that runs on linux/amd64."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.artifact_kinds import describe_artifact, has_image_layers
from core.image_platform import UNKNOWN, Platform, printable, read_platform, variant_order
from core.image_reference import DIGEST
from core.json_map import as_map, as_maps
from core.reasons import Reason
from core.source_commit import from_labels

INDEXES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
MANIFESTS = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
CONFIGS = frozenset({"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"})
"""Media types of an image's configuration; a manifest with another configuration is not an image."""
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
"""How the two media types of Docker's first manifest format begin."""
ATTESTATION = "vnd.docker.reference.type"
"""The annotation of an index entry that describes another one (BuildKit, docs/attestations/attestation-storage.md)."""
NEEDED = "linux/amd64 is needed; there is "
MAX_DETAIL_CHARS = 200


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Whether a digest can be deployed; stored in the release state, so that the registry is asked once."""

    reason: str = ""
    """A reason code if it cannot be deployed."""
    detail: str = ""
    amd64: str = ""
    """The digest of the linux/amd64 image: of the index, or the digest itself."""
    variant: str = ""
    """Of amd64, such as v3; "unknown" where the image does not name its architecture."""
    source: str = ""
    """The repository that a single image was built from, as its labels say: ``github.com/owner/name``."""
    revision: str = ""
    """The commit that it was built from."""


@dataclass(frozen=True, slots=True)
class ConfigDigest:
    """The digest of a single image's configuration, which names the platform."""

    digest: str


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """An index that does not say which of its children runs on linux/amd64."""

    unread: tuple[str, ...]
    """The digests of the children that have to be read."""
    images: tuple[ImageFacts, ...] = ()
    """The children that run on linux/amd64, as the index says."""
    others: tuple[str, ...] = ()
    """What else it has: platforms, and entries that were ignored."""


@dataclass(frozen=True, slots=True)
class RegistryTag:
    """A tag in the registry's list."""

    tag: str
    digest: str
    pushed_at: datetime


def inspect_manifest(manifest: object, media_type: str) -> ImageFacts | ConfigDigest | ImageIndex:
    """The facts, or the configuration or the children to read them from."""
    if not isinstance(manifest, Mapping):
        return _not_an_image("its manifest is not an object")
    media_type = printable(manifest.get("mediaType")) or media_type.partition(";")[0].strip()
    if media_type.startswith(SCHEMA_1) or manifest.get("schemaVersion") == 1:
        return _not_an_image("its manifest has Docker's old schema 1; push it with a Docker of 2016 or later")
    if _is_index(manifest, media_type):
        return _inspect_index(as_maps(manifest.get("manifests")))
    config, layers = as_map(manifest.get("config")), [_type(layer) for layer in as_maps(manifest.get("layers"))]
    artifact_type = printable(manifest.get("artifactType"))
    if _type(config) not in CONFIGS or not has_image_layers(layers, artifact_type):
        return _not_an_image(describe_artifact(_type(config), artifact_type, layers))
    config_digest = _digest(config)
    return ConfigDigest(config_digest) if config_digest else _not_an_image("its configuration has no digest")


def inspect_config(config: object, digest: str) -> ImageFacts:
    """The facts of a single image, from its configuration."""
    platform = read_platform(as_map(config))
    facts = _runnable(digest, platform) if platform.is_linux_amd64 else _wrong_platform([str(platform)])
    commit = from_labels(as_map(as_map(as_map(config).get("config")).get("Labels")))
    return replace(facts, source=commit.source, revision=commit.revision) if commit else facts


def inspect_index(index: ImageIndex, read: Iterable[ImageFacts]) -> ImageFacts:
    """The facts of an index, with those of the children that had to be read."""
    children = list(read)
    if images := [*index.images, *(facts for facts in children if facts.amd64)]:
        return min(images, key=lambda facts: variant_order(facts.variant))
    wrong = [facts.detail for facts in children if facts.reason == Reason.WRONG_PLATFORM]
    if platforms := [*index.others, *(detail.removeprefix(NEEDED) for detail in wrong)]:
        return _wrong_platform(platforms)
    artifacts = [facts.detail for facts in children] or ["it is an index without an image"]
    return _not_an_image(artifacts[0])


def unreadable_child(limit: str) -> ImageFacts:
    """The facts of a child that is not read, because the index goes beyond a limit."""
    return _wrong_platform([limit])


def index_children(manifest: object) -> Mapping[str, bool]:
    """The digests of the manifests that an index names, and whether each may be an index; none of a single image."""
    children = as_maps(as_map(manifest).get("manifests"))
    manifests = (child for child in children if _type(child) in ("", *MANIFESTS, *INDEXES))
    return {digest: _type(child) not in MANIFESTS for child in manifests if (digest := _digest(child))}


def _is_index(manifest: Mapping[str, Any], media_type: str) -> bool:
    """By its media type, or because it lists manifests and has no configuration."""
    return media_type in INDEXES or (isinstance(manifest.get("manifests"), list) and "config" not in manifest)


def _inspect_index(children: list[Mapping[str, Any]]) -> ImageFacts | ImageIndex:
    images, unread, others = list[ImageFacts](), list[str](), set[str]()
    manifests = [child for child in children if _type(child) in ("", *MANIFESTS, *INDEXES)]
    for child in manifests:
        platform, digest = read_platform(as_map(child.get("platform"))), _digest(child)
        if platform.is_unknown or ATTESTATION in as_map(child.get("annotations")):
            continue
        if platform.is_complete and not platform.is_linux_amd64:
            others.add(str(platform))
        elif not digest:
            others |= {"an entry whose digest is not sha256"} if child.get("digest") or platform.is_complete else set()
        elif platform.is_complete and _type(child) not in INDEXES and _is_plain(child):
            images.append(_runnable(digest, platform))
        else:
            unread.append(digest)
    index = ImageIndex(tuple(dict.fromkeys(unread)), tuple(images), tuple(sorted(others)))
    if any(not image.variant for image in images) or not unread:
        return _without_reading(index, [_type(child) for child in children if child not in manifests])
    return index


def _without_reading(index: ImageIndex, types: list[str]) -> ImageFacts:
    if not index.images and not index.others and types:
        return _not_an_image(describe_artifact(types[-1], "", types))  # BuildKit lists a cache's layers first
    return inspect_index(index, ())


def _is_plain(child: Mapping[str, Any]) -> bool:
    """False for an entry that may be an artifact: only its manifest shows it."""
    return printable(child.get("artifactType")) in ("", *CONFIGS)


def _runnable(digest: str, platform: Platform) -> ImageFacts:
    return ImageFacts(amd64=digest, variant=platform.variant if platform.is_complete else UNKNOWN)


def _wrong_platform(existing: Iterable[str]) -> ImageFacts:
    detail = NEEDED + ", ".join(dict.fromkeys(existing))
    return ImageFacts(Reason.WRONG_PLATFORM.value, detail[:MAX_DETAIL_CHARS])


def _not_an_image(detail: str) -> ImageFacts:
    return ImageFacts(Reason.NOT_AN_IMAGE.value, detail[:MAX_DETAIL_CHARS])


def _digest(descriptor: Mapping[str, Any]) -> str:
    """Its digest, or an empty text where that is not a sha256 digest: no other text may become part of an address."""
    digest = descriptor.get("digest")
    return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else ""


def _type(descriptor: Mapping[str, Any]) -> str:
    return printable(descriptor.get("mediaType"))
