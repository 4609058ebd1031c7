"""Bundles that refer to an image: found by the real client, in a registry with the referrers API and in one without."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.signatures import SignatureBundle
from handlers.gateways.answer_limits import AnswerTooLargeError
from handlers.gateways.errors import TransientError
from handlers.gateways.referrers import MAX_PAGES, ReferrerReads, read_bundles
from local.registry.repository import Repository, digest_of
from local.registry.server import Registry
from local.signing import BUNDLE_TYPE
from local.tls import Authority
from tests.contract.test_registry_gateway import LocalRegistry
from tests.support.local_clients import plan_faults

REPOSITORY, DIGEST = "agents/hello", f"sha256:{'a' * 64}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Served:
    gateway: LocalRegistry
    registry: Registry
    url: str

    def attach(self, data: bytes, **changes: Any) -> str:
        """Store a bundle and the manifest that refers to the image; returns the manifest's digest."""
        stored = self.registry.repositories.setdefault(REPOSITORY, Repository())
        stored.blobs[digest_of(data)] = data
        layer = {"mediaType": BUNDLE_TYPE, "digest": digest_of(data), "size": len(data)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE_TYPE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(b"{}"), "size": 2},
            "layers": [layer],
            "subject": {"mediaType": MANIFEST, "digest": DIGEST, "size": 10},
        } | changes
        return self.store(manifest, MANIFEST)

    def store(self, manifest: dict[str, Any], media_type: str) -> str:
        content = json.dumps(manifest).encode()
        self.registry.repositories.setdefault(REPOSITORY, Repository()).manifests[digest_of(content)] = (
            media_type,
            content,
        )
        return digest_of(content)

    def index(self, *digests: str, **changes: Any) -> None:
        """The index at the tag of the image, as a pusher writes it where the registry has no API."""
        entries = [
            {"mediaType": MANIFEST, "digest": item, "size": 1, "artifactType": BUNDLE_TYPE} | changes
            for item in digests
        ]
        named = self.store({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, INDEX)
        self.registry.repositories[REPOSITORY].tags[DIGEST.replace(":", "-")] = named

    async def found(self) -> list[SignatureBundle]:
        return list(await self.gateway.list_signatures(REPOSITORY, DIGEST))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    authority, registry = Authority(tmp_path), Registry("demo")
    url = await registry.start(tls=authority.server())
    gateway = LocalRegistry(url, authority.ca)
    yield Served(gateway, registry, url)
    await gateway.close()
    await registry.stop()


@pytest.mark.parametrize("has_api", [True, False])
async def test_bundles_are_found_with_and_without_the_api(served: Served, has_api: bool) -> None:
    first, second = served.attach(b"one"), served.attach(b"two")
    served.registry.referrers.enabled = has_api
    if not has_api:
        served.index(first, second)
    assert await served.found() == [SignatureBundle(first, b"one"), SignatureBundle(second, b"two")]


@pytest.mark.parametrize("has_api", [True, False])
async def test_an_image_without_referrers_has_no_bundles(served: Served, has_api: bool) -> None:
    served.registry.referrers.enabled = has_api
    assert await served.found() == []


async def test_two_requests_say_that_there_is_nothing(served: Served) -> None:
    await served.found()
    before = len(served.registry.requests)
    await served.found()
    assert len(served.registry.requests) - before == 1, "the token is kept"


@pytest.mark.parametrize("has_api", [True, False])
async def test_whether_the_registry_lists_referrers_is_known(served: Served, has_api: bool) -> None:
    served.registry.referrers.enabled = has_api
    assert await served.gateway.has_referrers_api(REPOSITORY, DIGEST) is has_api


@pytest.mark.parametrize("subject", ["x", ["x"], {}, {"digest": 5}])
async def test_a_manifest_with_a_subject_of_nonsense_hides_no_other(served: Served, subject: Any) -> None:
    bundle = served.attach(b"one")
    served.attach(b"two", subject=subject)
    assert await served.found() == [SignatureBundle(bundle, b"one")]


async def test_what_refers_to_the_image_and_is_no_bundle_is_left_out(served: Served) -> None:
    served.attach(b"sbom", artifactType="application/spdx+json")
    assert await served.found() == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"layers": []}, "is not a bundle of Sigstore"),
        ({"layers": None}, "is not a bundle of Sigstore"),
        (
            {"layers": [{"mediaType": "text/plain", "digest": digest_of(b"x"), "size": 1}]},
            "is not a bundle of Sigstore",
        ),
        ({"layers": [{"mediaType": BUNDLE_TYPE, "digest": "x", "size": 1}]}, "is not a bundle of Sigstore"),
        (
            {"layers": [{"mediaType": BUNDLE_TYPE, "digest": digest_of(b"x"), "size": 100_000_000}]},
            "has more than 1,000,000 bytes",
        ),
        ({"layers": [{"mediaType": BUNDLE_TYPE, "digest": digest_of(b"x")}]}, "has more than 1,000,000 bytes"),
        ({"layers": [{"mediaType": BUNDLE_TYPE, "digest": digest_of(b"gone"), "size": 1}]}, "is not in the registry"),
    ],
)
async def test_a_manifest_that_carries_no_readable_bundle_is_named(served: Served, changes: Any, problem: str) -> None:
    broken, good = served.attach(b"x", **changes), served.attach(b"good")
    assert await served.found() == [SignatureBundle(broken, problem=problem), SignatureBundle(good, b"good")]


