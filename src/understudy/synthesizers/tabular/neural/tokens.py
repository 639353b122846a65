"""All columns' codings together: which tokens there are, and a table as rows of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.discrete import Floats, LabelAxis
from understudy.runtime.progress import Progress, ProgressEvent
from understudy.synthesizers.tabular.neural.coding import Coding

Codings = Mapping[str, Coding]
Tokens = NDArray[np.int64]
"""[rows, tokens]: a code for each token of each row."""


def places_of(codings: Codings) -> dict[str, tuple[int, ...]]:
    """The tokens of each column, numbered in the order of the columns."""
    places, first = {}, 0
    for name, coding in codings.items():
        places[name] = tuple(range(first, first + len(coding.sizes)))
        first += len(coding.sizes)
    return places


def sizes_of(codings: Codings) -> tuple[int, ...]:
    """Codes of each token."""
    return tuple(size for coding in codings.values() for size in coding.sizes)


def leaders_of(codings: Codings) -> list[int]:
    """For each token the one that says which group it is a place in, or itself."""
    return [tokens[0] for tokens in places_of(codings).values() for _ in tokens]


def shares_of(codings: Codings) -> list[Floats]:
    """Each token's shares of its codes, as far as they are known before training."""
    found: list[Floats] = []
    for coding in codings.values():
        found.append(coding.margin)
        if coding.staged:
            found.append(coding.margin @ coding.inner)
    return found


def in_order(codings: Codings, order: Sequence[str]) -> list[int]:
    """The tokens in the order that the columns are drawn in."""
    places = places_of(codings)
    return [token for name in order for token in places[name]]


def encoded(table: pa.Table, codings: Codings) -> Tokens:
    """A table of the learnt columns as tokens."""
    columns = [codes for name, coding in codings.items() for codes in coding.encode(table[name])]
    return np.stack(columns, axis=1).astype(np.int64)


def tell_staged(codings: Codings, progress: Progress) -> None:
    """Says aloud which columns have too many labels for one token."""
    for name, coding in codings.items():
        if coding.staged and isinstance(coding.axis, LabelAxis):
            labels = len(coding.axis.values)
            note = f"column {name!r} has {labels:,} labels: learnt in two stages"
            progress(ProgressEvent("fit", 0, 0, note))
