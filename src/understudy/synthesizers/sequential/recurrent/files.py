"""Recurrent histories on disk (see `synthesizers.frozen`)."""

from __future__ import annotations

from pathlib import Path

from understudy.encoding.columns import Levels, Ranks
from understudy.encoding.discrete import GridAxis, LabelAxis, Line
from understudy.errors import FormatError
from understudy.schema.constraints import Running
from understudy.synthesizers import frozen
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock
from understudy.synthesizers.sequential.heads import Window
from understudy.synthesizers.sequential.labels import Labels
from understudy.synthesizers.sequential.memory import Places
from understudy.synthesizers.sequential.payees import Degrees
from understudy.synthesizers.sequential.recurrent.drawing import Drawing
from understudy.synthesizers.sequential.recurrent.forward import Forward
from understudy.synthesizers.sequential.recurrent.gaps import Gaps
from understudy.synthesizers.sequential.recurrent.layout import Layout
from understudy.synthesizers.sequential.recurrent.lengths import Lengths
from understudy.synthesizers.sequential.recurrent.model import RecurrentHistories
from understudy.synthesizers.tabular.cart import Cart
from understudy.synthesizers.tabular.conditional import Conditional, Predictors
from understudy.synthesizers.tabular.leaves import Grove, Leaves, Lookup
from understudy.synthesizers.tabular.neural.coding import Coding

FORMAT = 1
CLASSES = (
    RecurrentHistories, Lengths, Drawing, Layout, Gaps, Forward, Window, Clock, Balance, Running,
    Coding, GridAxis, LabelAxis, Line, Degrees, Places, Labels, Conditional, Predictors, Levels,
    Ranks, Grove, Leaves, Lookup, Cart,
)  # fmt: skip
"""Every class that a saved model is made of."""


def save(model: RecurrentHistories, folder: Path) -> None:
    """Writes `folder` as a whole or not at all."""
    frozen.save(model, folder, {"format": FORMAT, "what": "recurrent histories"})


def load(folder: Path) -> RecurrentHistories:
    """What `save` wrote; raises `FormatError` if it is damaged, newer or something else."""
    model, _ = frozen.load(folder, CLASSES, FORMAT)
    if not isinstance(model, RecurrentHistories):
        raise FormatError(f"{folder} holds no recurrent histories.")
    return model
