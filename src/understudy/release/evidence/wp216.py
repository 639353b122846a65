"""Opinion 05/2014 on anonymisation techniques (WP216): three risks, and a new look at intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.release.disclosure import is_private
from understudy.release.evidence.heading import Heading, by_lines
from understudy.release.guideline_lines import INFERENCE, LINKABILITY, SINGLING_OUT
from understudy.release.privacy_lines import UNUSUAL
from understudy.release.review import REASON, review_by

SOURCE = "Article 29 Working Party, Opinion 05/2014 on Anonymisation Techniques (WP216)"
NOTE = (
    "WP216 names three risks and no numbers; the bounds are ours and stand with their reasons "
    "under `thresholds`."
)
BOUNDED = (
    "By the guarantee any attack on a unit succeeds with a probability of at most e^epsilon times "
    "that of the same attack on a table made without the unit, plus delta."
)
RISKS = {
    SINGLING_OUT: "Can records of one person be isolated?",
    LINKABILITY: "Can two records of one person be linked?",
    INFERENCE: "Can a value of a person be deduced from other values?",
}


def wp216(view: Mapping[str, Any]) -> list[Heading]:
    """The three risks, the wider analysis asked for where one of them is left, and the re-run."""
    headings = [by_lines(name, asks, view, (name,), BOUNDED) for name, asks in RISKS.items()]
    wider = (
        "membership, on average",
        "membership, few false alarms",
        UNUSUAL,
        "copies",
        "closeness",
    )
    asks = "Where a risk is left, a thorough evaluation of identification."
    headings.append(by_lines("thorough evaluation", asks, view, wider, BOUNDED))
    return [*headings, _again(view)]


def _again(view: Mapping[str, Any]) -> Heading:
    clause, asks = "periodic reassessment", "Anonymisation is no one-off exercise."
    by = review_by(view.get("created"))
    if by is None:
        return Heading(clause, asks, "not assessed", "The run says no date to count from.")
    cost = " Its ruling will tell one more bit." if is_private(view) else ""
    says = f"To be run again by {by}. {REASON}{cost}"
    return Heading(clause, asks, "assessed", says, figures={"review_by": by}, see=("review",))
