"""What happens in events: memory of numbers and kinds, motifs, recurrences, long tails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.evaluation.relational.comparing import Items, Statistic
from understudy.evaluation.relational.database import Rows
from understudy.evaluation.sequential.histories import COMPARED, Histories
from understudy.evaluation.statistics import Floats

LAGS = (1, 2, 3)
MONTH = (25.0, 35.0)
"""Days after which a repeated value counts as a monthly one."""
TAIL = (0.9, 0.99, 0.999)
MOST_COLUMNS = 6


@dataclass(frozen=True)
class Lagged:
    """Correlation of ranks at two places of a history; `pairs` [n, 2] per role."""

    name: str
    pairs: Mapping[str, Floats]
    owner: Mapping[str, Rows]

    def of(self, role: str, weights: Floats) -> Floats:
        weight = weights[self.owner[role]]
        total = weight.sum()
        if not total:
            return np.array([np.nan])
        x, y = self.pairs[role].T
        x, y = x - weight @ x / total, y - weight @ y / total
        spread = np.sqrt((weight @ (x * x)) * (weight @ (y * y)))
        return np.array([weight @ (x * y) / spread if spread else np.nan])

    def distance(self, a: Floats, b: Floats) -> float:
        return float(np.abs(a - b)[0])


@dataclass(frozen=True)
class Exceedances:
    """Shares of numbers beyond points far out in train; compared by the ratio of the shares."""

    name: str
    beyond: Mapping[str, NDArray[np.bool_]]
    owner: Mapping[str, Rows]

    def of(self, role: str, weights: Floats) -> Floats:
        weight = weights[self.owner[role]]
        total = weight.sum()
        # Half an event keeps the ratio finite where nothing lies beyond.
        return np.asarray((weight @ self.beyond[role] + 0.5) / (total + 1.0))

    def distance(self, a: Floats, b: Floats) -> float:
        return float(np.abs(np.log(a / b)).mean())


def autocorrelation(found: Histories) -> Iterator[Statistic]:
    """Numbers with themselves one to three events before, as ranks among train's."""
    for feature in found.numbers[:MOST_COLUMNS]:
        known = np.sort(feature.present("train").astype(np.float64))
        if not len(known) or known[0] == known[-1]:
            continue
        values = {role: found.at(feature, role).astype(np.float64) for role in COMPARED}
        ranks = {role: np.searchsorted(known, v) / len(known) for role, v in values.items()}
        for lag in LAGS:
            pairs, owner = {}, {}
            for role in COMPARED:
                both = found.after(role, lag) & ~np.isnan(values[role])
                both[lag:] &= ~np.isnan(values[role][:-lag])
                at = np.flatnonzero(both)
                pairs[role] = np.stack([ranks[role][at], ranks[role][at - lag]], axis=1)
                owner[role] = found.entity[role][at]
            yield Lagged(f"autocorrelation of {feature.name} at {lag}", pairs, owner)


def persistence(found: Histories) -> Iterator[Statistic]:
    """Whether an event is of the kind of the one before, two before, three before."""
    if found.kind is None:
        return
    for lag in LAGS:
        codes, owner = {}, {}
        for role in COMPARED:
            at = np.flatnonzero(found.after(role, lag))
            kinds = found.kinds(role)
            codes[role] = (kinds[at] == kinds[at - lag]).astype(np.int64)
            owner[role] = found.entity[role][at]
        yield Items(f"same {found.kind.name} at {lag}", codes, owner, 2)


def motifs(found: Histories) -> Iterator[Statistic]:
    """Runs of two and of three kinds in a row."""
    if found.kind is None:
        return
    size = found.kind_count
    for length in (2, 3):
        codes, owner = {}, {}
        for role in COMPARED:
            at = np.flatnonzero(found.after(role, length - 1))
            kinds = found.kinds(role)
            run = np.zeros(len(at), np.int64)
            for back in range(length):
                run = run * size + kinds[at - back]
            codes[role], owner[role] = run, found.entity[role][at]
        yield Items(f"{length} of {found.kind.name} in a row", codes, owner, size**length)


def recurrences(found: Histories) -> Iterator[Statistic]:
    """Whether a value is new in its history, was last met about a month before, or otherwise."""
    for feature in found.numbers[:MOST_COLUMNS]:
        values = {}
        for role in COMPARED:
            number = found.at(feature, role).astype(np.float64)
            _, code = np.unique(number, return_inverse=True)
            values[role] = np.where(np.isnan(number), -1, code)
        yield _recurrence(found, feature.name, values)
    for name, codes in found.values.items():
        yield _recurrence(found, name, {r: codes[r][found.rows[r]] for r in COMPARED})


def _recurrence(found: Histories, name: str, values: Mapping[str, Rows]) -> Items:
    codes, owner = {}, {}
    for role in COMPARED:
        present = np.flatnonzero(values[role] >= 0)
        history, value = found.history[role][present], values[role][present]
        times = found.times[role][present]
        order = np.lexsort((np.arange(len(present)), value, history))
        again = np.zeros(len(order), bool)
        again[1:] = (history[order][1:] == history[order][:-1]) & (
            value[order][1:] == value[order][:-1]
        )
        gap = np.diff(times[order], prepend=times[order][:1])
        monthly = again & (gap >= MONTH[0]) & (gap <= MONTH[1]) & found.calendar
        code = np.zeros(len(order), np.int64)
        code[order] = again.astype(np.int64) + monthly
        codes[role], owner[role] = code, found.entity[role][present]
    return Items(f"{name} met before, or a month before", codes, owner, 3)


def tails(found: Histories) -> Iterator[Statistic]:
    """How often numbers lie beyond the 90, 99 and 99.9 % points of train, in size."""
    for feature in found.numbers[:MOST_COLUMNS]:
        values = {role: np.abs(found.at(feature, role).astype(np.float64)) for role in COMPARED}
        known = values["train"][~np.isnan(values["train"])]
        if len(np.unique(known)) < 20:
            continue
        points = np.quantile(known, TAIL)
        kept = {role: np.flatnonzero(~np.isnan(v)) for role, v in values.items()}
        beyond = {role: values[role][kept[role]][:, None] > points for role in COMPARED}
        owner = {role: found.entity[role][kept[role]] for role in COMPARED}
        yield Exceedances(f"tail of {feature.name}", beyond, owner)
