"""The rare-event lines of the gate: is the tail kept, at its rate, and not copied?

Small groups decide little: a line passes or fails where an interval lies on one side of its bound;
where it does not, it is INCONCLUSIVE only if there were rows enough to settle the matter, and
otherwise informs and says how many are missing. A table of 20,000 good rows is not held back
because two dozen outliers prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from understudy.contracts import Line, Ruling
from understudy.release.figures import compact
from understudy.release.thresholds import Thresholds

FEWEST = 20
"""Rare rows below which no interval is trusted to decide."""
RANK: Mapping[Ruling, int] = {"INFO": 0, "PASS": 1, "INCONCLUSIVE": 2, "FAIL": 3}


def rare_lines(
    scorecard: Mapping[str, Any],
    bounds: Thresholds,
    *,
    decisive: bool,
    balanced: bool = False,
) -> list[Line]:
    """Coverage, rate and copies decide where `decisive`; learning the rare answer informs.

    `balanced`: other rates than the real ones were asked for, so that rates inform.
    """
    entries = {one["code"]: one for one in (scorecard.get("rare") or {}).get("entries") or ()}
    rate = _rate(entries.get("R3"), bounds)
    lines = [
        _coverage(entries.get("R1"), bounds),
        replace(rate, ruling="INFO") if balanced else rate,
        _copied(entries.get("R11"), entries.get("R12"), bounds),
        _learnt(entries.get("R7")),
    ]
    return lines if decisive else [replace(line, ruling="INFO") for line in lines]


def _coverage(entry: Mapping[str, Any] | None, bounds: Thresholds) -> Line:
    """Every tail's ratio to real coverage.

    There are rows enough where the interval is at most half as wide as the way from floor to bound,
    so that a table at its floor is not left open by bad luck.
    """
    name, bound = "rare rows kept", bounds.rare_coverage
    parts = [part for part in _parts(entry) if _known(part, "ratio", "ratio_low", "ratio_high")]
    if not parts:
        return _too_few(name)
    enough = (1 - bound) / 4

    def settled(part: Mapping[str, Any]) -> bool:
        return bool(part["ratio_high"] - part["ratio_low"] <= 2 * enough)

    rulings = [_ruling(part, bound, math.inf, settled(part)) for part in parts]
    ruling, part = _deciding(rulings, parts)
    said = (
        f"Of the {part['tail']} most unusual rows held out, the synthetic rows meet "
        f"{compact(part['ratio'])} times as many [{compact(part['ratio_low'])}, "
        f"{compact(part['ratio_high'])}] as another real sample of the same size"
    )
    detail = f"{said}{_ending(ruling, f'{bound:g} times', part, enough)}"
    measured = (part["ratio"], part["ratio_low"], part["ratio_high"], bound, 1.0)
    return Line(name, ruling, detail, "rare", *measured)


def _rate(entry: Mapping[str, Any] | None, bounds: Thresholds) -> Line:
    """Every group's rate against the holdout's, within the bound either way; rows enough as for
    coverage, on a logarithmic scale.
    """
    name, bound = "rate of rare rows", bounds.rare_rate
    parts = [part for part in _parts(entry) if _known(part, "ratio", "ratio_low", "ratio_high")]
    if not parts:
        return _too_few(name)

    def settled(part: Mapping[str, Any]) -> bool:
        return bool(part["ratio_low"] * math.sqrt(bound) >= part["ratio_high"] > 0)

    rulings = [_ruling(part, 1 / bound, bound, settled(part)) for part in parts]
    ruling, part = _deciding(rulings, parts)
    said = (
        f"Rare rows ({part['group']}) are {compact(part['ratio'])} times as frequent "
        f"[{compact(part['ratio_low'])}, {compact(part['ratio_high'])}] as among held-out rows"
    )
    wanted = f"{compact(1 / bound)} to {bound:g} times"
    detail = f"{said}{_ending(ruling, wanted, part, None)}"
    # Drawings take the upper side of a bound for the good one, so only that end is handed on.
    wall = 1 / bound if part["ratio"] <= 1 else None
    measured = (part["ratio"], part["ratio_low"], part["ratio_high"], wall, 1.0)
    return Line(name, ruling, detail, "rare", *measured)


def _copied(
    leak: Mapping[str, Any] | None, copied: Mapping[str, Any] | None, bounds: Thresholds
) -> Line:
    """Convicts where the tail's AUC is clearly beyond its bound, or near copies of rows learnt from
    clearly outnumber those of rows never seen; acquittal is the privacy section's matter.
    """
    name = "rare rows copied"
    parts = _parts(leak)
    tails = [
        part
        for part in parts
        if _known(part, "auc", "auc_low", "auc_high") and part["members"] >= FEWEST
    ]
    p = parts[0].get("p") if parts else None
    if not tails or p is None:
        return _too_few(name)
    worst = max(tails, key=lambda part: part["auc_low"])
    said = (
        f"The {worst['tail']} most unusual rows learnt from are told apart from as unusual rows "
        f"never seen with an AUC of {worst['auc']:.3f} [{worst['auc_low']:.3f}, "
        f"{worst['auc_high']:.3f}]; chance alone does as well as the clearest sign with "
        f"probability {compact(p)}"
    )
    measured = (worst["auc"], worst["auc_low"], worst["auc_high"], None, 0.5)
    gaps = [part for part in _parts(copied) if _known(part, "low", "train", "holdout")]
    gap = max(gaps, key=lambda part: part["low"], default=None)
    if gap is not None and gap["low"] > 0:
        said += (
            f". Of those learnt from {gap['train']:.0%} are met, of those never seen "
            f"{gap['holdout']:.0%}"
        )
    copied_most = max((part.get("near_low") or 0.0) for part in tails)
    clear = worst["auc_low"] > bounds.stratum_auc or copied_most > bounds.stratum_tolerance
    if p <= bounds.rare_p and clear:
        return Line(name, "FAIL", f"{said}: the tail was copied.", "rare", *measured)
    return Line(name, "INFO", f"{said}.", "rare", *measured)


def _learnt(entry: Mapping[str, Any] | None) -> Line:
    name = "learning the rare answer"
    if entry is None or not _known(entry, "value", "low", "high", "floor"):
        return Line(name, "INFO", "No rare answer to learn was named or found.", "rare")
    group = (_parts(entry) or [{}])[0].get("group", "the rare answer")
    detail = (
        f"Trained on synthetic rows, a model finds {group} with an area under precision and recall "
        f"of {entry['value']:.3f}; trained on real rows, of {entry['floor']:.3f}."
    )
    ends = (entry["value"], entry["low"], entry["high"], None, entry["floor"])
    return Line(name, "INFO", detail, "rare", *ends)


def _ruling(part: Mapping[str, Any], low: float, high: float, settled: bool) -> Ruling:
    """One group against both bounds."""
    if part["n"] < FEWEST:
        return "INFO"
    if part["ratio_high"] < low or part["ratio_low"] > high:
        return "FAIL"
    if part["ratio_low"] >= low and part["ratio_high"] <= high:
        return "PASS"
    return "INCONCLUSIVE" if settled else "INFO"


def _deciding(
    rulings: Sequence[Ruling], parts: Sequence[Mapping[str, Any]]
) -> tuple[Ruling, Mapping[str, Any]]:
    """The worst ruling that was reached, and the group with most rows that reached it."""
    return max(zip(rulings, parts, strict=True), key=lambda pair: (RANK[pair[0]], pair[1]["n"]))


def _ending(ruling: Ruling, wanted: str, part: Mapping[str, Any], enough: float | None) -> str:
    if ruling == "FAIL":
        return f"; {wanted} was wanted."
    if ruling == "PASS":
        return f", within {wanted}." if "to" in wanted else f", above {wanted}."
    if ruling == "INCONCLUSIVE":
        return f"; {wanted} lies inside the interval."
    needed = part.get("rows_needed") if enough is not None else None
    more = f" (about {needed:,} would)" if needed and needed > part["n"] else ""
    return f"; {part['n']:,} held-out rows are too few to decide it{more}."


def _parts(entry: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    return list((entry or {}).get("parts") or ())


def _known(part: Mapping[str, Any], *keys: str) -> bool:
    return all(part.get(key) is not None and not math.isnan(part[key]) for key in keys)


def _too_few(name: str) -> Line:
    return Line(name, "INFO", "Too few rare rows were found to measure it.", "rare")
