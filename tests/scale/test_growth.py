"""What `make bench` counts at full size, at small sizes: doubled sizes show what is read for nothing."""

from __future__ import annotations

import pytest

from bench.journal import bytes_watched, explain
from bench.lists import rotation_requests, tag_requests, variable_requests


@pytest.mark.parametrize(("agents", "secrets"), [(10, 100), (20, 100), (10, 200)])
async def test_a_rotation_of_an_unused_secret_costs_the_same_in_any_estate(agents: int, secrets: int) -> None:
    assert await rotation_requests(agents, secrets) == 2


async def test_a_list_costs_one_request_a_page_and_one_without_a_token() -> None:
    assert [await variable_requests(secrets) for secrets in (100, 200)] == [5, 9]
    assert [await tag_requests(tags) for tags in (1_000, 2_000)] == [11, 21]
    assert await tag_requests(2_000, pages=1) == 2


async def test_watching_reads_only_what_is_new() -> None:
    assert [await bytes_watched(lines) for lines in (100, 200)] == [1.0, 1.0]


def test_why_finds_the_release_among_other_lines() -> None:
    explain(600, repeats=1)
