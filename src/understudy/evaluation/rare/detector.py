"""R9: does an anomaly detector trained on synthetic rows work on real ones?

Isolation forests (Liu et al. 2008) learn from synthetic rows and from as many of train, and score
the holdout. The first must find its most unusual rows as well, rank all rows alike, and raise as
many false alarms at a threshold set on its own training rows.
"""

from __future__ import annotations

import numpy as np

from understudy.evaluation.rare.entry import Entry
from understudy.evaluation.rare.landscape import Landscape
from understudy.evaluation.statistics import Floats, delong, midranks, resampled_auc

TREES = 50
MOST_ROWS = 4_000
ALARMS = 0.05
FEWEST = 10
DRAWS = 200


def detector_transfer(land: Landscape, rng: np.random.Generator) -> Entry | None:
    """AUC for the holdout's first tail, trained on synthetic rows; floor: trained on train."""
    tail = next((one for one in land.tails if len(land.rows("holdout", one)) >= FEWEST), None)
    size = min(MOST_ROWS, land.size("synthetic"), land.size("train"))
    if tail is None or size < FEWEST:
        return None
    held = land.points["holdout"]
    keep = np.union1d(land.rows("holdout", tail), np.arange(min(len(held), MOST_ROWS)))
    rare = land.outlierness["holdout"][keep] > tail.edge
    seed = int(rng.integers(2**31))
    ours, our_alarms = _scores(land, "synthetic", size, keep, seed)
    real, real_alarms = _scores(land, "train", size, keep, seed)
    other, _ = _scores(land, "reference", size, keep, seed)
    found, floor = delong(ours[rare], ours[~rare]), delong(real[rare], real[~rare])
    weights = rng.multinomial(len(rare), np.full(len(rare), 1 / len(rare)), size=DRAWS)
    gap = resampled_auc(ours, rare, weights) - resampled_auc(real, rare, weights)
    low, high = np.nanquantile(gap, [0.025, 0.975])
    part = {
        "auc_loss_low": float(-high),
        "auc_loss_high": float(-low),
        "rank_correlation": _spearman(ours, real),
        "rank_correlation_floor": _spearman(other, real),
        "false_alarms": our_alarms,
        "false_alarms_floor": real_alarms,
    }
    return Entry(
        "R9",
        "anomaly detector",
        found.value,
        floor.value + float(low),
        floor.value + float(high),
        floor.value,
        int(rare.sum()),
        f"AUC with which an isolation forest trained on synthetic rows finds the {tail.name} most "
        "unusual held-out rows; floor: trained on train; the interval is that of the difference",
        parts=(part,),
    )


def _scores(
    land: Landscape, role: str, size: int, keep: np.ndarray, seed: int
) -> tuple[Floats, float]:
    """Scores of the held-out rows (higher: more unusual), and their share beyond the threshold."""
    from sklearn.ensemble import IsolationForest

    rows = land.points[role][:size]
    forest = IsolationForest(n_estimators=TREES, random_state=seed).fit(rows)
    threshold = np.quantile(-forest.score_samples(rows), 1 - ALARMS)
    scores = -forest.score_samples(land.points["holdout"][keep])
    return scores, float((scores > threshold).mean())


def _spearman(a: Floats, b: Floats) -> float:
    ranks = midranks(a), midranks(b)
    if min(np.ptp(one) for one in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])
