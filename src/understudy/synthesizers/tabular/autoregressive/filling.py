"""Missing cells drawn from the model given the cells that are there, and how likely a record is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data import Dataset
from understudy.encoding.discrete import Codes, Floats
from understudy.errors import ColumnError
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.neural.filling import (
    PRESENT,
    as_learnt,
    missing,
    readable,
)
from understudy.synthesizers.tabular.neural.filling import filled as fill_gaps
from understudy.synthesizers.tabular.neural.tokens import encoded

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.autoregressive.model import AutoregressiveModel

SHARD = 16_384


def filled(model: AutoregressiveModel, dataset: Dataset, seed: int) -> Dataset:
    """`dataset` with its missing cells drawn; see `neural.filling.filled`."""
    return fill_gaps(model.assembly, dataset, lambda rows: _drawn(model, rows, seed))


def log_likelihood(
    model: AutoregressiveModel, dataset: Dataset, order: Sequence[str] | None = None
) -> Floats:
    """float64 [rows]: the log probability, in nats, of each record's learnt cells.

    The chain rule in `order` (all learnt columns; None: the usual one), each cell's probability
    given those before it. A number counts with the probability of its own step on the column's
    line, so columns of one unit more add what they should. Cells the model cannot make count with
    about -69.
    """
    drawing = model.drawing
    names = tuple(drawing.order if order is None else order)
    if sorted(names) != sorted(drawing.codings):
        raise ColumnError(
            f"an order names every learnt column once: {', '.join(drawing.codings)}; found "
            f"{', '.join(names)}."
        )
    table = model.assembly.forward(as_learnt(model.assembly, dataset))
    total = np.zeros(table.num_rows)
    for start in range(0, table.num_rows, SHARD):
        part = table.slice(start, SHARD)
        total[start : start + SHARD] = drawing.log_chances(
            encoded(part, drawing.codings), names
        ).sum(1)
    for name, coding in drawing.codings.items():
        known = readable(coding.axis, table[name]) | missing(table[name])
        total += np.where(known, coding.log_inner(table[name]), np.log(1e-30))
    return total


def _drawn(model: AutoregressiveModel, table: pa.Table, seed: int) -> pa.Table:
    """Rows of the learnt table with every missing cell drawn."""
    drawing = model.drawing
    admitted: dict[str, Any] = {
        name: coding.admitted(PRESENT)
        for name, coding in drawing.codings.items()
        if coding.admitted(PRESENT)[0].any()
    }
    parts = []
    for number, start in enumerate(range(0, table.num_rows, SHARD)):
        part = table.slice(start, SHARD)
        rng = stream(seed, "fill", number)
        known = np.zeros((part.num_rows, drawing.tokens), bool)
        for name, tokens in drawing.places.items():
            for token in tokens:
                known[:, token] = readable(drawing.codings[name].axis, part[name])
        codes = drawing.fill(encoded(part, drawing.codings), known, admitted, rng)
        arrays = {
            name: _joined(drawing.codings[name], codes, tokens, part[name], rng, name in admitted)
            for name, tokens in drawing.places.items()
        }
        parts.append(pa.table(arrays))
    return pa.concat_tables(parts)


def _joined(
    coding: Any,
    codes: Codes,
    tokens: Sequence[int],
    column: pa.ChunkedArray,
    rng: np.random.Generator,
    makeable: bool,
) -> pa.Array:
    """The column, its missing cells as drawn."""
    if not makeable:
        return column
    made = coding.decode([codes[:, token] for token in tokens], rng, PRESENT)
    return pc.if_else(column.is_null(), made, column)
