"""A fitted table of events: entities drawn first, then their histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from understudy.contracts import Shares
from understudy.data import Dataset
from understudy.encoding import identifiers
from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.points import join_points
from understudy.errors import ConditionError, EngineError, FormatError
from understudy.runtime.random import stream
from understudy.schema import Identifier, Schema, Table
from understudy.synthesizers import frozen
from understudy.synthesizers.sequential.drawing import Histories
from understudy.synthesizers.sequential.events import Index
from understudy.synthesizers.sequential.files import CLASSES
from understudy.synthesizers.tabular.conditional import Conditional

FORMAT = 1


@dataclass(frozen=True)
class SequentialModel:
    """`rows` counts entities, as `sample` does. `shaped` is the table without its constraints,
    `identifiers` the real ones, so that none is made again.
    """

    config: Any
    schema: Schema
    types: pa.Schema
    rows: int
    unit: str
    space: Reparametrisation
    shaped: Table
    shaped_types: pa.Schema
    context: Conditional
    histories: Histories
    identifiers: pa.Table
    to_frame: Callable[[Dataset], Any] | None = None

    engine = "sequential"
    holds_training_values = True

    def sample(
        self,
        n: int,
        *,
        where: str | None = None,
        balance: Shares | None = None,
        seed: int | None = None,
        workers: int = 1,
    ) -> Any:
        """`n` ENTITIES with all their events, by entity and time.

        Raises `EngineError` for `where` and `balance`, which would tear histories apart.
        """
        if where or balance:
            raise EngineError(
                "conditions and shares speak of rows, and this model makes whole histories. "
                "Sample it, and select entities from the result."
            )
        if n < 1:
            raise ConditionError(f"asked for {n} entities; ask for at least 1.")
        seed = self.config.seed if seed is None else seed
        x = np.zeros((n, 0), np.float32)
        context = self.context.table(self.context.draw(x, stream(seed, "context")))
        events, entity = self.histories.draw(context, seed=seed, workers=workers)
        columns = {name: events[name] for name in events.column_names}
        columns |= {name: context[name].take(pa.array(entity)) for name in context.column_names}
        made = Dataset(
            self.schema, {self.schema.table().name: self._table(columns, entity, n, seed)}
        )
        return made if self.to_frame is None else self.to_frame(made)

    def save(self, path: Path) -> None:
        """Writes the model folder (JSON, safetensors and Parquet); see `synthesizers.frozen`."""
        tree = {
            "schema": self.schema,
            "types": self.types,
            "shaped": self.shaped,
            "shaped_types": self.shaped_types,
            "context": self.context,
            "histories": self.histories,
            "identifiers": self.identifiers,
            "tables": self.space.tables(),
            "config": replace(self.config, workers=1),
        }
        card = {
            "format": FORMAT,
            "engine": self.engine,
            "rows": self.rows,
            "unit": self.unit,
            "space": self.space.to_json(),
        }
        frozen.save(tree, path, card)

    @classmethod
    def load(cls, path: Path) -> SequentialModel:
        """Reads what `save` wrote; refuses newer formats with `FormatError`."""
        from understudy.synthesizers.sequential.engine import SequentialSynthesizer

        tree, card = frozen.load(path, (*CLASSES, Schema, Table, SequentialSynthesizer), FORMAT)
        try:
            space = Reparametrisation.from_json(card["space"], tree.pop("tables"))
            return cls(space=space, rows=card["rows"], unit=card["unit"], **tree)
        except (KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"the model in {path} is damaged: {error}") from error

    def _table(
        self, columns: dict[str, pa.ChunkedArray], entity: Index, n: int, seed: int
    ) -> pa.Table:
        """Rows of the source: constraints in force, identifiers made anew, text left empty."""
        rows = len(entity)
        arrays = [
            columns[c.name] if c.name in columns else pa.nulls(rows, kind)
            for c, kind in zip(self.shaped.columns, self.shaped_types.types, strict=True)
        ]
        whole = pa.table(arrays, schema=self.shaped_types)
        table = self.space.backward(join_points(whole, self.space.spec, self.types))
        for place, column in enumerate(self.schema.table().columns):
            if column.name == self.unit:
                made = self._made(column, n, seed).take(pa.array(entity))
            elif isinstance(column, Identifier) and column.name in columns:
                made = columns[column.name]
            elif isinstance(column, Identifier):
                made = self._made(column, rows, seed)
            else:
                continue
            table = table.set_column(place, self.types.field(column.name), made)
        return table

    def _made(self, column: Any, n: int, seed: int) -> pa.Array:
        """Identifiers that are none of the real ones; the unit's are one an entity."""
        name = column.name
        if not isinstance(column, Identifier):
            column = Identifier(name=name)
        real = self.identifiers[name]
        if name == self.unit:
            real = pa.chunked_array([real.drop_null().unique()], real.type)
        return identifiers.make(column, real, n, stream(seed, "identifier", name))
