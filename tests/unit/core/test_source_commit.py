"""The labels of an image name a commit only in one exact form: whoever pushes an image writes them."""

from __future__ import annotations

import pytest

from core.image_manifest import inspect_config
from core.source_commit import REVISION, SOURCE, SourceCommit, from_labels, source_commit

SHA = "0123456789abcdef0123456789abcdef01234567"
ADDRESS = "https://github.com/contoso/support"


@pytest.mark.parametrize(
    ("address", "source"),
    [
        (ADDRESS, "github.com/contoso/support"),
        (f"{ADDRESS}.git", "github.com/contoso/support"),
        (f"{ADDRESS}/", "github.com/contoso/support"),
        ("HTTPS://GitHub.com/Contoso/Support", "github.com/Contoso/Support"),
        ("https://ghe.contoso.com:8443/team_x/my.repo-1", "ghe.contoso.com:8443/team_x/my.repo-1"),
        ("https://github.com/contoso/.github", "github.com/contoso/.github"),
    ],
)
def test_an_address_names_host_and_repository(address: str, source: str) -> None:
    commit = source_commit(address, SHA)
    assert commit == SourceCommit(source, SHA)
    assert f"{commit.host}/{commit.repository}" == source
    assert commit.repository.count("/") == 1


@pytest.mark.parametrize(
    "address",
    [
        *("", "contoso/support", "http://github.com/contoso/support", "git@github.com:contoso/support.git"),
        *("https://user:key@github.com/contoso/support", "https://github.com/contoso", "https:///contoso/support"),
        *(f"{ADDRESS}/tree/main", f"{ADDRESS}?x=1", f"{ADDRESS}#main", f"{ADDRESS}\n", f" {ADDRESS}", f"{ADDRESS}//"),
        *("https://github.com/contoso/..", "https://github.com/contoso/.", "https://github.com/../support"),
        *("https://github.com/contoso/%2e%2e", "https://gïthub.com/contoso/support", "https://-x.com/a/b"),
        *("https://github.com\\@evil.com/a/b", "https://github.com/contoso/" + "x" * 101, None, 7, ["x"]),
    ],
)
def test_another_form_names_no_commit(address: object) -> None:
    assert source_commit(address, SHA) is None


@pytest.mark.parametrize("revision", ["", "main", SHA[:39], f"{SHA}0", SHA.upper(), f"{SHA}\n", "g" * 40, None, 7])
def test_only_a_whole_hash_is_a_commit(revision: object) -> None:
    assert source_commit(ADDRESS, revision) is None


def test_both_labels_are_needed() -> None:
    assert from_labels({SOURCE: ADDRESS, REVISION: SHA}) == SourceCommit("github.com/contoso/support", SHA)
    assert from_labels({SOURCE: ADDRESS}) is from_labels({REVISION: SHA}) is from_labels({}) is None


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_facts_of_an_image_have_its_commit(architecture: str) -> None:
    config = {"os": "linux", "architecture": architecture, "config": {"Labels": {SOURCE: ADDRESS, REVISION: SHA}}}
    facts = inspect_config(config, "sha256:" + "a" * 64)
    assert (facts.source, facts.revision) == ("github.com/contoso/support", SHA)
    assert bool(facts.reason) == (architecture == "arm64")


@pytest.mark.parametrize("odd", [None, 7, [], {"Labels": None}, {"Labels": [SOURCE]}, {"Labels": {SOURCE: 7}}])
def test_odd_labels_change_nothing_else(odd: object) -> None:
    facts = inspect_config({"os": "linux", "architecture": "amd64", "config": odd}, "sha256:" + "a" * 64)
    assert (facts.amd64, facts.source, facts.revision) == ("sha256:" + "a" * 64, "", "")
