"""The relational model on disk (see `synthesizers.frozen`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from understudy.errors import FormatError
from understudy.schema import ForeignKey, Schema
from understudy.synthesizers import frozen
from understudy.synthesizers.relational.events import EventModel
from understudy.synthesizers.relational.graph import Graph, Link
from understudy.synthesizers.relational.model import RelationalModel
from understudy.synthesizers.relational.pairing import Feature, Pairing
from understudy.synthesizers.relational.private.files import CLASSES as PRIVATE
from understudy.synthesizers.relational.products import Product
from understudy.synthesizers.relational.siblings import Siblings
from understudy.synthesizers.relational.sweeps import Sweep
from understudy.synthesizers.relational.tables import TableModel
from understudy.synthesizers.sequential.files import CLASSES as HISTORIES

FORMAT = 1
CLASSES = (
    *HISTORIES,
    *PRIVATE,
    EventModel,
    Feature,
    ForeignKey,
    Graph,
    Link,
    Pairing,
    Product,
    RelationalModel,
    Schema,
    Siblings,
    Sweep,
    TableModel,
)


def save(model: RelationalModel, path: Path) -> None:
    """Writes `path` as a whole or not at all."""
    card = {"format": FORMAT, "engine": model.engine, "rows": model.rows}
    plain = replace(model, config=replace(model.config, workers=1))
    frozen.save(plain, path, card, internal=not model.private)


def load(path: Path) -> RelationalModel:
    """The model that `save` wrote to `path`."""
    from understudy.synthesizers.relational.engine import RelationalSynthesizer

    model, _ = frozen.load(path, (*CLASSES, RelationalSynthesizer), FORMAT)
    if not isinstance(model, RelationalModel):
        raise FormatError(f"{path} holds no relational model.")
    return model
