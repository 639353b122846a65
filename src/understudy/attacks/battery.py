"""The battery: every attack against one synthetic table, each with its null and its power.

Order matters: first whether holdout and train are two draws of one population at all, because
every attack below would otherwise detect the difference and call it a leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.attacks.challenge import Challenge, set_up
from understudy.attacks.closeness import Closeness, closeness
from understudy.attacks.copies import Copies, find_copies
from understudy.attacks.family import PERMUTATIONS, Family, family_test, strata
from understudy.attacks.membership import Membership, judge, scores
from understudy.data.dataset import Dataset
from understudy.evaluation.discriminator import c2st
from understudy.evaluation.samples import ROLES, align, collect
from understudy.evaluation.statistics import Estimate, plain
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream

FEWEST_A_SIDE = 20
STRICT = 2.807
"""Normal quantile of a two-sided 0.5 % test: a false alarm here costs a whole audit."""


@dataclass(frozen=True)
class Battery:
    """Findings of one audit; `as_dict` is its JSON."""

    exchangeable: Estimate | None
    copies: Copies
    closeness: Closeness | None
    attacks: tuple[Membership, ...]
    family: Family | None
    power: dict[str, Any]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        family, alike = self.family, self.exchangeable
        card: dict[str, Any] = plain(
            {
                "format": 1,
                "exchangeable": {
                    "c2st": alike.value if alike else None,
                    "low": alike.low if alike else None,
                    "high": alike.high if alike else None,
                    "ok": alike is not None and alike.low <= 0.5,
                },
                "copies": self.copies.as_dict(),
                "closeness": self.closeness.as_dict() if self.closeness else {},
                "attacks": [attack.as_dict() for attack in self.attacks],
                "strata": [result.as_dict() for result in family.strata] if family else [],
                "family": {
                    "p": family.p if family else None,
                    "strongest": family.strongest if family else None,
                    "z": family.z if family else None,
                    "threshold": family.threshold if family else None,
                    "permutations": PERMUTATIONS if family else 0,
                },
                "power": self.power,
                "notes": self.notes,
            }
        )
        return card


def attack(
    train: Dataset,
    holdout: Dataset,
    reference: Dataset,
    synthetic: Dataset,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Battery:
    """Attacks `synthetic` as people would who look for rows of `train`.

    `holdout` is the control (same population, never shown to the engine), `reference` what an
    informed attacker may hold. The three share no rows. Deterministic in `seed`.
    """
    spec = train.schema.table()
    notes: list[str] = []
    if train.schema.unit.of == "entity":
        notes.append(
            f"rows are attacked one by one; leaks about a whole {train.schema.unit.column} "
            "spread over several rows are not looked for"
        )
    datasets = zip(ROLES, (train, holdout, reference, synthetic), strict=True)
    tables = {role: align(dataset.table, train.table) for role, dataset in datasets}
    progress(ProgressEvent("attack", 0, 4, "exchangeability"))
    samples = collect(train, holdout, reference, synthetic, seed=seed)
    alike = c2st(
        samples.features,
        "holdout",
        "train",
        stream(seed, "attacks", "exchangeable"),
        most=10_000,
        z=STRICT,
    )
    if alike is None:
        notes.append("too few rows to test whether holdout and train are alike")
    progress(ProgressEvent("attack", 1, 4, "copies"))
    copies = find_copies(tables, spec, stream(seed, "attacks", "copies"))
    progress(ProgressEvent("attack", 2, 4, "neighbours"))
    challenge = set_up(tables, spec, stream(seed, "attacks", "challenge"))
    if challenge is None or challenge.members < FEWEST_A_SIDE:
        notes.append("too few rows, or no column with a distance, for membership attacks")
        power = {"smallest_auc": None, "sentence": "No membership attack could be made."}
        return Battery(alike, copies, None, (), None, power, tuple(notes))
    notes += challenge.left_out
    _note_caps(tables, challenge, notes)
    progress(ProgressEvent("attack", 3, 4, "membership"))
    tried = list(scores(challenge))
    member = challenge.is_member
    groups = strata(challenge, stream(seed, "attacks", "ties"))
    family = family_test(tried, groups, member, stream(seed, "attacks", "permutations"))
    progress(ProgressEvent("attack", 4, 4, "done"))
    return Battery(
        alike,
        copies,
        closeness(challenge),
        tuple(judge(score, member) for score in tried),
        family,
        _power(challenge, family),
        tuple(notes),
    )


def _power(challenge: Challenge, family: Family) -> dict[str, Any]:
    """The smallest AUCs found four times in five at the family-wise 5 % level."""

    def smallest(members: int, others: int) -> float:
        error = np.sqrt((members + others + 1) / (12.0 * members * others))
        return float(min(1.0, 0.5 + (family.threshold + 0.84) * error))

    n = challenge.members
    rarest = min(family.strata, key=lambda result: result.members + result.others)
    overall, rare = smallest(n, n), smallest(max(1, rarest.members), max(1, rarest.others))
    return {
        "smallest_auc": overall,
        "smallest_auc_rarest": rare,
        "rarest_stratum": rarest.stratum,
        "sentence": (
            f"With {n:,} members and as many others, an attack whose AUC is {overall:.3f} over all "
            f"rows ({rare:.3f} in the stratum {rarest.stratum!r}) would have been noticed four "
            "times in five; weaker leaks may have gone unseen."
        ),
    }


def _note_caps(tables: Mapping[str, pa.Table], challenge: Challenge, notes: list[str]) -> None:
    if challenge.members < tables["train"].num_rows:
        notes.append(
            f"membership: {challenge.members:,} of {tables['train'].num_rows:,} training rows "
            "challenged, as many as held-out rows"
        )
    seen = len(challenge.to_train.distance)
    if seen < tables["synthetic"].num_rows:
        notes.append(f"closeness: {seen:,} of {tables['synthetic'].num_rows:,} synthetic rows")
