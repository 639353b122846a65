"""Membership inference: can an attacker tell who was in the training data?

Every attack gives one number per record, higher for those it takes for members, and uses no label:

* distances, in the linear and in the rank space: `-d1(x, S)` for one who holds only the synthetic
  table; `log dk(x, R) - log dk(x, S)` with the first, fifth and twentieth neighbour, the density
  ratio of DOMIAS (van Breugel et al. 2023, arXiv:2302.12580), for one who holds a reference too;
* the same after quantile re-alignment, where columns lie elsewhere than the reference's;
* Gen-LRA, rare cells, a classifier of synthetic against reference rows (LOGAN, Hayes et al. 2019),
  the error profile of models that learnt each column (as in MIA-EPT of the MIDST challenge);
* and the ensemble: the most convinced of all.

Power at low false positive rates is measured with the threshold from one half of the non-members
and applied to one half of the members, both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import POOL, REFERENCE, SYNTHETIC, Challenge
from understudy.attacks.learners import Learnt
from understudy.attacks.likelihood_ratio import gen_lra
from understudy.attacks.queries import rare_cells
from understudy.encoding.neighbours import Neighbours
from understudy.evaluation.discriminator import declared_categories, design, filled
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Estimate, Floats, clopper_pearson, delong, midranks

TINY = 1e-6
"""Added to distances before their logarithm."""
ROC_POINTS = 60
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""False positive rates at which each attack's power is measured with its interval."""
RATIOS = ((1, "nearest-row ratio"), (5, "neighbourhood ratio"), (20, "wide neighbourhood ratio"))
MOST_LESSONS, FEWEST_LESSONS = 10_000, 30
"""Rows of each sort that the classifier learns from."""


@dataclass(frozen=True)
class Attacker:
    """Who attacks: what is known beforehand, what is seen of the release, what it takes."""

    knows: str
    access: str
    cost: str

    def as_dict(self) -> dict[str, str]:
        return {"knows": self.knows, "access": self.access, "cost": self.cost}


OUTSIDER = Attacker(
    "the full record of the person looked for",
    "the synthetic table",
    "one nearest-neighbour search; seconds on a laptop",
)
INFORMED = Attacker(
    "the full record of the person looked for, and a sample of the same population",
    "the synthetic table",
    "two nearest-neighbour searches; seconds on a laptop",
)
CAREFUL = Attacker(
    INFORMED.knows,
    INFORMED.access,
    "each column mapped onto the sample's quantiles, then two nearest-neighbour searches; seconds",
)
COUNTING = Attacker(
    INFORMED.knows, INFORMED.access, "counts of rare combinations of values; seconds on a laptop"
)
STATISTICIAN = Attacker(
    INFORMED.knows, INFORMED.access, "kernel densities around the record; seconds on a laptop"
)
MODELLER = Attacker(
    INFORMED.knows, INFORMED.access, "boosted trees of synthetic against real rows; seconds"
)
PROFILER = Attacker(INFORMED.knows, INFORMED.access, "two models of each column; a minute")
PERSISTENT = Attacker(INFORMED.knows, INFORMED.access, "all the attacks above, made together")


@dataclass(frozen=True)
class Score:
    """An attack before it is judged: one number per challenged unit, higher says member."""

    name: str
    attacker: Attacker
    values: Floats


@dataclass(frozen=True)
class Power:
    """Members found at one rate of false alarms."""

    rate: float
    found: Estimate
    realised: float

    def as_dict(self) -> dict[str, float]:
        found = {"tpr": self.found.value, "low": self.found.low, "high": self.found.high}
        return {"fpr": self.rate, **found, "realised_fpr": self.realised}


@dataclass(frozen=True)
class Membership:
    """An attack judged on all challenged rows."""

    name: str
    attacker: Attacker
    auc: Estimate
    tpr_at_1: Estimate
    realised_fpr: float
    roc: tuple[tuple[float, float], ...]
    powers: tuple[Power, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "attacker": self.attacker.as_dict(),
            "auc": self.auc.value,
            "auc_low": self.auc.low,
            "auc_high": self.auc.high,
            "tpr_at_1": self.tpr_at_1.value,
            "tpr_at_1_low": self.tpr_at_1.low,
            "tpr_at_1_high": self.tpr_at_1.high,
            "realised_fpr": self.realised_fpr,
            "roc": self.roc,
            "powers": [power.as_dict() for power in self.powers],
            "stratum": "all",
        }


def scores(
    challenge: Challenge, learnt: Sequence[Learnt], rng: np.random.Generator
) -> Iterator[Score]:
    """Every attack's scores of the pooled rows; `learnt` are models of single columns."""
    for space, found in (("values", challenge.values), ("ranks", challenge.ranks)):
        yield from _by_distance(space, found.to_synthetic, found.to_reference, INFORMED)
    if challenge.realigned is not None:
        yield from _by_distance(
            "re-aligned", challenge.realigned, challenge.values.to_reference, CAREFUL
        )
    near = challenge.values.to_synthetic.index
    pool, made, known = (challenge.points[role] for role in (POOL, SYNTHETIC, REFERENCE))
    yield Score("local likelihood ratio", STATISTICIAN, gen_lra(pool, near, made, known))
    yield Score("rare combinations", COUNTING, rare_cells(challenge.features, rng))
    told_apart = synthetic_or_reference(challenge.features, rng)
    if told_apart is not None:
        yield Score("classifier", MODELLER, told_apart)
    if learnt:
        profile = [one.reference.loss - one.synthetic.loss for one in learnt]
        yield Score("error profile", PROFILER, np.mean(profile, axis=0))


