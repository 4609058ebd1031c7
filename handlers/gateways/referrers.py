"""Finds the bundles of Sigstore that refer to an image: by the referrers API of OCI 1.1, or by its tag schema."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from azure.core.exceptions import ResourceNotFoundError

from core.image_reference import DIGEST
from core.json_map import as_map, as_maps
from core.signatures import ARTIFACT_TYPE, MAX_BUNDLE_BYTES, MAX_BUNDLES, SignatureBundle
from handlers.concurrency import gather_limited
from handlers.gateways.answer_limits import AnswerTooLargeError
from handlers.gateways.azure_http import is_missing
from handlers.gateways.errors import UNREADABLE_CONTENT

INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE_MEDIA_TYPE = f"{ARTIFACT_TYPE}.v0.3+json"
MAX_CONCURRENT = 8
MAX_PAGES = 10
NEXT_PAGE = re.compile(r'<[^<>]*/(referrers/sha256:[0-9a-f]{64}\?[^<>\s]{1,1000})>\s*;\s*rel="?next"?')
"""The next page of a list, which the specification of OCI 1.1 puts into the header ``Link``."""


@dataclass(frozen=True, slots=True)
class ReferrerReads:
    """The requests that it takes; each raises what the client raises."""

    get_json: Callable[[str, str, str], Awaitable[tuple[object, str]]]
    """The answer, None for a 404; and its header ``Link``."""
    manifest: Callable[[str, str], Awaitable[tuple[object, str]]]
    blob: Callable[[str, str, int], Awaitable[bytes]]


async def read_bundles(reads: ReferrerReads, repository: str, digest: str) -> Sequence[SignatureBundle]:
    """The bundles that refer to a digest, in the registry's order, and why others could not be read."""
    try:
        found = await _referrers(reads, repository, digest)
    except AnswerTooLargeError:
        return [SignatureBundle(digest, problem="has more referrers than an answer may have")]
    unread = found[MAX_BUNDLES:]
    bundles = await gather_limited(
        MAX_CONCURRENT, (_bundle(reads, repository, digest, referrer) for referrer in found[:MAX_BUNDLES])
    )
    more = [SignatureBundle(digest, problem=f"has {len(unread)} more referrers, which were not read")] if unread else []
    return [*more, *bundles]


async def _referrers(reads: ReferrerReads, repository: str, digest: str) -> list[str]:
    """The digests of the manifests that may carry a bundle. A registry answers 404 where it has no referrers API."""
    first = f"referrers/{digest}?artifactType={quote(BUNDLE_MEDIA_TYPE, safe='')}"
    index, link = await reads.get_json(repository, first, INDEX)
    if index is None:
        index, _ = await reads.get_json(repository, f"manifests/{digest.replace(':', '-')}", INDEX)
        return _carriers(index)
    found, pages = _carriers(index), 1
    while (following := NEXT_PAGE.search(link)) and len(found) <= MAX_BUNDLES and pages < MAX_PAGES:
        index, link = await reads.get_json(repository, following[1], INDEX)
        found, pages = list(dict.fromkeys([*found, *_carriers(index)])), pages + 1
    return found


def _carriers(index: object) -> list[str]:
    """Those of an index."""
    entries = as_maps(as_map(index).get("manifests"))
    carriers = (entry for entry in entries if str(entry.get("artifactType") or ARTIFACT_TYPE).startswith(ARTIFACT_TYPE))
    digests = (str(entry.get("digest")) for entry in carriers)
    return list(dict.fromkeys(name for name in digests if DIGEST.fullmatch(name)))


async def _bundle(reads: ReferrerReads, repository: str, digest: str, referrer: str) -> SignatureBundle:
    try:
        manifest = as_map((await reads.manifest(repository, referrer))[0])
        if as_map(manifest.get("subject")).get("digest") != digest:
            return SignatureBundle(referrer, problem="refers to another digest")
        layers = manifest.get("layers")
        layer = as_map(layers[0]) if isinstance(layers, list) and len(layers) == 1 else {}
        if not str(layer.get("mediaType")).startswith(ARTIFACT_TYPE) or not DIGEST.fullmatch(str(layer.get("digest"))):
            return SignatureBundle(referrer, problem="is not a bundle of Sigstore")
        size = layer.get("size")
        if not isinstance(size, int) or size > MAX_BUNDLE_BYTES:
            return SignatureBundle(referrer, problem=f"has more than {MAX_BUNDLE_BYTES:,} bytes")
        return SignatureBundle(referrer, await reads.blob(repository, str(layer["digest"]), MAX_BUNDLE_BYTES))
    except ResourceNotFoundError as error:
        if not is_missing(error):
            raise
        return SignatureBundle(referrer, problem="is not in the registry")
    except UNREADABLE_CONTENT:  # what the registry did not answer is raised
        return SignatureBundle(referrer, problem="cannot be read")
