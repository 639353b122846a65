"""Named rare groups: levels a user cares about, by default the rarest answer of the target.

Which level is rarest, and where a number becomes extreme, is read off the reference alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.errors import ColumnError
from understudy.evaluation.columns import written
from understudy.evaluation.samples import ROLES, Feature

EXTREME = 0.95
FEWEST = 3


@dataclass(frozen=True)
class Group:
    """Which rows of each sample belong to it."""

    name: str
    column: str
    level: object
    rows: Mapping[str, NDArray[np.bool_]]

    def counts(self, role: str) -> tuple[int, int]:
        """(rows in the group, all rows)."""
        return int(self.rows[role].sum()), len(self.rows[role])


def named_groups(
    features: Sequence[Feature], target: str | None, named: Mapping[str, object] | None
) -> list[Group]:
    """The user's levels (column -> level, or list of levels), and the target's rare answer."""
    by_name = {feature.name: feature for feature in features}
    found: list[Group] = []
    for column, wanted in (named or {}).items():
        if column not in by_name:
            raise ColumnError.unknown(column, tuple(by_name), table="the compared columns")
        levels = wanted if isinstance(wanted, (list, tuple)) else [wanted]
        found += [_of_level(by_name[column], level) for level in levels]
    taken = {(group.column, group.level) for group in found}
    if target in by_name:
        default = _of_target(by_name[target])
        if default is not None and (default.column, default.level) not in taken:
            found.append(default)
    return found


def _of_target(feature: Feature) -> Group | None:
    """The rarest level, or the numbers beyond the reference's 95 % quantile."""
    if not feature.numeric:
        tally = np.bincount(feature.values["reference"], minlength=len(feature.levels) + 1)
        tally = tally[: len(feature.levels) + 1]
        tally[0] = 0
        enough = np.flatnonzero(tally >= FEWEST)
        if len(enough) < 2:
            return None
        return _of_level(feature, feature.levels[enough[np.argmin(tally[enough])] - 1])
    present = feature.present("reference").astype(np.float64)
    values, counts = np.unique(present, return_counts=True)
    if len(values) < 2:
        return None
    if len(values) == 2:
        return _of_level(feature, float(values[np.argmin(counts)]))
    edge = float(np.quantile(present, EXTREME))
    if edge >= values[-1]:
        return None
    rows = {role: feature.values[role].astype(np.float64) > edge for role in ROLES}
    name = f"{feature.name} above {written(edge, feature)}"
    return Group(name, feature.name, edge, rows)


def _of_level(feature: Feature, level: object) -> Group:
    name = f"{feature.name} = {level}"
    if feature.numeric:
        rows = {role: feature.values[role] == level for role in ROLES}
        return Group(name, feature.name, level, rows)
    spelled = [str(one) for one in feature.levels]
    if str(level) not in spelled:
        raise ColumnError(
            f"column {feature.name!r} has no level {level!r} in any sample; its commonest levels "
            f"are {', '.join(spelled[:5])}."
        )
    code = spelled.index(str(level)) + 1
    return Group(name, feature.name, level, {role: feature.values[role] == code for role in ROLES})
