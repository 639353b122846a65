"""Missing cells drawn from the model given the cells that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from understudy.data import Dataset
from understudy.encoding.discrete import Floats
from understudy.runtime.random import stream
from understudy.synthesizers.tabular.neural.device import on_threads
from understudy.synthesizers.tabular.neural.filling import PRESENT, readable
from understudy.synthesizers.tabular.neural.filling import filled as fill_gaps
from understudy.synthesizers.tabular.tabdiff.conditions import EMPTY, Drawing, inner
from understudy.synthesizers.tabular.tabdiff.mixed import encoded
from understudy.synthesizers.tabular.tabdiff.sampling import blank

if TYPE_CHECKING:
    from understudy.synthesizers.tabular.tabdiff.model import TabDiffModel

SHARD = 8_192


def filled(model: TabDiffModel, dataset: Dataset, seed: int) -> Dataset:
    """`dataset` with its missing cells drawn; see `neural.filling.filled`."""
    return fill_gaps(model.assembly, dataset, lambda rows: _drawn(model, rows, seed))


def _drawn(model: TabDiffModel, table: pa.Table, seed: int) -> pa.Table:
    """Rows of the learnt table with every missing cell drawn."""
    drawing = model.drawing
    makeable = {
        name: bool((column.axis.admitted(PRESENT) > 0).any())
        for name, column in drawing.columns.items()
    }
    bars = _present(drawing, makeable)
    parts = []
    with on_threads(model.config.threads, seed):
        for number, start in enumerate(range(0, max(table.num_rows, 1), SHARD)):
            part = table.slice(start, SHARD)
            rng = stream(seed, "fill", number)
            parts.append(_part(drawing, part, makeable, bars, rng))
    return pa.concat_tables(parts)


def _part(
    drawing: Drawing,
    part: pa.Table,
    makeable: dict[str, bool],
    bars: Floats,
    rng: np.random.Generator,
) -> pa.Table:
    state, fine = blank(drawing.network, part.num_rows), encoded(part, drawing.columns)
    for i, (name, column) in enumerate(drawing.columns.items()):
        rows = np.flatnonzero(readable(column.axis, part[name]))
        places = inner(rng, len(rows))
        drawing.know(state, column, drawing.places[name], fine[rows, i], rows, places)
    if part.num_rows:
        drawing.sampler(rng, bars).walk(state)
    made = drawing.fine(state)
    arrays = {}
    for i, (name, column) in enumerate(drawing.columns.items()):
        cells = part[name]
        if makeable[name]:
            drawn = column.axis.decode(made[:, i], rng, PRESENT)
            cells = pc.if_else(cells.is_null(), drawn, cells)
        arrays[name] = cells
    return pa.table(arrays)


def _present(drawing: Drawing, makeable: dict[str, bool]) -> Floats:
    """What bars missing cells: a number a class of every token, to be added to the logits."""
    found = np.zeros(sum(drawing.network.layout.sizes))
    starts = drawing.network.layout.starts
    for name, place in drawing.places.items():
        column = drawing.columns[name]
        if place.tokens and makeable[name]:
            groups = column.open_groups(column.axis.admitted(PRESENT))
            first = place.tokens[0]
            found[starts[first] : starts[first + 1]] = np.log(np.maximum(groups, EMPTY))
    return found
