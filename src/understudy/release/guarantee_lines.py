"""The lines of a run under a budget: what is promised, whether it adds up, whether it was tried.

A promise can be broken in two ways that its own sentence does not show: the sum is wrong, or the
mechanism is. A second accountant looks for the first. Canaries look for the second, in engines that
train by DP-SGD: they cost no privacy there, as their coordinates are beside the network's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.contracts import Line, Released, Ruling
from understudy.privacy.second_accountant import ROUNDING
from understudy.release.figures import compact, percent

GUARANTEE = "the guarantee"
TWICE = "the guarantee, added up twice"
TRIED = "the guarantee, tried"


def guarantee_lines(statement: Mapping[str, Any], released: Released = "data") -> list[Line]:
    """`statement` is the privacy statement of the run; one of an earlier version has no second
    accountant, and then no line says that there was one.
    """
    second = statement.get("second_accountant")
    return [
        _budget(statement, released),
        *([_twice(statement, second)] if second else []),
        _tried(statement),
    ]


def _budget(statement: Mapping[str, Any], released: Released) -> Line:
    """The budget as a line: what it promises against any attacker at all."""
    epsilon, delta = float(statement["epsilon"]), float(statement["delta"])
    asked = float(statement["budget"]["epsilon"])
    found = next(point["tpr"] for point in statement["tpr_at_fpr"] if point["fpr"] == 0.01)
    detail = (
        f"Differential privacy with epsilon {epsilon:.3g} and delta {delta:.0e}, unit "
        f"{statement['unit']!r}: whatever an attacker knows, at one false alarm in a hundred at "
        f"most {percent(found)} of those learnt from can be told from strangers."
    )
    if released != "data":
        detail += " That holds for the model as for the rows."
    ruling: Ruling = "PASS" if epsilon <= asked else "FAIL"
    return Line(GUARANTEE, ruling, detail, "privacy", epsilon, bound=asked, source="ledger")


def _twice(statement: Mapping[str, Any], second: Mapping[str, Any]) -> Line:
    """FAIL where the events cost more than is claimed, whoever adds them up."""
    epsilon, low, high = float(statement["epsilon"]), float(second["low"]), second["high"]
    between = f"between {low:.3f} and {'infinity' if high is None else f'{high:.3f}'}"
    if epsilon < low * (1 - ROUNDING):
        detail = (
            f"The accountants disagree: epsilon {epsilon:.3f} is claimed, and by the second the "
            f"same events cost {between}. One of them was told other events than were asked."
        )
        return Line(TWICE, "FAIL", detail, "privacy", epsilon, low, high, source="ledger")
    detail = f"A second accountant puts epsilon {between}; {epsilon:.3f} is claimed."
    return Line(TWICE, "PASS", detail, "privacy", epsilon, low, high, source="ledger")


def _tried(statement: Mapping[str, Any]) -> Line:
    """FAIL where canaries of this run prove more than is claimed; INFO where there were none."""
    audit, epsilon = statement.get("audit"), float(statement["epsilon"])
    if not audit:
        detail = (
            "This run held no canaries. That its engine keeps what it promises is tried apart, on "
            "made-up rows: understudy replay ENGINE."
        )
        return Line(TRIED, "INFO", detail, "privacy", bound=epsilon)
    proven = float(audit["sure"])
    said = (
        f"{audit['canaries']:,} canaries in this run prove an epsilon of at least "
        f"{compact(proven)} ({audit['because']}); {compact(epsilon)} is claimed"
    )
    if proven > epsilon:
        detail = f"{said}: the mechanism adds less noise than it says."
        return Line(TRIED, "FAIL", detail, "privacy", proven, bound=epsilon)
    detail = f"{said}, {percent(proven / epsilon, 0)} of it."
    return Line(TRIED, "PASS", detail, "privacy", proven, bound=epsilon)
