"""Streams: the recurrent parts that a history is made of, as columns side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.synthesizers.sequential.clock import Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import ABSENT


@dataclass(frozen=True)
class Streams:
    """One entry a stream: all arrays [streams].

    `length` counts its events, not-a-number where only the window ends it. `traits` are what its
    events have in common (see `heads`), `steady` the categories that it keeps.
    """

    entity: Index
    kind: Index
    first: Numbers
    length: Numbers
    traits: Mapping[str, Numbers]
    steady: Mapping[str, pa.Array]

    def __len__(self) -> int:
        return len(self.entity)

    def take(self, places: Index) -> Streams:
        """These streams alone, in this order."""
        return replace(
            self,
            entity=self.entity[places],
            kind=self.kind[places],
            first=self.first[places],
            length=self.length[places],
            traits={name: values[places] for name, values in self.traits.items()},
            steady={name: values.take(pa.array(places)) for name, values in self.steady.items()},
        )


def side_by_side(parts: Sequence[Streams]) -> Streams:
    """All streams of `parts`, by entity and kind."""
    whole = Streams(
        np.concatenate([p.entity for p in parts]),
        np.concatenate([p.kind for p in parts]),
        np.concatenate([p.first for p in parts]),
        np.concatenate([p.length for p in parts]),
        {n: np.concatenate([p.traits[n] for p in parts]) for n in parts[0].traits},
        {n: pa.concat_arrays([p.steady[n] for p in parts]) for n in parts[0].steady},
    )
    return whole.take(np.lexsort((whole.kind, whole.entity)))


def matrix(*columns: NDArray[np.generic]) -> Floats:
    """Columns [rows] as the floats that trees split, `ABSENT` where not a number."""
    found = np.column_stack([c.astype(np.float32) for c in columns])
    return np.where(np.isfinite(found), found, ABSENT).astype(np.float32)
