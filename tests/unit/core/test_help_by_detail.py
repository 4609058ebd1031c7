"""The help of IMAGE_ERROR follows from its detail: the pull, the platform or the start."""

from __future__ import annotations

import pytest

from core.reasons import HELP_BY_DETAIL, Reason


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ("ImageError: no matching manifest for linux/amd64", "--platform linux/amd64"),
        ("ImageError: exec format error", "--platform linux/amd64"),
        ("UnauthorizedAcrPull: 401", "AcrPull or Repository Reader"),
        ("image_pull_failed: denied", "AcrPull or Repository Reader"),
        ("AcrImageNotFound: ***", "AcrPull or Repository Reader"),
        ("ImageError: the container exited with code 1", "on your machine"),
        ("ImageError: readiness probe failed", "on your machine"),
        ("ImageError: ***", "AcrPull or Repository Reader, enable ARM token authentication on the registry, build for"),
    ],
)
def test_the_detail_chooses_the_help(detail: str, words: str) -> None:
    assert words in Reason.IMAGE_ERROR.help_for("hello-agent", detail)
    assert "AGENT" not in Reason.IMAGE_ERROR.help_for("hello-agent", detail)


def test_other_reasons_have_one_help() -> None:
    assert Reason.TIMED_OUT.help_for(None, "pull denied") == Reason.TIMED_OUT.help
    assert set(HELP_BY_DETAIL) <= {reason.value for reason in Reason}
