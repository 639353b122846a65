"""R7, R8: can the rare answer be learnt from synthetic rows, and do they help few real ones?

Both read the boosted trees' predictions on the holdout. The rare answer is the target's rarest
class, or a number beyond the reference's 95 % quantile, scored by its prediction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.classes import average_precision, brier
from understudy.evaluation.predictions import TREES, Predictions
from understudy.evaluation.rare.entry import Entry
from understudy.evaluation.rare.groups import Group
from understudy.evaluation.statistics import Floats

FALSE_ALARMS = 0.05
FEWEST = 10


def rare_answer_learnt(found: Predictions, group: Group) -> Entry | None:
    """R7: PR-AUC of the rare answer, synthetic-trained; floor: real-trained."""
    rare = group.rows["holdout"][found.rows["holdout"]]
    if not FEWEST <= rare.sum() <= len(rare) - FEWEST:
        return None
    column = _column(found, group)
    if column is None:
        return None
    repeats = {
        role: [one[:, [column]] for one in found.scores[TREES, role]]
        for role in ("train", "synthetic")
    }
    weights = _weights(found)
    real = average_precision(repeats["train"][0], 0, rare, weights)
    ours = average_precision(repeats["synthetic"][0], 0, rare, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = ours / real
    low, high = np.nanquantile((ours - real)[1:], [0.025, 0.975])
    ends = np.nanquantile(ratio[1:], [0.025, 0.975])
    part: dict[str, Any] = {
        "group": group.name,
        "ratio": float(ratio[0]),
        "ratio_low": float(ends[0]),
        "ratio_high": float(ends[1]),
        "repeats": [
            {
                role: float(average_precision(one[i], 0, rare, weights[:1])[0])
                for role, one in repeats.items()
            }
            for i in range(len(repeats["train"]))
        ],
        "recall_at_5": {role: _recall(one[0][:, 0], rare) for role, one in repeats.items()},
    }
    if found.classes is not None:
        part["brier"] = {
            role: float(brier(one[0], 0, rare, weights[:1])[0]) for role, one in repeats.items()
        }
    return Entry(
        "R7",
        "learning the rare answer",
        float(ours[0]),
        float(real[0] + low),
        float(real[0] + high),
        float(real[0]),
        int(rare.sum()),
        f"area under precision and recall for {group.name} on the holdout, trees trained on "
        "synthetic rows; floor: trained on as many real rows; the interval is that of the paired "
        "difference",
        parts=(part,),
    )


def augmentation_gain(found: Predictions, group: Group) -> Entry | None:
    """R8: recall at 5 % false alarms that synthetic rows add to few real ones."""
    rare = group.rows["holdout"][found.rows["holdout"]]
    column = _column(found, group)
    sources = ("small", "small and synthetic")
    if column is None or any((TREES, source) not in found.scores for source in sources):
        return None
    if not FEWEST <= rare.sum() <= len(rare) - FEWEST:
        return None
    alone, helped = (found.of(TREES, source)[:, column] for source in sources)
    gain = _found(helped, rare).astype(float) - _found(alone, rare)
    weights = _weights(found)[1:, rare]
    drawn = (weights @ gain[rare]) / np.maximum(weights.sum(axis=1), 1e-12)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Entry(
        "R8",
        "help for few real rows",
        float(gain[rare].mean()),
        float(low),
        float(high),
        0.0,
        int(rare.sum()),
        f"recall of {group.name} at 5 % false alarms, {len(found.rows['reference']):,} reference "
        "rows with synthetic ones less the same without",
        parts=({"alone": _recall(alone, rare), "helped": _recall(helped, rare)},),
    )


def _column(found: Predictions, group: Group) -> int | None:
    """The column of the scores that ranks the group."""
    if found.classes is None:
        return 0
    spelled = [label == str(group.level) for label in found.labels]
    if not any(spelled) and isinstance(group.level, float):
        spelled = [float(one) == group.level for one in found.classes]
    return spelled.index(True) if any(spelled) else None


def _weights(found: Predictions) -> Floats:
    return np.concatenate([np.ones((1, len(found.truth))), found.weights])


def _found(scores: Floats, rare: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows above the score that 5 % of the other rows exceed."""
    return scores > np.quantile(scores[~rare], 1 - FALSE_ALARMS, method="higher")


def _recall(scores: Floats, rare: NDArray[np.bool_]) -> float:
    return float(_found(scores, rare)[rare].mean())
