"""The fidelity and utility lines of the gate; under differential privacy they only inform."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from understudy.contracts import Line
from understudy.release.thresholds import Thresholds


def fidelity_lines(
    scorecard: Mapping[str, Any], bounds: Thresholds, *, decisive: bool
) -> list[Line]:
    """Pair error and utility decide where `decisive`; single columns and the judge inform."""
    measured = scorecard.get("measurements") or {}
    lines = [
        _pairs(measured.get("pair_error") or {}, bounds),
        _informs(
            "single columns",
            measured.get("shape_error") or {},
            "Single columns differ from the real ones by {value:.2f} %; two real samples by "
            "{floor:.2f} %.",
        ),
        _informs(
            "the judge",
            measured.get("c2st") or {},
            "A trained judge tells synthetic from real rows with an AUC of {value:.3f}; two real "
            "samples from each other with {floor:.3f}.",
        ),
        _utility(scorecard, bounds),
    ]
    return lines if decisive else [replace(line, ruling="INFO") for line in lines]


def _pairs(found: Mapping[str, Any], bounds: Thresholds) -> Line:
    name = "pair error"
    ends = [found.get(key) for key in ("value", "low", "high", "floor")]
    if any(end is None or math.isnan(end) for end in ends):
        return Line(name, "INCONCLUSIVE", "Pairs of columns were not measured.", "fidelity")
    value, low, high, floor = (float(end) for end in ends if end is not None)
    bound = bounds.pair_ratio * floor
    said = (
        f"Pairs of columns differ from the real ones by {value:.2f} % [{low:.2f}, {high:.2f}]; two "
        f"real samples of this size by {floor:.2f} %"
    )
    if low > bound:
        detail = f"{said}, so the table is further from the truth than {bounds.pair_ratio:g} times."
        return Line(name, "FAIL", detail, "fidelity", value, low, high, bound, floor)
    if high <= bound:
        detail = f"{said}, within {bounds.pair_ratio:g} times."
        return Line(name, "PASS", detail, "fidelity", value, low, high, bound, floor)
    detail = f"{said}; {bounds.pair_ratio:g} times that lies inside the interval."
    return Line(name, "INCONCLUSIVE", detail, "fidelity", value, low, high, bound, floor)


def _informs(name: str, found: Mapping[str, Any], sentence: str) -> Line:
    value, floor = found.get("value"), found.get("floor")
    if value is None or floor is None:
        return Line(name, "INFO", "Not measured.", "fidelity")
    detail = sentence.format(value=value, floor=floor)
    low, high = found.get("low"), found.get("high")
    return Line(name, "INFO", detail, "fidelity", value, low, high, None, floor)


def _utility(scorecard: Mapping[str, Any], bounds: Thresholds) -> Line:
    """Judged on the model that real rows serve best."""
    name, target = "usefulness", scorecard.get("target")
    if target is None:
        return Line(name, "INFO", "No target column was named, so none was predicted.", "utility")
    results = [
        one
        for one in scorecard.get("utility") or ()
        if all(one.get(key) is not None for key in ("trained_on_real", "low", "high"))
    ]
    if not results:
        return Line(name, "INCONCLUSIVE", f"Predicting {target!r} was not measured.", "utility")
    best = max(results, key=lambda one: one["trained_on_real"])
    value, low, high = best["difference"], best["low"], best["high"]
    bound = -bounds.utility_loss
    said = (
        f"A model ({best['model']}) that learns {target!r} from synthetic rows scores "
        f"{best['trained_on_synthetic']:.3f} on real ones ({best['metric']}); from real rows "
        f"{best['trained_on_real']:.3f}"
    )
    measured = (value, low, high, bound, 0.0)
    if high < bound:
        detail = f"{said}, a loss beyond {bounds.utility_loss:g}."
        return Line(name, "FAIL", detail, "utility", *measured)
    if low >= bound:
        detail = f"{said}, a loss within {bounds.utility_loss:g}."
        return Line(name, "PASS", detail, "utility", *measured)
    detail = f"{said}; a loss of {bounds.utility_loss:g} lies inside the interval."
    return Line(name, "INCONCLUSIVE", detail, "utility", *measured)
