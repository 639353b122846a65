"""What a replay looks for in a record and in a run beside it; each check returns its findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from understudy.privacy.noise import SeededNoise
from understudy.privacy.replay_sessions import Asked, Difference

Artefact = Mapping[str, bytes]
"""What would be published, by file name."""

Kind = Literal["queries", "sensitivity", "leak", "crash", "not finite", "seed", "not repeatable"]

SLACK = 1 + 1e-9
RELEASES = 8
SURELY_NOISE = 4
"""So many non-zero noises that are all the same in two runs are no accident."""


@dataclass(frozen=True)
class Finding:
    """One way in which rows get out. `query` is a query or a file of the model."""

    kind: Kind
    query: str
    detail: str
    neighbours: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.neighbours:
            return self.detail
        others = len(self.neighbours) - 1
        more = f" and {others} more" if others else ""
        return f"{self.detail} (seen {self.neighbours[0]}{more})"


def changed_queries(differences: Iterable[Difference], where: str) -> list[Finding]:
    """Queries whose name, order or parameters follow the rows."""
    return [
        Finding(
            "queries", one.query, f"query {one.query!r} follows the rows: {one.detail}", (where,)
        )
        for one in differences
    ]


def changed_files(artefact: Artefact, other: Artefact, where: str) -> list[Finding]:
    """Files that differ though every answer was frozen."""
    return [
        Finding(
            "leak",
            name,
            f"{name!r} of the model changes though all answers were frozen: it holds a value that "
            "went through no mechanism",
            (where,),
        )
        for name in sorted({*artefact, *other})
        if artefact.get(name) != other.get(name)
    ]


def not_repeatable(found: Iterable[Finding]) -> list[Finding]:
    """The same differences between two runs on the same rows: leaks could not be told from them."""
    return [
        Finding(
            "not repeatable",
            finding.query,
            f"{finding.query!r} differs between two runs on the same rows with the same answers: "
            f"something random lies outside the mechanisms ({finding.detail})",
        )
        for finding in found
    ]


def distance(then: Asked, now: Asked) -> float:
    """How far the unit moved the exact value; not a number counts as infinitely far."""
    moved = then.mechanism.distance(then.exact, now.exact)
    return float("inf") if np.isnan(moved) else float(moved)


def too_far(then: Asked, moved: float, where: str) -> list[Finding]:
    """Whether the exact value moved further than the mechanism declares."""
    declared = then.mechanism.sensitivity
    if moved <= declared * SLACK:
        return []
    detail = f"one unit moves {then.query!r} by {moved:g}, its declared sensitivity is {declared:g}"
    return [Finding("sensitivity", then.query, detail, (where,))]


def no_numbers(asked: Asked, where: tuple[str, ...]) -> list[Finding]:
    """Whether the exact value holds NaN or infinity, which `clip` and comparisons let pass."""
    if asked.exact.dtype.kind != "f" or np.isfinite(asked.exact).all():
        return []
    detail = f"the exact value of {asked.query!r} holds NaN or infinity: remove them row by row"
    return [Finding("not finite", asked.query, detail, where)]


def foreign_noise(asked: Asked) -> list[Finding]:
    """Whether one query's noise comes from elsewhere than the session, tried by asking again."""
    if not asked.drew:
        return [_seed(asked.query, "was answered without drawing from the session's noise")]
    noises = [
        _noise(replace(asked, answer=asked.mechanism.release(asked.exact, SeededNoise(seed))))
        for seed in range(RELEASES)
    ]
    first = noises[0]
    if first is None or not first.any():
        return []
    if all(other is not None and np.array_equal(first, other) for other in noises):
        return [_seed(asked.query, "gets the same noise from any stream")]
    return []


def repeated_noise(one: Iterable[Asked], other: Iterable[Asked]) -> list[Finding]:
    """Queries whose noise was the same in two runs with different streams."""
    second = {asked.query: _noise(asked) for asked in other}
    found = []
    for asked in one:
        noise, again = _noise(asked), second.get(asked.query)
        if noise is None or again is None or np.count_nonzero(noise) < SURELY_NOISE:
            continue
        if np.array_equal(noise, again):
            found.append(_seed(asked.query, "had the same noise in two runs"))
    return found


def leaks_without_noise(
    found: Iterable[Finding], artefact: Artefact, other_noise: Artefact
) -> list[Finding]:
    """Files that leak, yet are equal in two runs with different noise."""
    leaks = dict.fromkeys(finding.query for finding in found if finding.kind == "leak")
    return [
        Finding(
            "seed",
            name,
            f"{name!r} of the model follows the rows and is the same in two runs: what leaves has "
            "no noise, or noise from a known seed",
        )
        for name in leaks
        if artefact.get(name) == other_noise.get(name)
    ]


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """One finding for each kind and query, with all neighbours that show it."""
    one_each: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        first = one_each.setdefault((finding.kind, finding.query), finding)
        seen = tuple(dict.fromkeys(first.neighbours + finding.neighbours))
        one_each[finding.kind, finding.query] = replace(first, neighbours=seen)
    return tuple(one_each.values())


def _seed(query: str, what: str) -> Finding:
    return Finding("seed", query, f"query {query!r} {what}: it has none, or a known seed's")


def _noise(asked: Asked) -> NDArray[Any] | None:
    """What a mechanism added, if it is of those that return the exact value plus noise."""
    if asked.exact.dtype.kind not in "iuf":
        return None
    without = asked.mechanism.noiseless(asked.exact)
    if asked.answer.shape != asked.exact.shape or not np.array_equal(without, asked.exact):
        return None
    return np.asarray(asked.answer - without)
