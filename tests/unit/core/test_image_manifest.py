"""What a manifest says of what was pushed; no manifest can make it fail."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.agents_file.spec import AgentSpec
from core.image_manifest import (
    ConfigDigest,
    ImageFacts,
    ImageIndex,
    RegistryTag,
    index_children,
    inspect_config,
    inspect_index,
    inspect_manifest,
    unreadable_child,
)
from core.intake.registry_check import EVENT_ID, newest_allowed_push
from core.model import Push
from core.reasons import Reason

DIGEST_TEXT = re.compile(r"sha256:[0-9a-f]{64}")
DIGEST, CONFIG = f"sha256:{'a' * 64}", f"sha256:{'c' * 64}"
OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest"
INDEX = "application/vnd.oci.image.index.v1+json"
LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
IMAGE = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": CONFIG}


def child(letter: str, os: str, architecture: str) -> dict[str, Any]:
    return {"digest": f"sha256:{letter * 64}", "platform": {"os": os, "architecture": architecture}}


def manifest(**config: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI, "config": config}


def test_the_configuration_names_the_platform() -> None:
    assert inspect_manifest(manifest(**IMAGE), OCI) == ConfigDigest(CONFIG)
    docker = {"config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": CONFIG}}
    assert inspect_manifest(docker, "application/vnd.docker.distribution.manifest.v2+json; charset=x") == ConfigDigest(
        CONFIG
    )
    assert inspect_config({"os": "linux", "architecture": "amd64"}, DIGEST) == ImageFacts(amd64=DIGEST)


@pytest.mark.parametrize("config", [{"os": "linux", "architecture": "arm64"}, {"os": "windows"}, {}, [], None, 7])
def test_the_detail_names_the_other_platform(config: object) -> None:
    facts = inspect_config(config, DIGEST)
    assert facts.reason == Reason.WRONG_PLATFORM
    assert "linux/amd64 is needed; there is " in facts.detail


@pytest.mark.parametrize("kind", [INDEX, LIST])
def test_an_index_gives_its_linux_amd64_image(kind: str) -> None:
    children = [child("1", "linux", "arm64"), child("2", "linux", "amd64"), child("3", "unknown", "unknown")]
    assert inspect_manifest({"mediaType": kind, "manifests": children}, kind).amd64 == f"sha256:{'2' * 64}"  # type: ignore[union-attr]
    without = inspect_manifest({"manifests": [children[0], children[2], "odd", {}]}, kind)
    assert without == ImageFacts("WRONG_PLATFORM", "linux/amd64 is needed; there is linux/arm64")
    no_image = ImageFacts("NOT_AN_IMAGE", "it is an index without an image")
    assert inspect_manifest({"manifests": []}, kind) == inspect_manifest({"manifests": children[2:]}, kind) == no_image


NOT_AN_IMAGE = [
    pytest.param(manifest(mediaType="application/vnd.cncf.helm.config.v1+json"), "helm", id="a chart"),
    pytest.param(manifest(mediaType="application/vnd.dev.cosign.artifact.sig.v1+json"), "cosign", id="a signature"),
    pytest.param(manifest(**IMAGE) | {"artifactType": "application/spdx+json"}, "spdx", id="an SBOM"),
    pytest.param(manifest(mediaType="application/vnd.oci.empty.v1+json"), "empty", id="an artifact"),
    pytest.param(
        manifest(mediaType="application/vnd.oci.empty.v1+json") | {"artifactType": "application/x-rows"},
        "not an image (application/x-rows)",
        id="an artifact with a type",
    ),
    pytest.param({"artifactType": "application/x-rows", "blobs": []}, "application/x-rows", id="an ORAS artifact"),
    pytest.param(manifest(mediaType="application/vnd.buildkit.cacheconfig.v0"), "build cache", id="a build cache"),
    pytest.param(manifest(mediaType="application/vnd.wasm.config.v0+json"), "WebAssembly", id="a wasm module"),
    pytest.param(
        manifest(**IMAGE) | {"layers": [{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json"}]},
        "signature of cosign",
        id="a signature with the configuration of an image",
    ),
    pytest.param(
        manifest(**IMAGE) | {"layers": [{"mediaType": "application/vnd.in-toto+json"}]},
        "an attestation",
        id="an attestation of BuildKit",
    ),
    pytest.param(
        manifest(**IMAGE) | {"layers": [{"mediaType": "text/csv"}]}, "not an image (text/csv)", id="an odd layer"
    ),
    pytest.param({"schemaVersion": 1, "fsLayers": []}, "schema 1", id="Docker's first format"),
    pytest.param({"mediaType": f"{DOCKER}.v1+prettyjws"}, "schema 1", id="Docker's first format, signed"),
    pytest.param({"mediaType": OCI}, "is missing", id="no configuration"),
    pytest.param({"mediaType": OCI, "config": 7}, "is missing", id="an odd configuration"),
    pytest.param(manifest(mediaType=IMAGE["mediaType"]), "no digest", id="a configuration without a digest"),
    pytest.param([], "not an object", id="a list"),
    pytest.param("odd", "not an object", id="a text"),
]


@pytest.mark.parametrize(("manifest_", "detail"), NOT_AN_IMAGE)
def test_the_detail_says_what_is_not_an_image(manifest_: object, detail: str) -> None:
    facts = inspect_manifest(manifest_, OCI)
    assert isinstance(facts, ImageFacts)
    assert facts.reason == Reason.NOT_AN_IMAGE
    assert detail in facts.detail


def entry(letter: str, **fields: Any) -> dict[str, Any]:
    return {"mediaType": OCI, "digest": f"sha256:{letter * 64}", **fields}


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def index(*entries: Any) -> ImageFacts | ConfigDigest | ImageIndex:
    return inspect_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}, INDEX)


AMD64 = [
    pytest.param({"os": "linux", "architecture": "amd64"}, "", id="as specified"),
    pytest.param({"os": "Linux", "architecture": "AMD64"}, "", id="capitals"),
    pytest.param({"os": "linux", "architecture": "x86_64"}, "", id="x86_64"),
    pytest.param({"os": "linux", "architecture": "X86-64"}, "", id="x86-64"),
    pytest.param({"os": "linux", "architecture": "amd64", "variant": "V1"}, "", id="v1 is no variant"),
    pytest.param({"os": "linux", "architecture": "amd64", "variant": "v3"}, "v3", id="v3"),
]


@pytest.mark.parametrize(("platform", "variant"), AMD64)
def test_platforms_are_normalized_as_containerd_does(platform: dict[str, str], variant: str) -> None:
    expected = ImageFacts(amd64=digest("a"), variant=variant)
    assert inspect_config(platform, digest("a")) == expected
    assert index(entry("a", platform=platform)) == expected


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"os": "linux"}, id="no architecture"),
        pytest.param({"os": "linux", "architecture": ""}, id="an empty architecture"),
        pytest.param({"architecture": "amd64"}, id="no operating system"),
    ],
)
def test_an_image_may_leave_one_name_out(config: dict[str, str]) -> None:
    assert inspect_config(config, digest("a")) == ImageFacts(amd64=digest("a"), variant="unknown")


@pytest.mark.parametrize(
    ("architecture", "shown"),
    [("aarch64", "linux/arm64"), ("i386", "linux/386"), ("s390x", "linux/s390x"), ("unknown", "linux/unknown")],
)
def test_other_architectures_are_named_as_go_names_them(architecture: str, shown: str) -> None:
    facts = inspect_config({"os": "linux", "architecture": architecture, "variant": "v8"}, digest("a"))
    assert facts.detail.startswith(f"linux/amd64 is needed; there is {shown}")


@pytest.mark.parametrize(
    "variants",
    [["v3", ""], ["v3", "v1"], ["v3", "v2"], ["v10", "v2"], ["odd", "v4"], ["v4", "v3", "v2"]],
)
def test_of_several_amd64_images_the_lowest_variant_is_deployed(variants: list[str]) -> None:
    platforms = [{"os": "linux", "architecture": "amd64", "variant": variant} for variant in variants]
    entries = [entry(str(number), platform=platform) for number, platform in enumerate(platforms)]
    for listed in (entries, entries[::-1]):
        facts = index(*listed)
        assert isinstance(facts, ImageFacts)
        assert facts.amd64 == digest(str(len(variants) - 1))


def test_of_equal_images_the_first_is_deployed() -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    assert index(entry("1", platform=platform), entry("2", platform=platform)) == ImageFacts(amd64=digest("1"))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="no platform"),
        pytest.param({"platform": None}, id="null"),
        pytest.param({"platform": {"os": "linux", "architecture": ""}}, id="an empty architecture"),
        pytest.param({"platform": {"architecture": "amd64"}}, id="no operating system"),
        pytest.param({"mediaType": INDEX}, id="an index"),
        pytest.param({"mediaType": LIST, "platform": {"os": "linux", "architecture": "amd64"}}, id="a manifest list"),
        pytest.param(
            {"artifactType": "application/x-rows", "platform": {"os": "linux", "architecture": "amd64"}},
            id="perhaps an artifact",
        ),
    ],
)
def test_a_child_that_only_its_own_manifest_describes_has_to_be_read(fields: dict[str, Any]) -> None:
    arm = entry("1", platform={"os": "linux", "architecture": "arm64"})
    found = index(arm, entry("2", **fields), entry("2", **fields))
    assert found == ImageIndex((digest("2"),), others=("linux/arm64",))
    assert isinstance(found, ImageIndex)
    runnable = ImageFacts(amd64=digest("2"))
    assert inspect_index(found, [runnable]) == runnable
    windows = inspect_config({"os": "windows", "architecture": "amd64"}, digest("2"))
    assert inspect_index(found, [windows]).detail == "linux/amd64 is needed; there is linux/arm64, windows/amd64"


def test_a_child_that_the_index_describes_is_not_read() -> None:
    named = entry("1", platform={"os": "linux", "architecture": "amd64"}, artifactType=IMAGE["mediaType"])
    assert index(entry("2"), named) == ImageFacts(amd64=digest("1"))
    v3 = entry("3", platform={"os": "linux", "architecture": "amd64", "variant": "v3"})
    found = index(v3, entry("2"))
    assert isinstance(found, ImageIndex)
    assert inspect_index(found, []).amd64 == digest("3")
    assert inspect_index(found, [ImageFacts(amd64=digest("2"))]).amd64 == digest("2")
    assert inspect_index(found, [inspect_config({"os": "linux"}, digest("2"))]).amd64 == digest("3")


def test_attestations_never_count() -> None:
    linux = {"os": "linux", "architecture": "amd64"}
    attestation = entry("1", platform=linux, annotations={"vnd.docker.reference.type": "attestation-manifest"})
    unknown = entry("2", platform={"os": "unknown", "architecture": "unknown"})
    assert index(attestation, unknown) == ImageFacts("NOT_AN_IMAGE", "it is an index without an image")
    assert index(attestation, unknown, entry("3", platform=linux)) == ImageFacts(amd64=digest("3"))


def test_a_build_cache_in_an_index_is_not_an_image() -> None:
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest("1")}
    config = {"mediaType": "application/vnd.buildkit.cacheconfig.v0", "digest": digest("2")}
    facts = index(layer, layer, config)
    cache = "it is a build cache of BuildKit (application/vnd.buildkit.cacheconfig.v0)"
    assert facts == ImageFacts("NOT_AN_IMAGE", cache)


@pytest.mark.parametrize("text", ["sha512:" + "a" * 128, "latest/../../x@" + digest("a"), digest("A"), 7, None])
def test_a_child_whose_digest_is_not_one_is_not_deployed(text: object) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    facts = index({"mediaType": OCI, "digest": text, "platform": platform})
    assert isinstance(facts, ImageFacts)
    assert facts.amd64 == ""
    assert facts.reason == Reason.WRONG_PLATFORM
    assert "whose digest is not sha256" in facts.detail
    assert index_children({"manifests": [{"digest": text}]}) == {}
    assert inspect_manifest(manifest(mediaType=IMAGE["mediaType"], digest=text), OCI) == ImageFacts(
        "NOT_AN_IMAGE", "its configuration has no digest"
    )


def test_what_is_left_unread_is_in_the_detail() -> None:
    found = index(entry("1"))
    assert isinstance(found, ImageIndex)
    facts = inspect_index(found, [unreadable_child("an index of many levels")])
    assert facts == ImageFacts("WRONG_PLATFORM", "linux/amd64 is needed; there is an index of many levels")
    chart = ImageFacts("NOT_AN_IMAGE", "it is a Helm chart (x)")
    assert inspect_index(found, [chart]) == chart


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"layers": []},
        {"artifactType": "application/x-agent"},
        {"artifactType": "application/spdx+json", "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar"}]},
        {"layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}]},
        {"layers": [{}]},
    ],
)
def test_the_configuration_and_the_layers_make_an_image(fields: dict[str, Any]) -> None:
    assert inspect_manifest(manifest(**IMAGE) | fields, OCI) == ConfigDigest(CONFIG)


def test_the_children_of_an_index_are_those_that_are_manifests() -> None:
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest("1")}
    listed = {"manifests": [entry("2"), entry("3", mediaType=INDEX), {"digest": digest("4")}, layer, "odd"]}
    assert index_children(listed) == {digest("2"): False, digest("3"): True, digest("4"): True}
    assert index_children(manifest(**IMAGE)) == index_children([]) == index_children({"manifests": 7}) == {}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([OCI, INDEX, "linux", "amd64"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["mediaType", "config", "manifests", "platform", "os", "architecture", "digest", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING, st.sampled_from([OCI, INDEX, ""]))
@example({"manifests": True}, INDEX)
def test_no_manifest_raises(manifest_: object, media_type: str) -> None:
    facts = inspect_manifest(manifest_, media_type)
    assert isinstance(facts, ImageFacts | ConfigDigest | ImageIndex)
    assert all(map(DIGEST_TEXT.fullmatch, index_children(manifest_)))
    assert isinstance(inspect_config(manifest_, DIGEST), ImageFacts)


def at(minutes: int) -> datetime:
    return datetime(2026, 11, 24, 12, 0, tzinfo=UTC) + timedelta(minutes=minutes)


def agent_spec(**tags: Any) -> AgentSpec:
    return AgentSpec.model_validate({"name": "hello", "repository": "agents/hello", "tags": tags})


TAGS = [
    RegistryTag("1.10.0", "sha256:c", at(2)),
    RegistryTag("1.9.0", "sha256:b", at(3)),
    RegistryTag("x.sig", "sha256:d", at(9)),
]


def test_the_newest_allowed_push_is_found_by_the_order_of_tags() -> None:
    assert newest_allowed_push(agent_spec(), TAGS) == Push("agents/hello", "sha256:b", "1.9.0", at(3), EVENT_ID)
    assert newest_allowed_push(agent_spec(order="semver"), TAGS) == Push(
        "agents/hello", "sha256:c", "1.10.0", at(2), EVENT_ID
    )
    assert newest_allowed_push(agent_spec(allow=["^v"]), TAGS) is None
    assert newest_allowed_push(agent_spec(), []) is None
