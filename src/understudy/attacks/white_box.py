"""White box: what does the model itself say about a record?

Used where the model leaves, or can be queried, not only its rows. An engine that lets itself be
inspected gives one or more scores per record, higher for records it knows; the same permutation
test judges them. For trees that is what the leaf of a record holds; for nets, likelihoods, losses
and gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.attacks.challenge import Challenge
from understudy.attacks.entities import by_unit
from understudy.attacks.family import PERMUTATIONS, Family, Stratum, family_test
from understudy.attacks.membership import Attacker, Membership, Score, judge
from understudy.contracts import Inspectable
from understudy.data.dataset import Dataset

INSIDER = Attacker(
    "the full record of the person looked for", "the model itself", "one pass through the model"
)


@dataclass(frozen=True)
class WhiteBox:
    """Attacks on the model and their own family-wise test."""

    attacks: tuple[Membership, ...]
    family: Family

    def as_dict(self) -> dict[str, Any]:
        return {
            "attacks": [attack.as_dict() for attack in self.attacks],
            "strata": [result.as_dict() for result in self.family.strata],
            "family": {**self.family.as_dict(), "permutations": PERMUTATIONS},
        }


def look_inside(
    model: Inspectable,
    challenge: Challenge,
    like: Dataset,
    groups: list[Stratum],
    rng: np.random.Generator,
) -> WhiteBox:
    """Judges what `model` says about the challenged rows."""
    found = model.scores(like.with_table(challenge.pool))
    tried = [Score(name, INSIDER, np.asarray(values)) for name, values in found.items()]
    tried = by_unit(challenge, tried)
    member = challenge.is_member
    return WhiteBox(
        tuple(judge(score, member) for score in tried), family_test(tried, groups, member, rng)
    )
