"""Scores of two texts as the evaluation service computes them: those that need no model.

``bleu`` and ``f1_score`` give the recorded scores to the last digit. ``gleu``, ``meteor`` and ``cosine`` are missing.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

BLEU_ORDERS = 4


def similarity(metric: str, text: str, reference: str) -> float | None:
    """Return the score of a metric, 0 to 1; None for a metric that is missing here."""
    if metric == "fuzzy_match":
        return _fuzzy(text, reference)
    if metric == "bleu":
        return _bleu(_tokens(text), _tokens(reference))
    if metric == "rouge_l":
        words, expected = _words(text), _words(reference)
        return _f1(_common_subsequence(words, expected), len(words), len(expected))
    if match := re.fullmatch(r"rouge_([1-5])", metric):
        return _rouge(int(match[1]), _words(text), _words(reference))
    return None


def f1_score(response: str, ground_truth: str) -> float:
    """Return the overlap of words without articles and punctuation (SQuAD), as builtin.f1_score does."""
    found, expected = (_words(text, leave_out=("a", "an", "the")) for text in (response, ground_truth))
    return _f1((Counter(found) & Counter(expected)).total(), len(found), len(expected))


def _words(text: str, leave_out: Sequence[str] = ()) -> list[str]:
    plain = text.lower().translate(str.maketrans("", "", string.punctuation))
    return [word for word in plain.split() if word not in leave_out]


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text)


def _f1(common: int, found: int, expected: int) -> float:
    return 2 * common / (found + expected) if common else 0.0


def _fuzzy(text: str, reference: str) -> float:
    """Twice the longest common subsequence by the length of both, as rapidfuzz computes a ratio."""
    total = len(text) + len(reference)
    return 2 * _common_subsequence(text, reference) / total if total else 1.0


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for item in one:
        above = row[:]
        for index, candidate in enumerate(other):
            row[index + 1] = above[index] + 1 if item == candidate else max(row[index], above[index + 1])
    return row[-1]


def _rouge(order: int, words: list[str], reference: list[str]) -> float:
    found, expected = _ngrams(words, order), _ngrams(reference, order)
    return _f1((found & expected).total(), found.total(), expected.total())


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def _bleu(tokens: list[str], reference: list[str]) -> float:
    """Sentence BLEU with the fourth smoothing of Chen and Cherry (2014), as NLTK computes it."""
    if not _ngrams(tokens, 1) & _ngrams(reference, 1):
        return 0.0
    logarithms, smoothed = 0.0, 0
    for order in range(1, BLEU_ORDERS + 1):
        found = _ngrams(tokens, order)
        matches: float = (found & _ngrams(reference, order)).total()
        if not matches:
            smoothed += 1
            matches = math.log(max(len(tokens), 2)) / (2**smoothed * 5)
        logarithms += math.log(matches / max(found.total(), 1)) / BLEU_ORDERS
    shorter = min(1.0, math.exp(1 - len(reference) / len(tokens)))
    return shorter * math.exp(logarithms)
