"""The rows of a training and the batches drawn from them, unit by unit.

How many rows and units there are is private; it is used to find rows and for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from understudy.errors import EngineError

Integers = NDArray[np.int64]
Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Batch:
    """The rows of the units that joined a step, rows of one unit next to each other.

    `unit_of` numbers the unit of each row, ascending from 0; None when every row is a unit.
    """

    number: int
    tensors: tuple[Tensor, ...]
    unit_of: Tensor | None
    keys: Words
    """A random number a row, which `uniforms` are made of."""
    canaries: Integers = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def rows(self) -> int:
        return len(self.keys)

    def uniforms(self, width: int, *, salt: int = 0) -> Tensor:
        """float32 [rows, width] strictly between 0 and 1; another `salt` gives others.

        Randomness inside a loss (a diffusion time, a mask) belongs here: in replay a row's numbers
        depend on that row alone, so that one row more does not change those of the others.
        """
        place = np.uint64(salt << 32) + np.arange(width, dtype=np.uint64)
        words = mixed(self.keys[:, None] + place) >> np.uint64(41)
        singles = (words.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23)
        drawn = torch.from_numpy(singles)
        return drawn.to(self.tensors[0].device) if self.tensors else drawn

    def parts(self, rows: int | None) -> Iterator[Batch]:
        """The batch in pieces of about `rows` rows that keep units whole; none if it is empty."""
        if self.rows == 0:
            return
        if rows is None or self.rows <= rows:
            yield self
            return
        for start, stop in pairwise(self._cuts(rows)):
            units = None
            if self.unit_of is not None:
                units = self.unit_of[start:stop] - self.unit_of[start]
            tensors = tuple(tensor[start:stop] for tensor in self.tensors)
            yield Batch(self.number, tensors, units, self.keys[start:stop])

    def _cuts(self, rows: int) -> list[int]:
        if self.unit_of is None:
            return [*range(0, self.rows, rows), self.rows]
        units = self.unit_of.cpu().numpy()
        begins = np.flatnonzero(np.diff(units, prepend=-1))
        places = np.searchsorted(begins, np.arange(rows, self.rows, rows))
        return sorted({0, *begins[places[places < len(begins)]].tolist(), self.rows})


class Records:
    """Private rows as tensors of equal length, and which unit each row belongs to."""

    def __init__(self, *tensors: Tensor, unit_of: NDArray[np.int64] | None = None) -> None:
        """`unit_of` holds any whole number for each row, equal for rows of the same unit."""
        sizes = {len(tensor) for tensor in tensors}
        if len(sizes) != 1 or (unit_of is not None and sizes != {len(unit_of)}):
            raise EngineError(
                "the tensors of a training, and the units, need one entry a row each."
            )
        self.tensors = tensors
        self._order: Integers | None = None
        self._starts = np.arange(sizes.pop() + 1)
        if unit_of is not None:
            self._order = np.argsort(unit_of, kind="stable")
            grouped = unit_of[self._order]
            begins = np.flatnonzero(np.diff(grouped, prepend=grouped[:1] - 1))
            self._starts = np.append(begins, grouped.size)

    @property
    def units(self) -> int:
        """Private."""
        return len(self._starts) - 1

    def rows_of(self, units: Integers) -> tuple[Integers, Integers | None]:
        """The rows of `units`, and which of them each belongs to."""
        if self._order is None:
            return units, None
        sizes = self._starts[units + 1] - self._starts[units]
        unit_of = np.repeat(np.arange(len(units)), sizes)
        within = np.arange(len(unit_of)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return self._order[self._starts[units][unit_of] + within], unit_of

    def taken(self, rows: Integers) -> tuple[Tensor, ...]:
        index = torch.from_numpy(rows)
        return tuple(tensor.index_select(0, index.to(tensor.device)) for tensor in self.tensors)

    def names(self) -> Words:
        """A number for each unit that depends on its own rows; equal units are told apart by rank.

        Slow: for replay.
        """
        arrays = [tensor.detach().cpu().numpy() for tensor in self.tensors]
        rows, unit_of = self.rows_of(np.arange(self.units))
        found: list[list[bytes]] = [[] for _ in range(self.units)]
        for row, unit in zip(rows, rows if unit_of is None else unit_of, strict=True):
            found[unit].append(b"".join(array[row].tobytes() for array in arrays))
        seen: dict[bytes, int] = {}
        names = np.empty(self.units, np.uint64)
        for unit, content in enumerate(found):
            whole = b"".join(sorted(content))
            rank = seen[whole] = seen.get(whole, 0) + 1
            digest = blake2b(whole + rank.to_bytes(8, "little"), digest_size=8).digest()
            names[unit] = int.from_bytes(digest, "little")
        return names


def mixed(words: Words) -> Words:
    """Each word scrambled on its own (the finaliser of SplitMix64, Steele et al. 2014)."""
    z = words * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_words: Words = z ^ (z >> np.uint64(31))
    return mixed_words