async def test_a_bundle_that_is_larger_than_its_manifest_says_is_not_read_to_the_end(served: Served) -> None:
    large = b"x" * 1_500_000
    lying = served.attach(large, layers=[{"mediaType": BUNDLE_TYPE, "digest": digest_of(large), "size": 10}])
    assert await served.found() == [SignatureBundle(lying, problem="cannot be read")]


async def test_a_blob_that_is_not_what_its_digest_says_is_not_used(served: Served) -> None:
    named = served.attach(b"good")
    served.registry.repositories[REPOSITORY].blobs[digest_of(b"good")] = b"evil"
    assert await served.found() == [SignatureBundle(named, problem="cannot be read")]


async def test_an_index_cannot_lend_a_signature_of_another_image(served: Served) -> None:
    other = served.attach(b"one", subject={"mediaType": MANIFEST, "digest": f"sha256:{'b' * 64}", "size": 10})
    gone = f"sha256:{'c' * 64}"
    served.registry.referrers.enabled = False
    served.index(other, gone, "nonsense", artifactType=None)
    assert await served.found() == [
        SignatureBundle(other, problem="refers to another digest"),
        SignatureBundle(gone, problem="is not in the registry"),
    ]


async def test_fifty_bundles_are_read_and_the_rest_is_counted(served: Served) -> None:
    for number in range(53):
        served.attach(str(number).encode())
    found = await served.found()
    assert len(found) == 51
    assert found[0] == SignatureBundle(DIGEST, problem="has 3 more referrers, which were not read")


async def test_all_pages_of_a_list_are_read(served: Served) -> None:
    bundles = [served.attach(str(number).encode()) for number in range(5)]
    served.registry.referrers.page_size = 2
    assert [bundle.digest for bundle in await served.found()] == bundles
    assert await served.gateway.has_referrers_api(REPOSITORY, DIGEST)


async def test_a_list_without_an_end_is_not_read_for_ever(served: Served) -> None:
    pages = list[str]()

    async def endless(repository: str, path: str, accept: str) -> tuple[object, str]:
        pages.append(path)
        return {"manifests": []}, f'</v2/{repository}/referrers/{DIGEST}?last={len(pages)}>; rel="next"'

    reads = ReferrerReads(endless, served.gateway._manifest, served.gateway._blob)
    assert not await read_bundles(reads, REPOSITORY, DIGEST)
    assert len(pages) == MAX_PAGES


@pytest.mark.parametrize(
    "link", ['<https://evil.com/>; rel="next"', '</v2/x/tags/list?n=1>; rel="next"', "<", "x" * 99]
)
async def test_a_link_to_anything_else_is_not_followed(served: Served, link: str) -> None:
    async def linked(repository: str, path: str, accept: str) -> tuple[object, str]:
        assert path.startswith("referrers/")
        assert "last" not in path
        return {"manifests": []}, link

    reads = ReferrerReads(linked, served.gateway._manifest, served.gateway._blob)
    assert not await read_bundles(reads, REPOSITORY, DIGEST)


async def test_more_referrers_than_an_answer_may_have_are_one_problem(served: Served) -> None:
    served.registry.referrers.enabled = False
    served.index(*(f"sha256:{number:064x}" for number in range(10_000)))
    assert len(await served.found()) == 51

    async def too_large(repository: str, path: str, accept: str) -> tuple[object, str]:
        raise AnswerTooLargeError

    reads = ReferrerReads(too_large, served.gateway._manifest, served.gateway._blob)
    found = await read_bundles(reads, REPOSITORY, DIGEST)
    assert list(found) == [SignatureBundle(DIGEST, problem="has more referrers than an answer may have")]


@pytest.mark.parametrize("body", [{}, {"manifests": {}}, {"manifests": [None, {"digest": 3}]}])
async def test_an_index_of_nonsense_names_no_bundles(served: Served, body: Any) -> None:
    served.registry.referrers.enabled = False
    named = served.store(body, INDEX)
    served.registry.repositories[REPOSITORY].tags[DIGEST.replace(":", "-")] = named
    assert await served.found() == []


async def test_a_registry_that_fails_is_not_a_registry_without_signatures(served: Served) -> None:
    served.attach(b"one")
    await served.found()
    await plan_faults(served.url, {"path": "/referrers/", "status": 503, "times": 9})
    with pytest.raises(TransientError):
        await served.found()
