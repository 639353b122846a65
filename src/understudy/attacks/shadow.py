"""Shadow models: an attacker who has the generator learns on models of its own what a member is.

The generator is fitted several times to one half of a public sample each (the reference), so that
for these rows it is known who was learnt from. Every attack's score becomes a feature, as its rank
among the rows of its own model, which makes small shadows comparable with the table under attack;
a classifier learns from them what members look like (as the ensemble attacks of the MIDST challenge
do). Whole shadow models are held out to choose the classifier and to say how well it does: rows of
one model share its luck.

    from understudy.attacks import attack
    from understudy.attacks.shadow import Shadows

    def make(dataset, seed):
        return TreeSynthesizer().fit(dataset).sample(dataset.num_rows, seed=seed)

    attack(train, holdout, reference, synthetic, shadows=Shadows(make))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.attacks.challenge import Challenge, set_up, unit_codes
from understudy.attacks.membership import INFORMED, Attacker, Score, scores
from understudy.data.dataset import Dataset
from understudy.errors import EngineError
from understudy.evaluation.samples import align
from understudy.evaluation.statistics import Estimate, Floats, delong, midranks
from understudy.runtime.parallel import run_all
from understudy.runtime.random import stream

NAME = "shadow models"
FEWEST_SHADOWS = 4
HELD_OUT = 4
"""One shadow in so many, and at least one, is kept from the classifier until it is chosen."""
FEWEST_UNITS = 200
"""Of the reference; fewer give shadows that resemble nothing."""
TREES, SMALLEST_LEAF = 60, 40

SHADOWER = Attacker(
    INFORMED.knows,
    "the synthetic table, and the generator to fit to other rows",
    "the generator fitted a few times, then all other attacks on each",
)
Make = Callable[[Dataset, int], Dataset]


@dataclass(frozen=True)
class Shadows:
    """`make(dataset, seed)` fits the generator to `dataset` and draws about as many rows for each
    row learnt from as the table under attack has. It must be picklable for more than one worker.
    """

    make: Make
    count: int = 8
    workers: int = 1


@dataclass(frozen=True)
class ShadowAttack:
    """What the attack says of the challenged rows, and its AUC on shadows it never saw."""

    score: Score
    models: int
    held_out: int
    classifier: str
    validation: Estimate

    def as_dict(self) -> dict[str, Any]:
        return {
            "models": self.models,
            "held_out": self.held_out,
            "classifier": self.classifier,
            "auc": self.validation.value,
            "auc_low": self.validation.low,
            "auc_high": self.validation.high,
        }


def shadow_attack(
    challenge: Challenge, tried: Sequence[Score], reference: Dataset, shadows: Shadows, seed: int
) -> ShadowAttack | None:
    """Scores the rows of `challenge`, whose other scores by row are `tried`.

    None where the reference has too few units. Raises `EngineError` for fewer than four shadows and
    passes on what `make` raises.
    """
    if shadows.count < FEWEST_SHADOWS:
        raise EngineError(f"{shadows.count} shadow models are too few to learn from: take 8.")
    if _units(reference) < FEWEST_UNITS:
        return None
    calls = [(shadows.make, reference, seed, number) for number in range(shadows.count)]
    lessons = run_all(_lesson, calls, workers=shadows.workers)
    common = [score.name for score in tried if all(score.name in one.ranks for one in lessons)]
    asked = np.stack([_rank(score.values) for score in tried if score.name in common], axis=1)
    held = max(1, shadows.count // HELD_OUT)
    kept, apart = lessons[held:], lessons[:held]
    judged = {
        name: _judged(make(), kept, apart, common) for name, make in _classifiers(seed).items()
    }
    name = max(judged, key=lambda one: judged[one].value)
    model = _classifiers(seed)[name]()
    model.fit(*_stacked(lessons, common))
    score = Score(NAME, SHADOWER, np.asarray(model.predict_proba(asked)[:, 1]))
    return ShadowAttack(score, shadows.count, held, name, judged[name])


@dataclass(frozen=True)
class _Lesson:
    """One shadow: the attacks' scores of its rows as ranks in (0, 1), and who was learnt from."""

    ranks: Mapping[str, Floats]
    is_member: np.ndarray[tuple[int], np.dtype[np.bool_]]


def _lesson(make: Make, reference: Dataset, seed: int, number: int) -> _Lesson:
    """Fits one shadow to half of the units; a quarter are strangers, a quarter its reference."""
    place = ("attacks", "shadow", str(number))
    rng = stream(seed, *place)
    owner = _owners(reference)
    side = (rng.permutation(int(owner.max()) + 1) % 4)[owner]
    rows = {
        role: reference.with_table(reference.table.filter(pa.array(chosen)))
        for role, chosen in (
            ("train", side < 2),
            ("holdout", side == 2),
            ("reference", side == 3),
        )
    }
    made = make(rows["train"], int(rng.integers(2**31)))
    tables = {role: one.table for role, one in rows.items()}
    tables["synthetic"] = align(made.table, reference.table)
    found = set_up(tables, reference.schema, stream(seed, *place, "challenge"))
    if found is None:
        raise EngineError("a shadow model made no rows, so nothing can be learnt from it.")
    ranks = {
        score.name: _rank(score.values)
        for score in scores(found, (), stream(seed, *place, "scores"))
    }
    return _Lesson(ranks, found.row_is_member)


def _classifiers(seed: int) -> dict[str, Callable[[], Any]]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    return {
        "logistic regression": lambda: LogisticRegression(max_iter=500),
        "boosted trees": lambda: HistGradientBoostingClassifier(
            max_iter=TREES,
            learning_rate=0.05,
            max_leaf_nodes=8,
            min_samples_leaf=SMALLEST_LEAF,
            early_stopping=False,
            random_state=seed % 2**31,
        ),
    }


def _judged(
    model: Any, kept: Sequence[_Lesson], apart: Sequence[_Lesson], names: Sequence[str]
) -> Estimate:
    """AUC on the shadows held out, after learning from the others."""
    model.fit(*_stacked(kept, names))
    x, y = _stacked(apart, names)
    odds = np.asarray(model.predict_proba(x)[:, 1])
    return delong(odds[y], odds[~y])


def _stacked(
    lessons: Sequence[_Lesson], names: Sequence[str]
) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    x = np.concatenate([np.stack([one.ranks[n] for n in names], axis=1) for one in lessons])
    return x, np.concatenate([one.is_member for one in lessons])


def _rank(values: Floats) -> Floats:
    return np.asarray(midranks(values) / (len(values) + 1))


def _owners(dataset: Dataset) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    column = dataset.schema.unit.column
    if column is None:
        return np.arange(dataset.num_rows)
    return unit_codes(dataset.table[column])


def _units(dataset: Dataset) -> int:
    return int(_owners(dataset).max(initial=-1)) + 1
