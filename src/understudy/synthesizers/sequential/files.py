"""Histories on disk (see `synthesizers.frozen`)."""

from __future__ import annotations

from pathlib import Path

from understudy.encoding.columns import Levels, Ranks
from understudy.errors import FormatError
from understudy.schema.constraints import Running
from understudy.synthesizers import frozen
from understudy.synthesizers.sequential.amounts import Amount
from understudy.synthesizers.sequential.balances import Balance
from understudy.synthesizers.sequential.clock import Clock
from understudy.synthesizers.sequential.drawing import Histories
from understudy.synthesizers.sequential.heads import Heads, Window
from understudy.synthesizers.sequential.labels import Labels
from understudy.synthesizers.sequential.marks import Marks
from understudy.synthesizers.sequential.memory import Places
from understudy.synthesizers.sequential.payees import Degrees, Urn
from understudy.synthesizers.sequential.roles import Kinds, Roles
from understudy.synthesizers.sequential.selection import Selection
from understudy.synthesizers.sequential.skeleton import Skeleton
from understudy.synthesizers.tabular.boosted import ClassHead, Ensemble
from understudy.synthesizers.tabular.cart import Cart
from understudy.synthesizers.tabular.conditional import Conditional, Predictors
from understudy.synthesizers.tabular.leaves import Grove, Leaves, Lookup

FORMAT = 1
CLASSES = (
    Histories, Roles, Clock, Kinds, Heads, Window, Skeleton, Urn, Degrees, Marks, Amount, Places,
    Balance, Running, Labels, Conditional, Predictors, Levels, Ranks, Grove, Leaves, Lookup, Cart,
    Selection, ClassHead, Ensemble,
)  # fmt: skip
"""Every class that a saved history is made of."""


def save(model: Histories, folder: Path) -> None:
    """Writes `folder` as a whole or not at all."""
    frozen.save(model, folder, {"format": FORMAT, "what": "histories"})


def load(folder: Path) -> Histories:
    """What `save` wrote; raises `FormatError` if it is damaged, newer or something else."""
    model, _ = frozen.load(folder, CLASSES, FORMAT)
    if not isinstance(model, Histories):
        raise FormatError(f"{folder} holds no histories.")
    return model
