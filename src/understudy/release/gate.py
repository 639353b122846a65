"""The gate: many measurements in, one ruling out, and the line that decided.

Nothing is averaged: the worst line decides, FAIL before INCONCLUSIVE before PASS. A line passes
when the whole interval lies on the good side of its bound and fails when the whole interval lies
on the bad side, so neither a lucky estimate nor a large sample alone can decide. What was not
measured is INCONCLUSIVE. A ruling is evidence about one table, never a proof of anonymity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from understudy.contracts import Line, Released, Ruling, Verdict
from understudy.release.database_lines import database_lines
from understudy.release.fidelity_lines import fidelity_lines
from understudy.release.guarantee_lines import GUARANTEE, guarantee_lines
from understudy.release.privacy_lines import AVERAGE, privacy_lines
from understudy.release.rare_lines import rare_lines
from understudy.release.thresholds import DEFAULTS, Thresholds

SEVERITY: Mapping[Ruling, int] = {"INFO": 0, "PASS": 1, "INCONCLUSIVE": 2, "FAIL": 3}

__all__ = ["DEFAULTS", "SEVERITY", "Thresholds", "decide"]


def decide(
    scorecard: Mapping[str, Any],
    battery: Mapping[str, Any],
    validity: Mapping[str, Any],
    thresholds: Thresholds = DEFAULTS,
    guarantee: Mapping[str, Any] | None = None,
    *,
    released: Released = "data",
) -> Verdict:
    """Rules on a synthetic table or database, and on the model that made it where that is
    `released` too.

    `scorecard`, `battery` and `validity` are the JSON of the evaluation, the attacks and
    `validity.check`; `guarantee` is the privacy statement of a run under a budget. Under one,
    fidelity and utility inform and do not decide, since repeating a run until they please would
    spend budget unseen; and an attack can still convict but need not acquit, since the guarantee
    holds against attackers nobody thought of.
    """
    private = guarantee is not None
    several = scorecard.get("kind") == "database"
    attacked = privacy_lines(battery, thresholds, released=released)
    lines = [
        _validity(validity),
        *database_lines(scorecard, thresholds, decisive=not private),
        *(guarantee_lines(guarantee, released) if guarantee is not None else []),
        *(map(_convicts_only, attacked) if private else attacked),
        *fidelity_lines(scorecard, thresholds, decisive=not private),
        *([] if several else rare_lines(scorecard, thresholds, decisive=not private)),
    ]
    worst = max(lines, key=lambda line: SEVERITY[line.ruling])
    if worst.ruling == "FAIL":
        return Verdict("FAIL", f"Do not release: {_clause(worst)}", tuple(lines))
    if worst.ruling == "INCONCLUSIVE":
        return Verdict("INCONCLUSIVE", f"Not yet: {_clause(worst)}", tuple(lines))
    if guarantee is not None:
        kept = next(line for line in lines if line.name == GUARANTEE)
        return Verdict("PASS", f"{kept.detail} No attack found a leak.", tuple(lines))
    return Verdict("PASS", _praise(lines), tuple(lines))


def _convicts_only(line: Line) -> Line:
    return replace(line, ruling="INFO") if line.ruling == "INCONCLUSIVE" else line


def _validity(validity: Mapping[str, Any]) -> Line:
    checked, problems = validity.get("checked"), validity.get("problems")
    if not checked or problems is None:
        return Line(
            "valid rows", "INCONCLUSIVE", "The rows' validity was not measured.", "validity"
        )
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return Line(
            "valid rows",
            "FAIL",
            f"The table breaks its own rules: {problems[0]}{more}.",
            "validity",
        )
    rows = f"All {validity['rows']:,} rows" if validity.get("rows") else "The rows"
    detail = (
        f"{rows} keep the source's columns, types, levels and declared rules; no real identifier "
        "occurs."
    )
    return Line("valid rows", "PASS", detail, "validity")


def _clause(line: Line) -> str:
    """A line's sentence in mid-sentence; names and acronyms keep their capital."""
    text = line.detail
    return text[0].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _praise(lines: Iterable[Line]) -> str:
    """One sentence that names the two findings a release rests on."""
    by_name = {line.name: line for line in lines}
    auc = by_name[AVERAGE]
    pair = by_name["pair error"]
    faithful = ""
    if pair.value is not None and pair.floor:
        faithful = (
            f", and pairs of columns differ from the real ones {pair.value / pair.floor:.1f} times "
            "as much as two real samples differ from each other"
        )
    return (
        f"Nothing we tried found the people behind the table: the best attacker tells members from "
        f"strangers with an AUC of {auc.value:.3f} (a coin: .500), real records are not "
        f"repeated beyond coincidence{faithful}."
    )
