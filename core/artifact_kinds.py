"""Names what was pushed where that is not an image, from its media types."""

from __future__ import annotations

from collections.abc import Sequence

EMPTY = "application/vnd.oci.empty.v1+json"
"""The configuration of an artifact that needs none; ``artifactType`` then says what it is (image-spec, manifest.md)."""
IMAGE_CONFIGS = ("application/vnd.oci.image.config.", "application/vnd.docker.container.image.")
LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
"""How the media types of an image's layers begin, whatever their compression."""
KINDS = {
    "application/vnd.buildkit.cacheconfig.": "a build cache of BuildKit",
    "application/vnd.cncf.helm.": "a Helm chart",
    "application/vnd.cncf.notary.": "a signature of Notation",
    "application/vnd.dev.cosign.": "a signature of cosign",
    "application/vnd.dev.sigstore.": "a signature or attestation of Sigstore",
    "application/vnd.in-toto": "an attestation",
    "application/vnd.dsse.": "an attestation",
    "application/spdx": "an SBOM",
    "text/spdx": "an SBOM",
    "application/vnd.cyclonedx": "an SBOM",
    "application/vnd.syft": "an SBOM",
    "application/sarif": "a scan report",
    "application/vnd.wasm.": "a WebAssembly module",
    "application/wasm": "a WebAssembly module",
    "application/vnd.module.wasm.": "a WebAssembly module",
    "application/vnd.docker.plugin.": "a Docker plugin",
    "application/vnd.docker.ai.": "an AI model",
    "application/vnd.ollama.": "an AI model",
    "application/vnd.cncf.flux.": "a Flux artifact",
}
"""How a media type begins, and what has it."""


def has_image_layers(layers: Sequence[str], artifact_type: str) -> bool:
    """True if the layers are those of an image; without any, ``artifact_type`` decides where we know it.

    cosign gives its signatures the configuration of an image, so that only their layers show what they are.
    """
    if not layers:
        return not _kind(artifact_type)
    return any(not media_type or media_type.startswith(LAYERS) for media_type in layers)


def describe_artifact(config: str, artifact_type: str, layers: Sequence[str]) -> str:
    """What it is, with the media type that shows it: of the configuration, the artifact or a layer, in this order."""
    types = [media_type for media_type in (config, artifact_type, *layers) if media_type]
    for media_type in types:
        if kind := _kind(media_type):
            return f"it is {kind} ({media_type})"
    if not config and not artifact_type:
        return "its configuration is missing"
    telling = [media_type for media_type in types if media_type != EMPTY and not media_type.startswith(IMAGE_CONFIGS)]
    return f"it is an artifact, not an image ({(telling or types)[0]})"


def _kind(media_type: str) -> str:
    return next((kind for prefix, kind in KINDS.items() if media_type.startswith(prefix)), "")