def ensemble(tried: Sequence[Score]) -> Score:
    """For each record the verdict of the attack that is most convinced."""
    ranks = np.stack([midranks(score.values) for score in tried])
    return Score("ensemble", PERSISTENT, ranks.max(axis=0))


def _by_distance(
    space: str, ours: Neighbours, theirs: Neighbours, ratio_maker: Attacker
) -> Iterator[Score]:
    yield Score(f"nearest synthetic row ({space})", OUTSIDER, -ours.to(1))
    for k, name in RATIOS:
        ratio = np.log(theirs.to(k) + TINY) - np.log(ours.to(k) + TINY)
        yield Score(f"{name} ({space})", ratio_maker, ratio)


def synthetic_or_reference(features: Sequence[Feature], rng: np.random.Generator) -> Floats | None:
    """Log odds that boosted trees give a pooled row of being synthetic rather than reference."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows = {role: design(features, role) for role in (SYNTHETIC, REFERENCE)}
    size = min(MOST_LESSONS, *(len(part) for part in rows.values()))
    if size < FEWEST_LESSONS:
        return None
    x = np.concatenate([part[rng.permutation(len(part))[:size]] for part in rows.values()])
    model = HistGradientBoostingClassifier(
        max_iter=100,
        min_samples_leaf=5,
        early_stopping=False,
        categorical_features=declared_categories(features),
        random_state=int(rng.integers(2**31)),
    )
    model.fit(filled(x), np.repeat([1, 0], size))
    return np.asarray(model.decision_function(design(features, POOL)))


def judge(score: Score, is_member: NDArray[np.bool_]) -> Membership:
    """AUC and power of one attack over all challenged rows."""
    members, others = score.values[is_member], score.values[~is_member]
    power, realised = power_at(members, others, 0.01)
    auc, curve = delong(members, others), roc(members, others)
    at = tuple(powers(members, others))
    return Membership(score.name, score.attacker, auc, power, realised, curve, at)


def powers(members: Floats, others: Floats) -> Iterator[Power]:
    """Power at each of `RATES` that half of the non-members can set a threshold for.

    With fewer of them the threshold is their maximum, and more false alarms come than were asked.
    """
    for rate in RATES:
        if rate * (len(others) // 2) >= 1:
            yield Power(rate, *power_at(members, others, rate))


def power_at(members: Floats, others: Floats, rate: float) -> tuple[Estimate, float]:
    """True positive rate at a false positive rate of `rate`, with its exact 95 % interval, and the
    false positive rate realised on non-members that did not set the threshold.

    Each half of the non-members sets the threshold, its upper `rate` quantile, for one half of the
    members and is checked on the other half. Of rows that tie with it the share is flagged that
    exhausts `rate`, so that crowded scores keep the rate asked for.
    """
    found = false = checked = 0.0
    for half in (0, 1):
        setting, checking = others[half::2], others[1 - half :: 2]
        if len(setting) == 0:
            continue
        threshold, share = threshold_at(setting, rate)
        found += flagged(members[half::2], threshold, share)
        false += flagged(checking, threshold, share)
        checked += len(checking)
    realised = false / checked if checked else float("nan")
    return clopper_pearson(round(found), len(members)), realised


def threshold_at(others: Floats, rate: float) -> tuple[float, float]:
    """The upper `rate` quantile, and which share of the scores that tie with it to flag."""
    threshold = np.quantile(others, 1 - rate, method="higher")
    room = rate * len(others) - (others > threshold).sum()
    return float(threshold), float(min(1.0, max(0.0, room / (others == threshold).sum())))


def flagged(scores: Floats, threshold: float, share: float) -> float:
    """How many scores an attacker takes for members."""
    return float((scores > threshold).sum() + share * (scores == threshold).sum())


def roc(members: Floats, others: Floats) -> tuple[tuple[float, float], ...]:
    """(false, true) positive rates, at most `ROC_POINTS`, spaced evenly in the log of the first."""
    falls = np.sort(others)
    wanted = np.geomspace(1 / len(others), 1.0, ROC_POINTS - 1)
    allowed = np.unique(np.minimum((wanted * len(others)).astype(int), len(others) - 1))
    thresholds = falls[len(others) - 1 - allowed]
    rise = np.sort(members)
    true = 1 - np.searchsorted(rise, thresholds, side="right") / len(members)
    false = 1 - np.searchsorted(falls, thresholds, side="right") / len(others)
    points = [(float(f), float(t)) for f, t in zip(false, true, strict=True)]
    return (*points, (1.0, 1.0))
