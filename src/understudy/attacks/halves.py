"""Two attackers who each know half of the columns, and what the synthetic table tells them.

Linkability: given a record's first half and, from another source, its second half, does the
synthetic table say that they belong together? The bet is that some synthetic row is among the
nearest of both. Attribute inference without a model: the half that is known finds the nearest
synthetic row, whose other cells are the guess, which is how a copied record gives itself away.

Article 29 Working Party, Opinion 05/2014 (WP216); linkability as in Giomi et al. 2023
(arXiv:2211.10459).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.attacks.challenge import POOL, REFERENCE, SYNTHETIC, Challenge
from understudy.attacks.learners import TOLERANCE, Guesses
from understudy.attacks.membership import OUTSIDER, Attacker
from understudy.attacks.risk import Risk, compare, ends
from understudy.encoding.neighbours import nearest
from understudy.evaluation.samples import Feature
from understudy.evaluation.statistics import Estimate, clopper_pearson

MOST_A_SIDE = 4_000
NEAR = 5

LINKER = Attacker(
    "two halves of the columns, from two sources that name nobody",
    OUTSIDER.access,
    "two nearest-neighbour searches; seconds on a laptop",
)


@dataclass(frozen=True)
class Halves:
    """What half of the columns finds, for members first and then as many others."""

    rows: NDArray[np.int64]
    """Which rows of the pool were tried."""
    names: tuple[tuple[str, ...], tuple[str, ...]]
    made: tuple[NDArray[np.int64], NDArray[np.int64]]
    """[tried, k] nearest synthetic rows by the first half, and by the second."""
    known: tuple[NDArray[np.int64], NDArray[np.int64]]
    """[tried, 1] nearest reference rows."""
    members: int


@dataclass(frozen=True)
class Linkability:
    """`chance`: how often the halves of two different people are linked."""

    risk: Risk
    chance: Estimate
    names: tuple[tuple[str, ...], tuple[str, ...]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "attacker": LINKER.as_dict(),
            "halves": [list(names) for names in self.names],
            **self.risk.as_dict(),
            **ends("chance", self.chance),
        }


def halve(challenge: Challenge, rng: np.random.Generator) -> Halves | None:
    """Searches by each half of the columns; None for a table with a single column of distance."""
    names = [axis.name for axis in challenge.space.axes]
    if len(names) < 2:
        return None
    size = min(challenge.member_rows, len(challenge.unit_of) - challenge.member_rows)
    size = min(size, MOST_A_SIDE)
    rows = np.concatenate(
        [
            np.sort(rng.choice(challenge.member_rows, size, replace=False)),
            challenge.member_rows
            + np.sort(
                rng.choice(len(challenge.unit_of) - challenge.member_rows, size, replace=False)
            ),
        ]
    )
    sides = _dealt(challenge)
    made, known = [], []
    for columns in sides:
        asked = challenge.points[POOL][np.ix_(rows, columns)]
        made.append(nearest(asked, challenge.points[SYNTHETIC][:, columns], NEAR).index)
        known.append(nearest(asked, challenge.points[REFERENCE][:, columns], 1).index)
    halves = tuple(names[0::2]), tuple(names[1::2])
    return Halves(rows, halves, (made[0], made[1]), (known[0], known[1]), size)


def _dealt(challenge: Challenge) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Coordinates of every other column, and of those between: neither half knows it all."""
    widths = [axis.width for axis in challenge.space.axes]
    owner = np.repeat(np.arange(len(widths)), widths)
    return np.flatnonzero(owner % 2 == 0), np.flatnonzero(owner % 2 == 1)


def link(halves: Halves, challenge: Challenge) -> Linkability:
    """Success on members against success on others, and against mismatched halves."""
    first, second = halves.made
    linked = _share_a_row(first, second)
    strangers = _share_a_row(first, np.roll(second, 1, axis=0))
    cut = halves.members
    owners = challenge.unit_of[halves.rows[:cut]], challenge.unit_of[halves.rows[cut:]]
    return Linkability(
        compare(linked[:cut], linked[cut:], owners),
        clopper_pearson(int(strangers.sum()), len(strangers)),
        halves.names,
    )


def guesses_of_other_half(
    halves: Halves, challenge: Challenge
) -> Iterator[tuple[Feature, Guesses, Guesses]]:
    """Each column guessed from the half it is not in: by synthetic and by reference rows."""
    by_name: Mapping[str, Feature] = {feature.name: feature for feature in challenge.features}
    for side in (0, 1):
        for name in halves.names[1 - side]:
            feature = by_name[name]
            yield (
                feature,
                _copied(feature, halves.rows, SYNTHETIC, halves.made[side][:, 0]),
                _copied(feature, halves.rows, REFERENCE, halves.known[side][:, 0]),
            )


def _copied(
    feature: Feature, rows: NDArray[np.int64], role: str, donor: NDArray[np.int64]
) -> Guesses:
    """The donor's cell as the guess."""
    truth, guess = feature.values[POOL][rows], feature.values[role][donor]
    if not feature.numeric:
        return Guesses(np.asarray(truth == guess), np.zeros(len(rows)))
    low, high = np.nanquantile(feature.values[REFERENCE].astype(np.float64), [0.01, 0.99])
    gap = np.abs(truth.astype(np.float64) - guess.astype(np.float64))
    return Guesses(gap <= TOLERANCE * (high - low), np.zeros(len(rows)))


def _share_a_row(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray((first[:, :, None] == second[:, None, :]).any(axis=(1, 2)))
