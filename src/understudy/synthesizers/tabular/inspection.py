"""What a fitted tree engine knows about a record: the leaves it falls into, and its own values.

Two scores. `likelihood`: the sum over columns of the log share of a leaf's donors that equal the
record's cell, which is higher for records that are donors themselves. `known values`: the share of
the record's numbers that the model holds as values of training rows. The second gives members away
at once, which is why a model that holds training values goes into no bundle.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from understudy.encoding.columns import Codes, Ranks, to_numbers
from understudy.encoding.points import split_points
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.leaves import Grove, Leaves, Lookup
from understudy.synthesizers.tabular.tree_model import TreeModel

FLOOR = 0.1
"""Donors added to each cell, so that one unseen value does not decide."""


def scores(model: TreeModel, table: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Float64 [n] each, higher for rows the model knows better."""
    rows, _ = split_points(model.space.forward(table), model.space.spec)
    codes = {name: codec.encode(rows[name]) for name, codec in model.codecs.items()}
    likelihood = np.zeros(table.num_rows)
    known = np.zeros(table.num_rows)
    numbers = 0
    x = np.empty((table.num_rows, len(model.order)), np.float32)
    for j, name in enumerate(model.order):
        way = model.ways[name]
        if isinstance(way, Grove):
            shares = [_share(leaves, x[:, :j], codes[name]) for leaves in way.trees]
            likelihood += np.log(np.mean(shares, axis=0))
        elif isinstance(way, Lookup):
            likelihood += np.log(np.where(way.table[codes[way.by]] == codes[name], 1.0, FLOOR))
        codec = model.codecs[name]
        if isinstance(codec, Ranks):
            values, missing = to_numbers(rows[name])
            known += ~missing & (codec.values[np.maximum(codes[name], 0)] == values)
            numbers += 1
        x[:, j] = model.positions[name][codes[name]]
    found = {"likelihood": likelihood}
    if numbers:
        found["known values"] = known / numbers
    return found


def _share(leaves: Leaves, x: Floats, codes: Codes) -> NDArray[np.float64]:
    """Share of donors of each row's leaf whose code is the row's.

    Donors are sorted by leaf and code, so one search in that order counts them all.
    """
    leaf = leaves.tree.apply(x)
    everything = leaves.counts == len(leaves.donors)
    # A leaf without donors borrows the whole column and owns none of it.
    owned = np.where(everything & ((leaves.counts > 0).sum() > 1), 0, leaves.counts)
    owner = np.repeat(np.arange(leaves.tree.nodes), owned)
    span = int(max(leaves.donors.max(initial=0), codes.max(initial=0))) + 2
    keys = owner * span + leaves.donors + 1
    wanted = leaf.astype(np.int64) * span + codes + 1
    met = np.searchsorted(keys, wanted, "right") - np.searchsorted(keys, wanted, "left")
    return (met + FLOOR) / (leaves.counts[leaf] + 1.0)
