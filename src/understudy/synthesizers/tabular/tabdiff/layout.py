"""Where each column's tokens and score stand among all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from understudy.synthesizers.tabular.tabdiff.mixed import Columns


@dataclass(frozen=True)
class Layout:
    """`sizes` are classes a token; `owner` says which of the `hiding` columns, those with tokens,
    a token belongs to; `leader[j]` is the token that tells the group token j is a place in, or j.

    Each score has its hiding column, `hides`, and the class of its token that it tells, `free`; -1
    where the column has no token. `emphasis` is how often each token's loss counts; `target` is the
    hiding column that is drawn last, given all others.
    """

    sizes: tuple[int, ...]
    owner: tuple[int, ...]
    leader: tuple[int, ...]
    hiding: int
    hides: tuple[int, ...]
    free: tuple[int, ...]
    emphasis: tuple[float, ...]
    target: int | None = None

    @property
    def tokens(self) -> int:
        return len(self.sizes)

    @property
    def scores(self) -> int:
        return len(self.hides)

    @cached_property
    def starts(self) -> list[int]:
        """Where each token's classes start among all, and where they end."""
        return [0, *np.cumsum(self.sizes).tolist()]

    @cached_property
    def first(self) -> list[int]:
        """The first token of each hiding column."""
        return [self.owner.index(column) for column in range(self.hiding)]

    @cached_property
    def last(self) -> list[int]:
        """The token that each hiding column is whole with."""
        return [self.tokens - 1 - self.owner[::-1].index(c) for c in range(self.hiding)]

    @cached_property
    def seconds(self) -> list[int]:
        """Tokens that are places within a group."""
        return [j for j, leader in enumerate(self.leader) if leader != j]

    @cached_property
    def token_of(self) -> list[int]:
        """The token of each score's column, or -1."""
        return [self.first[column] if column >= 0 else -1 for column in self.hides]


@dataclass(frozen=True)
class Place:
    """A column's tokens, its number among the hiding columns, its score; None for what it lacks."""

    tokens: tuple[int, ...]
    hiding: int | None
    score: int | None


def places_of(columns: Columns) -> dict[str, Place]:
    """Each column's place."""
    found, token, hiding, score = {}, 0, 0, 0
    for name, column in columns.items():
        own = tuple(range(token, token + len(column.sizes)))
        told = column.free is not None
        found[name] = Place(own, hiding if own else None, score if told else None)
        token, hiding, score = token + len(own), hiding + bool(own), score + told
    return found


def layout_of(columns: Columns, target: str | None = None, emphasis: float = 1.0) -> Layout:
    """The layout of all columns together; `target`'s loss counts `emphasis` times."""
    places = places_of(columns)
    owner: list[int] = []
    leader: list[int] = []
    for place in places.values():
        owner += [-1 if place.hiding is None else place.hiding] * len(place.tokens)
        leader += place.tokens[:1] * len(place.tokens)
    scored = [name for name, column in columns.items() if column.free is not None]
    return Layout(
        sizes=tuple(size for column in columns.values() for size in column.sizes),
        owner=tuple(owner),
        leader=tuple(leader),
        hiding=len(set(owner)),
        hides=tuple(-1 if (h := places[name].hiding) is None else h for name in scored),
        free=tuple(
            -1 if places[name].hiding is None else int(columns[name].free or 0) for name in scored
        ),
        emphasis=tuple(
            emphasis if name == target else 1.0
            for name, place in places.items()
            for _ in place.tokens
        ),
        target=places[target].hiding if target in places and target not in scored else None,
    )
