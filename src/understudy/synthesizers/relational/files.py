"""The relational model on disk; see `archive` for how."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from understudy.encoding.columns import Levels, Ranks
from understudy.encoding.constraints import Reparametrisation
from understudy.schema import ForeignKey, Schema
from understudy.synthesizers.archive import load_archive, save_archive
from understudy.synthesizers.relational.cells import Anchor, Cells
from understudy.synthesizers.relational.events import EventModel
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.model import RelationalModel
from understudy.synthesizers.relational.pairing import Feature, Pairing
from understudy.synthesizers.relational.products import Product
from understudy.synthesizers.relational.siblings import Siblings
from understudy.synthesizers.relational.tables import TableModel
from understudy.synthesizers.tabular.cart import Cart
from understudy.synthesizers.tabular.conditional import Conditional, Predictors
from understudy.synthesizers.tabular.leaves import Grove, Leaves, Lookup

FORMAT = 1
STAMP = "INTERNAL: this model holds values of training rows. It must not leave with the data."
CLASSES = (
    Anchor,
    Cart,
    Cells,
    Conditional,
    EventModel,
    Feature,
    ForeignKey,
    Graph,
    Grove,
    Leaves,
    Levels,
    Link,
    Lookup,
    Pairing,
    Predictors,
    Product,
    Ranks,
    RelationalModel,
    Reparametrisation,
    Schema,
    Siblings,
    TableModel,
)


def save(model: RelationalModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    stamp = {} if model.private else {"stamp": STAMP}
    card = {"format": FORMAT, "engine": model.engine, "rows": model.rows, **stamp}
    save_archive(path, card, replace(model, config=replace(model.config, workers=1)))


def load(path: Path) -> RelationalModel:
    """The model that `save` wrote to `path`."""
    from understudy.synthesizers.relational.engine import RelationalSynthesizer

    _, model = load_archive(path, FORMAT, (*CLASSES, RelationalSynthesizer))
    found: RelationalModel = model
    return found
