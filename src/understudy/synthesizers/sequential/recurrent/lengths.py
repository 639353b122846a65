"""How many events an entity is to have, drawn first and told to the network.

What makes one customer pay every day and another once a week shows in nothing that is known before
the first event, and a network that must find it out from its own draws drifts. So the length is
part of the context, and of what is known before each event as how many are left. It ends nothing
by itself: the network decides, as it learnt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from understudy.synthesizers.sequential.clock import Numbers
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.heads import Window
from understudy.synthesizers.sequential.streams import matrix
from understudy.synthesizers.tabular.cart import Floats
from understudy.synthesizers.tabular.conditional import (
    Conditional,
    Growth,
    Predictors,
    fit_conditional,
)

COLUMN = "# events"


@dataclass(frozen=True)
class Lengths:
    """`count` draws it from the context and from how much of the window is ahead."""

    around: Predictors
    window: Window
    count: Conditional

    def draw(self, context: pa.Table, origin: Numbers, rng: np.random.Generator) -> Index:
        """[entities]"""
        drawn = self.count.draw(_given(self.around, context, origin, self.window), rng)
        return np.nan_to_num(self.count.numbers(drawn, COLUMN)).astype(np.int64)


def fit_lengths(
    context: pa.Table,
    origin: Numbers,
    length: Index,
    window: Window,
    *,
    seed: int,
    growth: Growth,
) -> Lengths:
    """Learns the lengths [entities] of histories that begin at `origin`."""
    around = Predictors.fit(context)
    count = fit_conditional(
        _given(around, context, origin, window),
        pa.table({COLUMN: length}),
        name="lengths",
        seed=seed,
        growth=growth,
        steady=(COLUMN,),
    )
    return Lengths(around, window, count)


def with_length(context: pa.Table, length: Index) -> pa.Table:
    """The context with the lengths beside it."""
    return context.append_column(COLUMN, pa.array(length))


def _given(around: Predictors, context: pa.Table, origin: Numbers, window: Window) -> Floats:
    return np.hstack([around.matrix(context), matrix(window.end - origin)])
