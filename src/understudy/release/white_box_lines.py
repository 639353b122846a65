"""What the model itself gives away, as a line: decisive only where the model leaves.

EDPB Opinion 28/2024 asks for the means reasonably likely to be used; whoever gets the model, or may
query it, has more of them than whoever gets rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from understudy.contracts import Line, Released
from understudy.errors import PlanError, suggest
from understudy.release.figures import percent
from understudy.release.findings import against, complete
from understudy.release.thresholds import Thresholds

NAME = "the model itself"
OBJECTS: Mapping[Released, str] = {
    "data": "the rows of this table alone: not the model, nor further rows drawn from it",
    "model": "the rows and the model that made them",
    "query": "the rows and answers of the model to whatever is asked of it",
}
"""What each verdict is about, for the papers."""


def object_of(word: str) -> Released:
    """The released object that `word` names; raises `PlanError` with the nearest names."""
    for known in get_args(Released):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise PlanError(
        f"nothing called {word!r} can be released. {suggest(word, get_args(Released))} It says "
        "what leaves: the rows (data), the model as well (model), or its answers (query)."
    )


def white_box_lines(
    battery: Mapping[str, Any], bounds: Thresholds, released: Released
) -> list[Line]:
    """INFO where only data is released; nothing where that is so and nobody looked inside.

    Answers to queries are judged as if the model itself left: how much many of them add up to
    nobody has measured, and they tell no more than it does.
    """
    found = battery.get("white_box") or {}
    attacks = complete(found.get("attacks") or (), "auc")
    if not attacks:
        if released == "data":
            return []
        leaves = "The model leaves" if released == "model" else "The model may be queried"
        detail = f"{leaves}, and what it gives away was not measured."
        return [Line(NAME, "INCONCLUSIVE", detail, "privacy")]
    worst = max(attacks, key=lambda one: one["auc_high"])
    value, low, high = (worst["auc" + end] for end in ("", "_low", "_high"))
    said = (
        f"Whoever holds the model tells members from strangers with an AUC of {value:.3f} "
        f"[{low:.3f}, {high:.3f}] by its {worst['name']}, and finds "
        f"{percent(worst.get('tpr_at_1'))} of members at one false alarm in a hundred"
    )
    if released == "data":
        detail = f"{said}; it is not released."
        return [Line(NAME, "INFO", detail, "privacy", value, low, high, bounds.auc, 0.5)]
    ruling = against(low, high, bounds.auc)
    word = {"PASS": "within", "FAIL": "beyond", "INCONCLUSIVE": "too uncertain for"}[ruling]
    detail = f"{said}, {word} the bound of {bounds.auc:.2f}."
    if released == "query":
        detail += " Queries tell at most as much, and how much less was not measured."
    return [Line(NAME, ruling, detail, "privacy", value, low, high, bounds.auc, 0.5)]
