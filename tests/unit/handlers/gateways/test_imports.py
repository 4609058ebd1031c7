"""Imports without the garbage collector."""

from __future__ import annotations

import gc

import pytest

from handlers.gateways.imports import without_collections


def test_nothing_is_collected_meanwhile_and_what_was_imported_is_not_visited_again() -> None:
    gc.unfreeze()
    assert without_collections(gc.isenabled) is False
    assert gc.isenabled()
    assert gc.get_freeze_count()
    gc.unfreeze()


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    def fail() -> None:
        raise ImportError("no such module")

    with pytest.raises(ImportError):
        without_collections(fail)
    assert gc.isenabled()
    gc.unfreeze()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        without_collections(gc.isenabled)
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()
