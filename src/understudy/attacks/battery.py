"""The battery: every attack against one synthetic table, each with its null and its power.

Order matters: first whether holdout and train are two draws of one population at all, because
every attack below would otherwise detect the difference and call it a leak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.attacks.best import Best, best
from understudy.attacks.challenge import Challenge, set_up
from understudy.attacks.closeness import Closeness, closeness
from understudy.attacks.copies import Copies, KeyTest, find_copies
from understudy.attacks.entities import (
    by_unit,
    profile_copies,
    profile_scores,
    refuse_shared_units,
)
from understudy.attacks.family import (
    FEWEST_A_SIDE,
    PERMUTATIONS,
    Family,
    Stratum,
    family_test,
    strata,
)
from understudy.attacks.halves import Halves, Linkability, halve, link
from understudy.attacks.inference import Inference, infer, worst
from understudy.attacks.leaked import Leaked, leaked
from understudy.attacks.learners import Learnt, chosen, learn
from understudy.attacks.membership import Membership, Score, ensemble, judge, scores
from understudy.attacks.shadow import ShadowAttack, Shadows, shadow_attack
from understudy.attacks.singling_out import SinglingOut, single_out
from understudy.attacks.subgroups import masks
from understudy.attacks.white_box import WhiteBox, look_inside
from understudy.contracts import Inspectable
from understudy.data.dataset import Dataset
from understudy.evaluation.discriminator import c2st
from understudy.evaluation.samples import ROLES, align, collect, one_row_per_unit
from understudy.evaluation.statistics import Estimate, plain
from understudy.runtime.progress import Progress, ProgressEvent, silent
from understudy.runtime.random import stream

FEWEST_UNITS = 20
STRICT = 1.41 * 2.807
"""Normal quantile of a two-sided 0.5 % test: a false alarm here costs a whole audit. Cross-fitted
AUCs of two samples of 750 people scatter 1.41 times as far as DeLong's errors say (measured)."""
STEPS = 6

Also = Callable[[Challenge], Sequence[Score]]
"""Scores from elsewhere of the units that a challenge drew."""


def nothing_else(challenge: Challenge) -> Sequence[Score]:
    """No scores but the battery's own."""
    return ()


