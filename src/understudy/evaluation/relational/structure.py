"""Structure: how many children a parent has, and how link tables pair parents up.

Children are counted with parents that have none. Parents in a reference table are shared by all
entities, so their counts grow with the sample: there each is divided by the mean count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from understudy.evaluation.relational.comparing import Items, Statistic, ordered
from understudy.evaluation.relational.database import Database, Link, Rows
from understudy.evaluation.statistics import Floats

MOST_DEGREE = 10
"""Degrees from here on count as one in joint distributions."""
GRID = np.linspace(0.0, 10.0, 201)


def child_counts(base: Database) -> list[Statistic]:
    """One statistic per foreign key to parents that belong to entities."""
    found: list[Statistic] = []
    for link in base.links:
        if link.parent in base.reference:
            continue
        counts = {role: degrees(base, link, role).astype(np.float64) for role in link.rows}
        owner = {role: base.entity[role][link.parent] for role in link.rows}
        found.append(ordered(f"children by {link.name}", counts, owner))
    return found


def loads(base: Database) -> list[Statistic]:
    """One statistic per foreign key of an owned table into a reference table."""
    return [
        _loads(base, link)
        for link in base.links
        if link.parent in base.reference and link.child not in base.reference
    ]


def degrees(base: Database, link: Link, role: str) -> Rows:
    """Children of each row of the parent, int64 [parents]."""
    rows = link.rows[role]
    return np.bincount(rows[rows >= 0], minlength=base.rows(role, link.parent))


def pairings(base: Database) -> list[Statistic]:
    """For each two parents of one child table: their joint degrees, and how often a pair repeats.

    Only parents that belong to entities; whose degrees go together says how a link table pairs.
    """
    found: list[Statistic] = []
    for child in base.owned:
        links = [link for link in base.links_of(child) if link.parent not in base.reference]
        for i, first in enumerate(links):
            for second in links[i + 1 :]:
                found += _pairing(base, first, second)
    return found


def _pairing(base: Database, first: Link, second: Link) -> list[Statistic]:
    joint, joint_owner = {}, {}
    times, times_owner = {}, {}
    for role in first.rows:
        a, b = first.rows[role], second.rows[role]
        both = np.flatnonzero((a >= 0) & (b >= 0))
        a, b, owner = a[both], b[both], base.entity[role][first.child][both]
        of_a = np.minimum(degrees(base, first, role)[a], MOST_DEGREE)
        of_b = np.minimum(degrees(base, second, role)[b], MOST_DEGREE)
        joint[role], joint_owner[role] = of_a * (MOST_DEGREE + 1) + of_b, owner
        pair = a * max(1, base.rows(role, second.parent)) + b
        _, place, repeats = np.unique(pair, return_index=True, return_counts=True)
        times[role], times_owner[role] = repeats.astype(np.float64), owner[place]
    named = f"{first.child} of {first.parent} and {second.parent}"
    return [
        Items(f"joint degrees, {named}", joint, joint_owner, (MOST_DEGREE + 1) ** 2),
        ordered(f"rows a pair, {named}", times, times_owner),
    ]


@dataclass(frozen=True)
class Loads:
    """Children of each reference row, over their mean: a distribution function on a grid."""

    name: str
    rows: Mapping[str, Rows]
    owner: Mapping[str, Rows]
    parents: Mapping[str, int]

    def of(self, role: str, weights: Floats) -> Floats:
        rows = self.rows[role]
        there = rows >= 0
        counts = np.bincount(
            rows[there], weights[self.owner[role][there]], minlength=self.parents[role]
        )
        if not counts.sum():
            return np.full(len(GRID), np.nan)
        loads = np.sort(counts / counts.mean())
        return np.searchsorted(loads, GRID, side="right") / len(loads)

    def distance(self, a: Floats, b: Floats) -> float:
        return float(np.abs(a - b).max())


def _loads(base: Database, link: Link) -> Loads:
    return Loads(
        f"children by {link.name}, over their mean",
        link.rows,
        {role: base.entity[role][link.child] for role in link.rows},
        {role: base.rows(role, link.parent) for role in link.rows},
    )
