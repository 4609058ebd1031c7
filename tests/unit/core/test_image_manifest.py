"""What a manifest says of what was pushed; no manifest can make it fail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.agents_file.spec import AgentSpec
from core.image_manifest import ConfigDigest, ImageFacts, RegistryTag, inspect_config, inspect_manifest
from core.intake.registry_check import EVENT_ID, newest_allowed_push
from core.model import Push
from core.reasons import Reason

DIGEST, CONFIG = f"sha256:{'a' * 64}", f"sha256:{'c' * 64}"
OCI = "application/vnd.oci.image.manifest.v1+json"
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
    assert inspect_manifest({"manifests": []}, kind) == ImageFacts(
        "WRONG_PLATFORM", "linux/amd64 is needed; there is no image"
    )


NOT_AN_IMAGE = [
    pytest.param(manifest(mediaType="application/vnd.cncf.helm.config.v1+json"), "helm", id="a chart"),
    pytest.param(manifest(mediaType="application/vnd.dev.cosign.artifact.sig.v1+json"), "cosign", id="a signature"),
    pytest.param(manifest(**IMAGE) | {"artifactType": "application/spdx+json"}, "spdx", id="an SBOM"),
    pytest.param(manifest(mediaType="application/vnd.oci.empty.v1+json"), "empty", id="an artifact"),
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
    assert isinstance(facts, ImageFacts | ConfigDigest)
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