@dataclass(frozen=True)
class Battery:
    """Findings of one audit; `as_dict` is its JSON, without the real values that `leaked` holds."""

    exchangeable: Estimate | None
    copies: Copies
    profiles: tuple[KeyTest, ...]
    closeness: Closeness | None
    attacks: tuple[Membership, ...]
    family: Family | None
    best: tuple[Best, ...]
    singling_out: SinglingOut | None
    linkability: Linkability | None
    inference: tuple[Inference, ...]
    white_box: WhiteBox | None
    leaked: Leaked | None
    shadow: ShadowAttack | None
    unit: str
    control: int
    power: dict[str, Any]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        family, alike = self.family, self.exchangeable
        nothing = {"p": None, "strongest": None, "z": None, "threshold": None}
        card: dict[str, Any] = plain(
            {
                "format": 1,
                "unit": self.unit,
                "control_rows": self.control,
                "exchangeable": {
                    "c2st": alike.value if alike else None,
                    "low": alike.low if alike else None,
                    "high": alike.high if alike else None,
                    "ok": alike is not None and alike.low <= 0.5,
                },
                "copies": {
                    **self.copies.as_dict(),
                    "profiles": [_profile(test, len(self.profiles)) for test in self.profiles],
                },
                "closeness": self.closeness.as_dict() if self.closeness else {},
                "attacks": [attack.as_dict() for attack in self.attacks],
                "strata": [result.as_dict() for result in family.strata] if family else [],
                "family": {
                    **(family.as_dict() if family else nothing),
                    "permutations": PERMUTATIONS if family else 0,
                },
                "best": [one.as_dict() for one in self.best],
                "singling_out": self.singling_out.as_dict() if self.singling_out else {},
                "linkability": self.linkability.as_dict() if self.linkability else {},
                "inference": [one.as_dict() for one in self.inference],
                "inference_worst": worst(self.inference),
                "white_box": self.white_box.as_dict() if self.white_box else {},
                "shadow": self.shadow.as_dict() if self.shadow else {},
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
    model: Inspectable | None = None,
    shadows: Shadows | None = None,
    groups: Sequence[str] = (),
    also: Also = nothing_else,
    seed: int = 0,
    progress: Progress = silent,
) -> Battery:
    """Attacks `synthetic` as people would who look for rows of `train`.

    `holdout` is the control (same population, never shown to the engine), `reference` what an
    informed attacker may hold. The three share no rows, and no entities: `SourceError` says so.
    Either may be empty, which leaves little to be said. `model` is attacked too where it will be
    released or queried; `shadows` hands in the generator, to be fitted to halves of the reference
    by an attacker who has it; `groups` are conditions (as `where` takes them) whose rows are judged
    separately; `also` gives more scores of the challenged units, corrected with the rest.
    Deterministic in `seed`.
    """
    datasets = zip(ROLES, (train, holdout, reference, synthetic), strict=True)
    tables = {role: align(dataset.table, train.table) for role, dataset in datasets}
    unit = train.schema.unit.column
    if unit is not None:
        refuse_shared_units(tables["train"], tables["holdout"], unit)
    spec = train.schema.table()
    progress(ProgressEvent("attack", 0, STEPS, "exchangeability"))
    rng = stream(seed, "attacks", "one row a unit")
    apart = (one_row_per_unit(dataset, rng) for dataset in (train, holdout, reference))
    samples = collect(*apart, synthetic, seed=seed)
    alike = c2st(
        samples.features,
        "holdout",
        "train",
        stream(seed, "attacks", "exchangeable"),
        most=10_000,
        z=STRICT,
    )
    progress(ProgressEvent("attack", 1, STEPS, "copies"))
    battery = Battery(
        exchangeable=alike,
        copies=find_copies(tables, spec, stream(seed, "attacks", "copies")),
        profiles=profile_copies(tables, train.schema),
        closeness=None,
        attacks=(),
        family=None,
        best=(),
        singling_out=None,
        linkability=None,
        inference=(),
        white_box=None,
        leaked=None,
        shadow=None,
        unit=unit or "row",
        control=tables["holdout"].num_rows + tables["reference"].num_rows,
        power={"smallest_auc": None, "sentence": "No membership attack could be made."},
        notes=_remarks(tables, alike),
    )
    progress(ProgressEvent("attack", 2, STEPS, "neighbours"))
    challenge = set_up(tables, train.schema, stream(seed, "attacks", "challenge"))
    if challenge is None or challenge.members < FEWEST_UNITS:
        few = f"too few {_units(unit)}, or no column with a distance, for membership attacks"
        return replace(battery, notes=(*battery.notes, few))
    reference = reference.with_table(tables["reference"])
    fitted = None if shadows is None else (shadows, reference)
    return _challenged(
        battery, challenge, tables, train, model, fitted, groups, also, seed, progress
    )


def _challenged(
    battery: Battery,
    challenge: Challenge,
    tables: Mapping[str, pa.Table],
    train: Dataset,
    model: Inspectable | None,
    fitted: tuple[Shadows, Dataset] | None,
    groups: Sequence[str],
    also: Also,
    seed: int,
    progress: Progress,
) -> Battery:
    """The attacks that need a challenge."""
    progress(ProgressEvent("attack", 3, STEPS, "models of single columns"))
    learnt = _learn(challenge, seed)
    progress(ProgressEvent("attack", 4, STEPS, "membership"))
    tried = list(scores(challenge, learnt, stream(seed, "attacks", "scores")))
    shadow = shadow_attack(challenge, tried, fitted[1], fitted[0], seed) if fitted else None
    tried = by_unit(challenge, tried)
    profile_rng = stream(seed, "attacks", "profiles")
    tried += profile_scores(challenge, tables, train.schema, profile_rng)
    tried += also(challenge)
    tried.append(ensemble(tried))
    if shadow is not None:
        tried += by_unit(challenge, [shadow.score])
    member = challenge.is_member
    named = masks(challenge, groups, train.schema.table())
    judged = strata(challenge, stream(seed, "attacks", "ties"), named)
    family = family_test(tried, judged, member, stream(seed, "attacks", "permutations"))
    attacks = tuple(judge(score, member) for score in tried)
    progress(ProgressEvent("attack", 5, STEPS, "singling out, linking, inferring"))
    halves = halve(challenge, stream(seed, "attacks", "halves"))
    found = replace(
        battery,
        closeness=closeness(challenge),
        attacks=attacks,
        family=family,
        best=best(tried, judged, member),
        singling_out=single_out(challenge, stream(seed, "attacks", "singling out")),
        linkability=None if halves is None else link(halves, challenge),
        inference=infer(challenge, learnt, halves),
        white_box=_inside(model, challenge, train, judged, seed),
        leaked=leaked(challenge, tried, attacks, judged),
        shadow=shadow,
        power=_power(challenge, family),
        notes=(*battery.notes, *challenge.left_out, *_caps(tables, challenge, learnt, halves)),
    )
    progress(ProgressEvent("attack", STEPS, STEPS, "done"))
    return found


def _inside(
    model: Inspectable | None,
    challenge: Challenge,
    like: Dataset,
    judged: list[Stratum],
    seed: int,
) -> WhiteBox | None:
    if model is None:
        return None
    return look_inside(model, challenge, like, judged, stream(seed, "attacks", "white box"))


def _learn(challenge: Challenge, seed: int) -> list[Learnt]:
    features = challenge.features
    found = (
        learn(features, column, stream(seed, "attacks", "column", features[column].name))
        for column in chosen(features)
    )
    return [one for one in found if one is not None]


def _profile(test: KeyTest, tried: int) -> dict[str, Any]:
    return {
        "column": test.columns[0],
        "train": test.train_hits,
        "holdout": test.holdout_hits,
        "share_train": test.train_hits / test.train if test.train else None,
        "share_holdout": test.holdout_hits / test.holdout if test.holdout else None,
        "p": min(1.0, test.p * tried),
    }


def _power(challenge: Challenge, family: Family) -> dict[str, Any]:
    """The smallest AUCs found four times in five at the family-wise 5 % level."""

    def smallest(members: int, others: int) -> float:
        error = np.sqrt((members + others + 1) / (12.0 * members * others))
        return float(min(1.0, 0.5 + (family.threshold + 0.84) * error))

    n = challenge.members
    large = [one for one in family.strata if one.members + one.others >= FEWEST_A_SIDE]
    rarest = min(large or family.strata, key=lambda result: result.members + result.others)
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


def _units(unit: str | None) -> str:
    return "rows" if unit is None else f"values of {unit!r}"


def _remarks(tables: Mapping[str, pa.Table], alike: Estimate | None) -> tuple[str, ...]:
    """What stands in the way before any attack is made."""
    missing = [role for role in ("holdout", "reference") if tables[role].num_rows == 0]
    if missing:
        return (
            f"no {' and no '.join(missing)}: whether anything found is a leak or coincidence, and "
            "whether members can be told from strangers, cannot be concluded",
        )
    if alike is None:
        return ("too few rows to test whether holdout and train are alike",)
    return ()


def _caps(
    tables: Mapping[str, pa.Table],
    challenge: Challenge,
    learnt: Sequence[Learnt],
    halves: Halves | None,
) -> list[str]:
    """What was looked at in part."""
    notes = []
    if challenge.member_rows < tables["train"].num_rows:
        notes.append(
            f"membership: {challenge.member_rows:,} of {tables['train'].num_rows:,} training rows "
            "challenged, as many as held-out rows"
        )
    if challenge.by_entity:
        notes.append(
            f"membership is judged per entity: {challenge.members:,} that were learnt from, with "
            f"{challenge.member_rows:,} rows"
        )
    seen = len(challenge.to_train.distance)
    if seen < tables["synthetic"].num_rows:
        notes.append(f"closeness: {seen:,} of {tables['synthetic'].num_rows:,} synthetic rows")
    if len(learnt) < len(challenge.features):
        notes.append(
            f"inference by models: {len(learnt)} of {len(challenge.features)} columns as secrets"
        )
    if halves is None:
        notes.append("one column with a distance: linkability was not tried")
    return notes
