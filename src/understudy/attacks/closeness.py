"""Closeness: are synthetic rows nearer to rows they learnt from than to rows nobody showed them?

A proxy that is reported and never decides alone: it averages over synthetic rows, and a table that
leaks only its outliers passes it (Yao et al., "The DCR Delusion", arXiv:2505.01524).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.attacks.challenge import Challenge
from understudy.evaluation.statistics import Estimate, Floats

SAME = 1e-9
"""Distances closer than this are a tie."""


@dataclass(frozen=True)
class Closeness:
    """`closer`: share of synthetic rows nearer to train than to an equal-sized holdout, ties half.

    `ratio_p5_*`: 5 % quantile of the ratio of nearest to second-nearest distance; `distance_p5_*`:
    5 % quantile of the nearest distance. Small values on the train side only are a bad sign.
    """

    closer: Estimate
    tie_share: float
    ratio_p5_train: float
    ratio_p5_holdout: float
    distance_p5_train: float
    distance_p5_holdout: float
    distance_median_train: float
    distance_median_holdout: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "closer_to_train": self.closer.value,
            "low": self.closer.low,
            "high": self.closer.high,
            "tie_share": self.tie_share,
            "ratio_p5_train": self.ratio_p5_train,
            "ratio_p5_holdout": self.ratio_p5_holdout,
            "distance_p5_train": self.distance_p5_train,
            "distance_p5_holdout": self.distance_p5_holdout,
            "distance_median_train": self.distance_median_train,
            "distance_median_holdout": self.distance_median_holdout,
            "n": self.n,
        }


def closeness(challenge: Challenge) -> Closeness:
    """Compares the synthetic rows' neighbours among members with those among others."""
    train, holdout = challenge.to_train, challenge.to_holdout
    gap = holdout.to(1) - train.to(1)
    tie = np.abs(gap) <= SAME
    win = np.where(tie, 0.5, (gap > 0).astype(np.float64))
    # Rows won by one real row are one piece of evidence, so the variance is that of clusters.
    winner = np.where(gap >= 0, train.index[:, 0], challenge.member_rows + holdout.index[:, 0])
    share = float(win.mean())
    clusters = np.bincount(winner, win - share)
    error = 1.96 * float(np.sqrt((clusters**2).sum())) / len(win)
    return Closeness(
        Estimate(share, max(0.0, share - error), min(1.0, share + error)),
        float(tie.mean()),
        _p5(_ratio(train.distance)),
        _p5(_ratio(holdout.distance)),
        _p5(train.to(1)),
        _p5(holdout.to(1)),
        float(np.median(train.to(1))),
        float(np.median(holdout.to(1))),
        len(win),
    )


def _ratio(distance: Floats) -> Floats:
    """Nearest over second nearest; 1 where both are zero, a record that several rows share."""
    return (distance[:, 0] + 1e-8) / (distance[:, -1] + 1e-8)


def _p5(values: Floats) -> float:
    return float(np.quantile(values, 0.05))
