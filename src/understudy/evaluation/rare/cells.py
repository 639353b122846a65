"""R6: rare combinations of values: which are kept, and how much is invented.

A cell is a combination of levels in up to three columns, numbers in tenths of the reference. It is
rare when 3 to 50 rows of reference and holdout share it. Kept is what the synthetic table also
holds, at train's size; invented is the share of rows in cells that no row of train or reference
has, for synthetic rows and, as floor, for held-out ones, which are as fresh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.pairs import Binned, by_quantiles
from understudy.evaluation.rare.entry import DRAWS, Entry, paired_ratio
from understudy.evaluation.samples import ROLES, Samples
from understudy.evaluation.statistics import around

FEWEST, MOST = 3, 50
MOST_ROWS = 20_000
MOST_KEYS = 60
DENSE = 1 << 18
WORST = 5


@dataclass(frozen=True)
class Kept:
    """One set of columns: its rare cells, those kept, and the shares of rows in unseen cells."""

    columns: tuple[str, ...]
    rare: int
    synthetic: int
    train: int
    invented: float
    fresh: float


def rare_cells(samples: Samples, rng: np.random.Generator, most: int = MOST_KEYS) -> list[Kept]:
    """Counts over at most `most` sets of one, two or three columns."""
    features = samples.features
    if not features or min(samples.size(role) for role in ROLES) == 0:
        return []
    size = min(MOST_ROWS, samples.size("train"), samples.size("synthetic"))
    rows = {
        role: rng.permutation(samples.size(role))[
            : size if role in ("train", "synthetic") else MOST_ROWS
        ]
        for role in ROLES
    }
    binned = [by_quantiles(feature, "reference") for feature in features]
    found = []
    for key in _keys(len(features), most, rng):
        codes = _codes([binned[i] for i in key], rows)
        found.append(_kept(tuple(features[i].name for i in key), codes))
    return found


def _keys(columns: int, most: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """All single columns and pairs first, then triples, each at random where there are too many."""
    keys: list[tuple[int, ...]] = []
    for width, room in ((1, most // 4), (2, most // 2), (3, most)):
        if width > columns:
            break
        room = min(room, most - len(keys))
        if columns > 100 and width > 1:
            drawn = [tuple(sorted(rng.choice(columns, width, replace=False))) for _ in range(room)]
            keys += [tuple(int(i) for i in key) for key in dict.fromkeys(drawn)]
            continue
        every = list(combinations(range(columns), width))
        keys += [every[i] for i in sorted(rng.permutation(len(every))[:room])]
    return keys


def _codes(
    columns: Sequence[Binned], rows: dict[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """One code per row for the combination of the columns' codes."""
    size = 1
    codes = {role: np.zeros(len(index), np.int64) for role, index in rows.items()}
    for column in columns:
        codes = {role: codes[role] * column.size + column.codes[role][rows[role]] for role in rows}
        size *= column.size
    if size <= DENSE:
        return codes
    _, cell = np.unique(np.concatenate(list(codes.values())), return_inverse=True)
    ends = np.cumsum([len(one) for one in codes.values()])[:-1]
    return dict(zip(codes, np.split(cell, ends), strict=True))


def _kept(columns: tuple[str, ...], codes: dict[str, NDArray[np.int64]]) -> Kept:
    width = 1 + max(int(one.max(initial=0)) for one in codes.values())
    count = {role: np.bincount(one, minlength=width) for role, one in codes.items()}
    real = count["reference"] + count["holdout"]
    rare = (real >= FEWEST) & (real <= MOST) & (count["holdout"] > 0)
    unseen = (count["train"] + count["reference"]) == 0
    return Kept(
        columns,
        int(rare.sum()),
        int((rare & (count["synthetic"] > 0)).sum()),
        int((rare & (count["train"] > 0)).sum()),
        float(count["synthetic"][unseen].sum() / len(codes["synthetic"])),
        float(count["holdout"][unseen].sum() / len(codes["holdout"])),
    )


def combinations_kept(found: Sequence[Kept], rng: np.random.Generator) -> Entry | None:
    """R6 over all sets of columns; the interval resamples the sets."""
    some = [one for one in found if one.rare]
    cells = sum(one.rare for one in some)
    if not cells:
        return None
    rare = np.array([one.rare for one in some], np.float64)
    ours = np.array([one.synthetic for one in some], np.float64)
    real = np.array([one.train for one in some], np.float64)
    drawn = rng.multinomial(len(some), np.full(len(some), 1 / len(some)), size=DRAWS)
    value = around(ours.sum() / cells, (drawn @ ours) / np.maximum(drawn @ rare, 1))
    ratio = paired_ratio(ours, real, rng) if real.sum() else None
    part: dict[str, Any] = {
        "ratio": ratio.value if ratio else None,
        "ratio_low": ratio.low if ratio else None,
        "ratio_high": ratio.high if ratio else None,
        "sets": len(found),
        **_invented(found),
    }
    order = np.argsort((ours - real) / rare, kind="stable")[:WORST]
    worst = [
        {
            "columns": some[i].columns,
            "rare": some[i].rare,
            "synthetic": some[i].synthetic,
            "train": some[i].train,
        }
        for i in order
    ]
    return Entry(
        "R6",
        "rare combinations",
        value.value,
        value.low,
        min(1.0, value.high),
        float(real.sum() / cells),
        cells,
        f"rare combinations of up to three columns (3 to 50 real rows) that the synthetic rows "
        f"hold, over {len(some)} sets of columns; floor: train in their place",
        parts=(part, *worst),
    )


def _invented(found: Sequence[Kept]) -> dict[str, float]:
    """Rows in cells that no row of train or reference has, synthetic and held-out."""
    return {
        "invented": float(np.mean([one.invented for one in found])),
        "invented_floor": float(np.mean([one.fresh for one in found])),
    }
