"""Scores of an agent's versions, from the decisions of its evaluations, as one table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

REASONS = frozenset({"EVALUATION_PASSED", "EVALUATION_FAILED"})
Evaluation = dict[str, Any]


def evaluations_of(decisions: Iterable[Mapping[str, object]]) -> list[Evaluation]:
    """Return the evaluations among decisions, in their order; a line without readable scores is left out."""
    found = ({**decision, "scores": _scores(decision.get("scores"))} for decision in decisions)
    keys = ("at", "agent", "version", "tag", "reason", "scores")
    return [{key: item.get(key) for key in keys} for item in found if item["reason"] in REASONS and item["scores"]]


def _scores(text: object) -> list[dict[str, Any]]:
    """Return the scores; another version of Slipway, or a person, may have written the line."""
    try:
        scores = json.loads(str(text))
        return [{"criterion": str(score["criterion"]), **_numbers(score)} for score in scores]
    except (ValueError, LookupError, TypeError):
        return []


def _numbers(score: Mapping[str, Any]) -> dict[str, Any]:
    live = score.get("live")
    return {
        "value": float(score["value"]),
        "threshold": float(score["threshold"]),
        "live": None if live is None else float(live),
        "unit": str(score.get("unit") or ""),
        "is_passed": bool(score.get("is_passed", True)),
    }


def score_text(value: float | None, unit: str) -> str:
    """Return a score as a person reads it."""
    from core.state.evaluation import number_text

    return "" if value is None else number_text(value) + unit


def table(evaluations: list[Evaluation]) -> str:
    """Return one row an evaluation and one column a criterion; a failed score stands beside its threshold."""
    from cli.output import columns

    names = list(dict.fromkeys(score["criterion"] for item in evaluations for score in item["scores"]))
    rows = [("AGENT", "VERSION", "TAG", *names)]
    for item in evaluations:
        cells = {score["criterion"]: _cell(score) for score in item["scores"]}
        subject = (str(item["agent"] or ""), str(item["version"] or ""), str(item["tag"] or "")[:24])
        rows.append((*subject, *(cells.get(name, "") for name in names)))
    return columns(rows)


def _cell(score: Mapping[str, Any]) -> str:
    text = score_text(score["value"], score["unit"])
    if score["is_passed"]:
        return text
    live = f", live {score_text(score['live'], score['unit'])}" if score["live"] is not None else ""
    return f"{text} ({limit_text(score)}{live})"


def limit_text(score: Mapping[str, Any]) -> str:
    """Return what the score must reach, or not exceed."""
    return f"{'at most' if score['unit'] else 'at least'} {score_text(score['threshold'], score['unit'])}"
