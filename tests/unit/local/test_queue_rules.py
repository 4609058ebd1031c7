"""What the Functions host does with a message, when it polls, and how often it tries a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from local.functions_host.queue_rules import Backoff, MessageRules, Step, decoded, is_poison_queue
from local.functions_host.storage_retry import TRIES, StorageError, delay_before, with_retries
from tests.simulation.virtual_time import VirtualClock, in_virtual_time

WORK = MessageRules(max_dequeue_count=5, is_poison_queue=False)
POISONED = MessageRules(max_dequeue_count=5, is_poison_queue=True)


@pytest.mark.parametrize(
    ("rules", "tries", "step"),
    [
        (WORK, 1, Step.RUN),
        (WORK, 5, Step.RUN),
        (WORK, 6, Step.POISON),
        (POISONED, 5, Step.RUN),
        (POISONED, 6, Step.LEAVE),
    ],
)
def test_too_many_deliveries_are_no_longer_run(rules: MessageRules, tries: int, step: Step) -> None:
    assert rules.on_receipt(tries) is step


@pytest.mark.parametrize(
    ("rules", "tries", "succeeded", "step"),
    [
        (WORK, 5, True, Step.DELETE),
        (WORK, 4, False, Step.RELEASE),
        (WORK, 5, False, Step.POISON),
        (POISONED, 1, True, Step.DELETE),
        (POISONED, 1, False, Step.LEAVE),
        (POISONED, 5, False, Step.LEAVE),
    ],
)
def test_after_a_run(rules: MessageRules, tries: int, succeeded: bool, step: Step) -> None:
    assert rules.on_end(tries, succeeded=succeeded) is step


def test_an_undecodable_message_moves_once_and_then_stays() -> None:
    assert (WORK.on_undecodable(), POISONED.on_undecodable()) == (Step.POISON, Step.LEAVE)
    assert is_poison_queue("work-poison")
    assert not is_poison_queue("poison")


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("Ym9vbQ==", b"boom"),
        (" Ym9v\r\nbQ=\t= ", b"boom"),
        ("", b""),
        ("////", b"\xff\xff\xff"),
        *(
            (text, None)
            for text in ("not base64 !!", '{"a":1}', "Ym9vbQ", "Ym9vbQ=", "Ym9vbQ==Ym9v", "====", "=", "Ym-_", "Ümlä")
        ),
    ],
)
def test_base64_is_read_as_dotnet_reads_it(text: str, content: bytes | None) -> None:
    assert decoded(text) == content


@pytest.mark.parametrize(
    ("maximum", "pauses"),
    [
        (0.1, [0.1, 0.1, 0.1]),
        (0.25, [0.1, 0.2, 0.25, 0.25]),
        (60.0, [0.1, 0.2, 0.3, 0.5, 0.9, 1.7, 3.3, 6.5, 12.9, 25.7, 51.3, 60.0, 60.0]),
    ],
)
def test_pauses_grow_while_a_queue_is_empty_and_start_again_after_a_batch(maximum: float, pauses: list[float]) -> None:
    backoff = Backoff(maximum, lambda *_: 1.0)
    for _ in range(2):
        assert [backoff.pause() for _ in pauses] == pytest.approx(pauses)
        backoff.found()


def test_a_pause_is_random_by_a_fifth() -> None:
    for pick, pauses in ((min, [0.1, 0.18, 0.26]), (max, [0.1, 0.22, 0.34])):
        backoff = Backoff(60, pick)
        assert [round(backoff.pause(), 2) for _ in pauses] == pauses


def failing(*statuses: int) -> tuple[Callable[[], Awaitable[str]], list[float]]:
    """A call that fails with these statuses, then succeeds; and the times of its tries."""
    tries: list[float] = []
    left = list(statuses)

    async def call() -> str:
        tries.append(VirtualClock().monotonic())
        if left:
            raise StorageError(left.pop(0), "")
        return "done"

    return call, tries


@in_virtual_time
async def test_a_request_without_an_answer_is_tried_six_times_within_25_seconds() -> None:
    call, tries = failing(*[0] * TRIES)
    with pytest.raises(StorageError, match="no answer"):
        await with_retries(call, lambda *_: 1.0)
    assert tries == pytest.approx([0, 0.8, 2.4, 5.6, 12, 24.8])
    assert delay_before(99, lambda *_: 1.0) == 60


@in_virtual_time
async def test_a_refusal_is_final_and_a_failure_of_the_service_is_not() -> None:
    call, tries = failing(503, 500, 429)
    assert await with_retries(call, lambda *_: 1.0) == "done"
    assert len(tries) == 4
    for status in (403, 404, 400):
        call, tries = failing(status)
        with pytest.raises(StorageError, match=str(status)):
            await with_retries(call, lambda *_: 1.0)
        assert len(tries) == 1


@pytest.mark.parametrize(
    ("status", "code", "is_lost", "is_temporary"),
    [
        (400, "PopReceiptMismatch", True, False),
        (404, "MessageNotFound", True, False),
        (404, "QueueNotFound", True, True),
        (409, "QueueBeingDeleted", True, True),
        (503, "ServerBusy", False, True),
        (403, "AuthenticationFailed", False, False),
        (0, "ServiceRequestError", False, False),
    ],
)
def test_what_an_error_means(status: int, code: str, is_lost: bool, is_temporary: bool) -> None:
    error = StorageError(status, code)
    assert (error.is_lost_receipt, error.is_temporary) == (is_lost, is_temporary)
